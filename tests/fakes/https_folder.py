#!/usr/bin/env python3
"""Serves the files of a folder over HTTPS, as an issuer of JWTs does its keys.

Usage: https_folder.py CERTIFICATE KEY FOLDER

Prints its port and serves on 127.0.0.1 until the end of standard input.
"""

import functools
import http.server
import ssl
import sys
import threading

certificate, key, folder = sys.argv[1:]
server = http.server.ThreadingHTTPServer(
    ("127.0.0.1", 0),
    functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
