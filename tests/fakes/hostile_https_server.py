#!/usr/bin/env python3
"""An HTTPS server that misbehaves as its path says, for tests of HTTP clients.

Usage: hostile_https_server.py CERTIFICATE KEY [CLIENT_CA]

Prints its port and serves on 127.0.0.1 until the end of standard input. With
CLIENT_CA it demands a client certificate. Nothing but the standard library is
used, and HTTP/1.1 is written by hand: a library would not misbehave.
"""

import collections
import os
import socket
import ssl
import struct
import sys
import threading
import time

counts = collections.Counter()
flooded = 0


def read_request(stream):
    """The method, path, headers and body of a request; None at the end."""
    line = stream.readline()
    if not line:
        return None
    method, path, _ = line.decode().split(" ", 2)
    headers = {}
    for line in iter(stream.readline, b"\r\n"):
        if not line:
            return None
        name, _, value = line.decode().partition(":")
        headers[name.strip().lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    return method, path, headers, body


def answer(connection, status=200, body=b"", headers=()):
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines.extend(headers)
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def begin_chunks(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def send_chunk(connection, data):
    connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))


def reset(connection):
    """Ends the TCP connection with RST, and TLS not at all."""
    connection.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


def flood(connection, size):
    global flooded
    begin_chunks(connection)
    block = b"x" * 16384
    for _ in range(size // len(block)):
        send_chunk(connection, block)
        flooded += len(block)
    connection.sendall(b"0\r\n\r\n")


def stall():
    time.sleep(3600)


def serve_request(connection, method, path, headers, body):
    """Answers one request. False: the connection is not to be used further."""
    counts[path] += 1
    name, _, argument = path[1:].partition("/")
    if name == "ok":
        answer(connection, body=b"hello")
    elif name == "echo":
        lines = [method, path] + [f"{k}: {v}" for k, v in headers.items()]
        answer(connection, body="\n".join(lines).encode() + b"\n\n" + body)
    elif name == "count":
        answer(connection, body=str(counts["/" + argument]).encode())
    elif name == "flooded":
        answer(connection, body=str(flooded).encode())
    elif name == "status":
        # Whatever comes after it: it may be the path of a base URL.
        code = int(argument.partition("/")[0])
        answer(connection, status=code, body=b"because")
    elif name == "redirect":
        answer(connection, status=302, headers=["Location: /ok"])
    elif name == "cookie":
        answer(connection, headers=["Set-Cookie: taste=sweet"])
    elif name == "interim":
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n")
        answer(connection, body=b"final", headers=["X-Final: 1"])
    elif name == "until-close":
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall")
        return False
    elif name == "die":
        return False
    elif name == "torn":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ntorn")
        return False
    elif name == "torn-chunks":
        begin_chunks(connection)
        send_chunk(connection, b"torn")
        return False
    elif name == "reset":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nre")
        time.sleep(0.05)
        reset(connection)
        return False
    elif name == "endless-headers":
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-More: " + b"y" * 1000 + b"\r\n")
    elif name == "garbage":
        connection.sendall(b"\x00\x01\x02 this is not HTTP\r\n\r\n")
        return False
    elif name == "huge":
        flood(connection, 1 << 30)
    elif name == "flood":
        flood(connection, int(argument))
    elif name == "stall":
        stall()
    elif name == "stall-body":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        stall()
    elif name == "ticks":
        begin_chunks(connection)
        for i in range(int(argument)):
            send_chunk(connection, b"tick %d\n" % i)
            time.sleep(0.01)
        connection.sendall(b"0\r\n\r\n")
    else:
        answer(connection, status=404)
    return True


def serve_connection(plain, context):
    try:
        with context.wrap_socket(plain, server_side=True) as connection:
            counts["/connections"] += 1
            stream = connection.makefile("rb")
            while (request := read_request(stream)) is not None:
                if not serve_request(connection, *request):
                    return
    except (OSError, ValueError):
        pass  # the client left, or was not let in


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    if len(sys.argv) > 3:
        context.load_verify_locations(sys.argv[3])
        context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    # Daemons: they end with the program, wherever they wait.
    threading.Thread(
        target=lambda: accept(listener, context), daemon=True).start()
    sys.stdin.read()


def accept(listener, context):
    while True:
        plain, _ = listener.accept()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(
            target=serve_connection, args=(plain, context), daemon=True).start()


if __name__ == "__main__":
    main()
