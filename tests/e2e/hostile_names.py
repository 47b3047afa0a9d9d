#!/usr/bin/python3
"""Puts hostile text into every string of every RPC, from gRPC's Python.

Usage: hostile_names.py --protos DIR --stubs DIR --provisioners HOST:PORT
                        --nodes HOST:PORT --ca FILE --certificate FILE
                        --key FILE --ticket TICKET_FILE

The caller may mint for worker-*, with the group system:bootstrappers:pool-a.
The ticket is for worker-claimed. Every verdict is compared with what the API's
comments say of the field; the last line, "minted N", is how many tokens there
are more than before. Ends with 1 at the first that is not as promised.
"""

import argparse
import concurrent.futures
import importlib.util
import re
import socket
import ssl
import subprocess
import sys
import unicodedata

import grpc
from google.protobuf import any_pb2  # noqa: F401 (registers the type)

TEXTS = [
    "a'b", 'a"b', "a'; touch pwned; '", "$(touch pwned)", "`touch pwned`",
    "${IFS}x$HOME", "a\ntouch pwned\n", "a\r\nb", '","verdict":"allowed',
    '"}\n{"v":1', "{a: b}", "[a, b]", "a: b # c", "- a", "&anchor", "*alias",
    "!!python/object", "%TAG ! x", "---", "null", "true", "no", "0x10", "1e3",
    "2026-01-02", "~", "*", "**", "?[a-z]*{1,2}", "a*b", ".*", "^.*$", "{}",
    "{0}", "%s%n%x", "%h", "%00", "../../etc/passwd", "/etc/shadow", "..", ".",
    "a..b", "a/b", "a\\b\\n\\x41", "\\", "#", "-x", "--out=/tmp/x", " ", " a ",
    "a\tb", "\x00", "a\x00b", "worker-1\x00", "\x00worker-1", "a\x1b[2J\x07",
    "\x7f\x01", "w\u00f6rker", "w\u043erker-1", "worker\u2010" "1",
    "\uff57orker-1", "\u202e1-rekrow", "wor\u200bker", "a\u2028b", "\ufeffa",
    "\u0085a", "\U0001f4a9", "\U000e0041", "\ufffd", "WORKER-1", "worker-1 ",
    "worker-1.evil.example", "worker-", "worker-*", "worker_1", "zzzzzz",
    "ZZZZZZ", "a=b", "a=b,c!=d", "notin (x)", "metadata.name=x", "a" * 63,
    "a" * 64, "a" * 253, "a" * 254, "worker-" + "b" * 246, "worker-" + "b" * 247,
    "a." * 126 + "a", "x" * 5000, "\u00e9" * 300, "",
]
PREFIXES = {"node_name": ["worker-"],
            "groups": ["system:bootstrappers:", "system:bootstrappers:pool-a"],
            "request_id": ["request-"]}
DEADLINE = 30


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("protos", "stubs", "provisioners", "nodes", "ca",
                 "certificate", "key", "ticket"):
        parser.add_argument("--" + name, required=True)
    return parser.parse_args()


ARGS = arguments()
subprocess.run(
    ["protoc", f"--proto_path={ARGS.protos}", f"--python_out={ARGS.stubs}",
     "latchkey/v1/token.proto", "latchkey/v1/token_broker.proto",
     "latchkey/v1/node_bootstrap.proto", "google/rpc/error_details.proto"],
    check=True)
sys.path.insert(0, ARGS.stubs)
from latchkey.v1 import node_bootstrap_pb2 as nodes  # noqa: E402
from latchkey.v1 import token_broker_pb2 as api  # noqa: E402
from latchkey.v1 import token_pb2 as types  # noqa: E402


def load(path, name):
    # By path: the package google belongs to the protobuf library.
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DETAILS = load(ARGS.stubs + "/google/rpc/error_details_pb2.py",
               "error_details_pb2")


def read(path):
    with open(path, "rb") as file:
        return file.read()


PROVISIONERS = grpc.secure_channel(
    ARGS.provisioners, grpc.ssl_channel_credentials(
        read(ARGS.ca), read(ARGS.key), read(ARGS.certificate)))
NODES = grpc.secure_channel(ARGS.nodes,
                            grpc.ssl_channel_credentials(read(ARGS.ca)))
MINTED = set()


def check(holds, what):
    if not holds:
        sys.exit(f"not as promised: {what}")


def reason_of(error):
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in DETAILS.Status.FromString(value).details:
                info = DETAILS.ErrorInfo()
                if detail.Unpack(info):
                    return info.reason
    return error.code().name


def outcome(rpc, request, metadata=()):
    """(reason, answer) of a call; the reason is OK, or why it was refused."""
    if rpc == "ClaimToken":
        channel, service = NODES, "NodeBootstrap"
    else:
        channel, service = PROVISIONERS, "TokenBroker"
    make = (channel.unary_stream if rpc == "WatchTokens"
            else channel.unary_unary)
    call = make(f"/latchkey.v1.{service}/{rpc}",
                request_serializer=lambda r: r if isinstance(r, bytes)
                else r.SerializeToString(),
                response_deserializer=lambda b: b)
    try:
        answer = call(request, timeout=DEADLINE, metadata=metadata)
        if rpc == "WatchTokens":
            first = next(answer)
            answer.cancel()
            return "OK", first
        return "OK", answer
    except grpc.RpcError as error:
        return reason_of(error), error.details()


# What the comments of proto/latchkey/v1 say of each field.

def is_name(text):
    label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    return len(text) <= 253 and bool(
        re.fullmatch(rf"{label}(\.{label})*", text))


def is_label(text):
    return bool(re.fullmatch("[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?",
                             text))


def of_node_name(text):
    if not is_name(text):
        return {"INVALID_FIELD"}
    fits = re.fullmatch("worker-[^.]*", text)
    return {"OK"} if fits else {"POLICY_DENIED"}


def of_group(text):
    if not re.fullmatch("system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]", text):
        return {"INVALID_FIELD"}
    return {"OK"} if text == "system:bootstrappers:pool-a" else {
        "POLICY_DENIED"}


def of_reason(text):
    bad = (not text.strip(" ") or len(text) > 256 or
           any(ord(c) < 32 or ord(c) == 127 for c in text))
    if bad:
        return {"INVALID_FIELD"}
    odd = any(unicodedata.category(c) not in ("Ll", "Lu", "Nd", "Po", "Pd")
              for c in text)
    return {"TOKEN_UNKNOWN"} | ({"INVALID_FIELD"} if odd else set())


def either(valid):
    return {"OK"} if valid else {"INVALID_FIELD"}


def expected(path, text):
    """The reasons that a call with `text` in the field `path` may end with."""
    field = path[-1]
    if path == ("ticket",):
        return {"TICKET_MALFORMED"}
    if path[0] == "node_name":
        return {"SCOPE_NODE_NAME", "CSR_SUBJECT", "INVALID_FIELD"}
    if field == "node_name" and "scope" in path:
        return of_node_name(text)
    if field == "node_name":
        return either(not text or is_name(text.replace("*", "x")))
    if field == "groups":
        return of_group(text)
    if field == "provisioner":
        return either(re.fullmatch("[!-~]{0,4096}", text))
    if field == "request_id":
        return either(not text or re.fullmatch("[!-~]{8,64}", text))
    if field == "labels key":
        return either(is_label(text))
    if field == "labels value":
        return either(not text or is_label(text))
    if field == "id":
        return ({"TOKEN_UNKNOWN"} if re.fullmatch("[a-z0-9]{6}", text)
                else {"INVALID_FIELD"})
    if field == "reason":
        return of_reason(text)
    check(field in ("page_token", "cursor"), f"nobody knows {path}")
    return either(not text)


def strings(descriptor, path=()):
    """The path of every field of a message that holds text."""
    for field in descriptor.fields:
        here = path + (field.name,)
        kind = field.message_type
        if kind is None:
            if field.type == field.TYPE_STRING:
                yield here
        elif kind.GetOptions().map_entry:
            yield path + (field.name + " key",)
            yield path + (field.name + " value",)
        elif kind.full_name.startswith("latchkey."):
            yield from strings(kind, here)


def put(message, path, text):
    """Puts `text` where `path` says; of a list, into its first item."""
    name, _, part = path[0].partition(" ")
    field = message.DESCRIPTOR.fields_by_name[name]
    if part:
        getattr(message, name)[text if part == "key" else "key"] = (
            text if part == "value" else "value")
    elif field.message_type is not None:
        inner = getattr(message, name)
        if field.label == field.LABEL_REPEATED:
            inner = inner[0]
        put(inner, path[1:], text)
    elif field.label == field.LABEL_REPEATED:
        getattr(message, name)[:] = [text]
    else:
        setattr(message, name, text)


def good_issue():
    return api.IssueTokenRequest(scope=types.TokenScope(node_name="worker-h"))


OPENSSL = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
           "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"]
CSR = subprocess.run(
    OPENSSL + ["-subj", "/O=system:nodes/CN=system:node:worker-claimed"],
    check=True, capture_output=True).stdout
TICKET = read(ARGS.ticket).decode().strip()
GOOD = {
    "IssueToken": good_issue,
    "BatchIssueTokens":
        lambda: api.BatchIssueTokensRequest(requests=[good_issue()]),
    "GetToken": lambda: api.GetTokenRequest(id="zzzzzz"),
    "ListTokens": lambda: api.ListTokensRequest(page_size=1),
    "RevokeToken":
        lambda: api.RevokeTokenRequest(id="zzzzzz", reason="a test"),
    "ExtendToken": lambda: api.ExtendTokenRequest(
        id="zzzzzz", expire_time={"seconds": 4000000000}),
    "WatchTokens": api.WatchTokensRequest,
    "ExplainToken": lambda: api.ExplainTokenRequest(id="zzzzzz"),
    "ClaimToken": lambda: nodes.ClaimTokenRequest(
        ticket=TICKET, node_name="worker-claimed",
        certificate_signing_request=CSR),
}


def verdict(rpc, request):
    """The reason of a call; of a batch, of its one item."""
    reason, answer = outcome(rpc, request)
    if reason != "OK":
        return reason
    issued = None
    if rpc == "IssueToken":
        issued = api.IssueTokenResponse.FromString(answer)
    elif rpc == "BatchIssueTokens":
        item = api.BatchIssueTokensResponse.FromString(answer).results[0]
        reason, issued = item.error.reason or "OK", item.issued
    if issued and reason == "OK":
        # The two RPCs answer one request_id with one token.
        MINTED.add(issued.token.id)
    return reason


def revoke_by_filter(path, text):
    """By a filter that may fit anything, looked at only."""
    request = api.RevokeTokenRequest(reason="a test", validate_only=True)
    put(request, path, text)
    reason, _ = outcome("RevokeToken", request)
    empty = request.filter == types.TokenFilter()
    allowed = {"INVALID_FIELD"} if empty else expected(path, text)
    check(reason in allowed, f"RevokeToken {path} {text!r}: {reason}")


def hostile(rpc, path):
    prefixes = [""] + PREFIXES.get(path[-1], [])
    for text in [prefix + text for prefix in prefixes for text in TEXTS]:
        if rpc == "RevokeToken" and path[0] == "filter":
            revoke_by_filter(path, text)
            continue
        if path[0] == "node_name" and text == "worker-claimed":
            continue
        request = GOOD[rpc]()
        put(request, path, text)
        reason = verdict(rpc, request)
        check(reason in expected(path, text), f"{rpc} {path} {text!r}: {reason}")


def not_utf8(rpc, path):
    """Text that is none: what no library would send."""
    stand_in = "PLACEHOLDERS"
    request = GOOD[rpc]()
    put(request, path, stand_in)
    wire = request.SerializeToString()
    check(wire.count(stand_in.encode()) == 1, f"{rpc} {path}: the stand-in")
    for bad in (b"\xff" * 12, b"\xc0\xae\xc0\xaeabcdefgh", b"\xed\xa0\x80abcdefghi",
                b"abcdefghijk\xf0"):
        # gRPC's own answer to what is no message.
        reason, _ = outcome(rpc, wire.replace(stand_in.encode(), bad))
        check(reason == "UNIMPLEMENTED", f"{rpc} {path} {bad}: {reason}")


def digests():
    for digest in (b"", b"\x00" * 32, b"\xff" * 31, b"'" * 33, b"x" * 5000):
        request = good_issue()
        request.scope.public_key_sha256 = digest
        reason = verdict("IssueToken", request)
        check(reason in either(len(digest) in (0, 32)), f"{digest}: {reason}")


def csr_for(text):
    """A claim with a hostile name, and a CSR for it by openssl."""
    if "\x00" in text:
        return
    subject = re.sub(r"([/+\\])", r"\\\1", "system:node:" + text)
    made = subprocess.run(OPENSSL + ["-utf8", "-subj",
                                     "/O=system:nodes/CN=" + subject],
                          capture_output=True)
    # openssl makes no CN of more than 64 characters.
    request = nodes.ClaimTokenRequest(
        ticket=TICKET, node_name=text, certificate_signing_request=made.stdout
        or CSR.replace(b"\n", text.encode() + b"\n"))
    reason, _ = outcome("ClaimToken", request)
    check(reason in ("SCOPE_NODE_NAME", "CSR_SUBJECT", "CSR_MALFORMED",
                     "INVALID_FIELD"), f"CSR {text!r}: {reason}")


def bearer(text):
    if not re.fullmatch("[!-~]+", text):
        return
    for value in ("Bearer " + text, text):
        reason, _ = outcome("GetToken", GOOD["GetToken"](),
                            (("authorization", value),))
        check(reason == "UNAUTHENTICATED", f"bearer {text!r}: {reason}")


def no_calls():
    """Connections that are no gRPC, TLS, or client of ours."""
    for target in (ARGS.provisioners, ARGS.nodes):
        host, port = target.rsplit(":", 1)
        for greeting in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 99,
                         b'{"event":"token issued"}\n'):
            with socket.create_connection((host, int(port)), DEADLINE) as peer:
                peer.sendall(greeting)
                peer.shutdown(socket.SHUT_WR)
                peer.recv(1)
            trust = ssl.create_default_context(cafile=ARGS.ca)
            with socket.create_connection((host, int(port)), DEADLINE) as peer:
                try:
                    with trust.wrap_socket(peer, server_hostname=host) as tls:
                        tls.sendall(greeting)
                        tls.recv(1)
                except ssl.SSLError:
                    pass  # it wants a client's certificate


def main():
    rpcs = dict(GOOD)
    described = {method.name: method.input_type for file in (api, nodes)
                 for service in file.DESCRIPTOR.services_by_name.values()
                 for method in service.methods}
    check(set(described) == set(rpcs), "every RPC is here")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        done = [pool.submit(attack, rpc, path)
                for rpc, descriptor in described.items()
                for attack in (hostile, not_utf8)
                for path in strings(descriptor)]
        done += [pool.submit(csr_for, text) for text in TEXTS]
        done += [pool.submit(bearer, text) for text in TEXTS]
        done += [pool.submit(attack) for attack in (digests, no_calls)]
        for future in done:
            future.result()
    reason, _ = outcome("ClaimToken", GOOD["ClaimToken"]())
    check(reason == "OK", f"the ticket is as good as before: {reason}")
    print("minted", len(MINTED))


if __name__ == "__main__":
    main()
