#!/usr/bin/python3
"""Calls every RPC of the provisioner API as one identity, from gRPC's Python.

Usage: every_verb.py --protos DIR --stubs DIR --target HOST:PORT --ca FILE
                     [--certificate FILE --key FILE] [--token-file FILE]
                     --node PREFIX --foreign ID
                     [--foreign-certificate FILE --foreign-key FILE]
                     [--foreign-token-file FILE]

--protos is the folder proto/ of the source tree; the stubs are made in --stubs,
an empty folder. --foreign is the id of a token that belongs to somebody else,
whose credential the flags --foreign-... name.
Prints a line a step; ends with 1 at the first that is not as promised.
"""

import argparse
import importlib.util
import queue
import subprocess
import sys
import threading
import time
import uuid

import grpc
from google.protobuf import any_pb2  # noqa: F401 (registers the type)


def make_stubs(protos, stubs):
    files = ["latchkey/v1/token.proto", "latchkey/v1/token_broker.proto",
             "google/rpc/error_details.proto"]
    subprocess.run(
        ["protoc", f"--proto_path={protos}", f"--python_out={stubs}",
         f"--grpc_out={stubs}",
         "--plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin"] + files,
        check=True)
    sys.path.insert(0, stubs)


def load(path, name):
    # By path: the package google belongs to the protobuf library.
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("protos", "stubs", "target", "ca", "node", "foreign"):
        parser.add_argument("--" + name, required=True)
    for name in ("certificate", "key", "token-file"):
        parser.add_argument("--" + name)
        parser.add_argument("--foreign-" + name)
    return parser.parse_args()


ARGS = arguments()
make_stubs(ARGS.protos, ARGS.stubs)
from latchkey.v1 import token_broker_pb2 as api  # noqa: E402
from latchkey.v1 import token_broker_pb2_grpc  # noqa: E402
from latchkey.v1 import token_pb2 as types  # noqa: E402

DETAILS = load(ARGS.stubs + "/google/rpc/error_details_pb2.py",
               "error_details_pb2")
DEADLINE = 30


def read(path):
    with open(path, "rb") as file:
        return file.read()


def channel(certificate, key, token_file):
    credentials = grpc.ssl_channel_credentials(
        read(ARGS.ca), read(key) if key else None,
        read(certificate) if certificate else None)
    if token_file:
        token = read(token_file).decode().strip()
        credentials = grpc.composite_channel_credentials(
            credentials, grpc.access_token_call_credentials(token))
    return grpc.secure_channel(ARGS.target, credentials)


BROKER = token_broker_pb2_grpc.TokenBrokerStub(
    channel(ARGS.certificate, ARGS.key, ARGS.token_file))
THEIRS = token_broker_pb2_grpc.TokenBrokerStub(
    channel(ARGS.foreign_certificate, ARGS.foreign_key,
            ARGS.foreign_token_file))


def check(holds, what):
    if not holds:
        sys.exit(f"not as promised: {what}")


def refusal(call):
    """(code, reason, message, metadata) of a call that must be refused."""
    try:
        answer = call()
    except grpc.RpcError as error:
        for key, value in error.trailing_metadata():
            if key != "grpc-status-details-bin":
                continue
            status = DETAILS.Status.FromString(value)
            for detail in status.details:
                info = DETAILS.ErrorInfo()
                if detail.Unpack(info):
                    check(info.domain == "latchkey.dev", "the domain")
                    return (error.code(), info.reason, error.details(),
                            dict(info.metadata))
        sys.exit(f"a refusal without ErrorInfo: {error}")
    sys.exit(f"not refused: {type(answer).__name__}")


def request(node, **more):
    return api.IssueTokenRequest(
        scope=types.TokenScope(node_name=ARGS.node + node),
        lifetime={"seconds": 600}, request_id=str(uuid.uuid4()), **more)


def get(token_id):
    return BROKER.GetToken(api.GetTokenRequest(id=token_id), timeout=DEADLINE)


class Watch:
    """The events of a stream, as they come."""

    def __init__(self, cursor="", node="", broker=BROKER):
        self.cursor = cursor
        self.events = queue.Queue()
        self.call = broker.WatchTokens(api.WatchTokensRequest(
            cursor=cursor, filter=types.TokenFilter(node_name=node)))
        self.started = threading.Event()
        threading.Thread(target=self.read, daemon=True).start()
        check(self.started.wait(DEADLINE), "a stream starts with progress")

    def read(self):
        try:
            for news in self.call:
                self.cursor = news.cursor
                self.started.set()
                kind = news.WhichOneof("news")
                if kind == "event":
                    self.events.put(
                        (news.event.token.id,
                         api.TokenEvent.Type.Name(news.event.type)))
                elif kind != "progress":
                    self.events.put(("stream", kind))
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.CANCELLED:
                self.events.put(("stream", str(error.code())))

    def until(self, wanted):
        """Reads until every event of `wanted` has come, each once, and nothing
        else."""
        wanted = list(wanted)
        deadline = time.monotonic() + DEADLINE
        while wanted:
            try:
                event = self.events.get(timeout=deadline - time.monotonic())
            except (queue.Empty, ValueError):
                sys.exit(f"never told of {wanted}")
            check(event in wanted,
                  f"told of {event}, which is no news or nobody's business, "
                  f"waiting for {wanted}")
            wanted.remove(event)

    def end(self, node):
        """Nothing else was told before a token that is issued now."""
        last = BROKER.IssueToken(request(node), timeout=DEADLINE).token.id
        self.until([(last, "ISSUED")])
        self.call.cancel()


def issue():
    preview = BROKER.IssueToken(request("a", validate_only=True),
                                timeout=DEADLINE)
    check(not preview.ticket and not preview.token.id, "validate_only")
    wanted = request("a", labels={"suite": "python"})
    first = BROKER.IssueToken(wanted, timeout=DEADLINE)
    again = BROKER.IssueToken(wanted, timeout=DEADLINE)
    check(first.ticket.startswith("lk1_" + first.token.id), "a ticket")
    check(first.ticket == again.ticket, "the same request, the same ticket")
    check(first.token.state == types.TOKEN_STATE_ISSUED, "its state")
    code, reason, _, metadata = refusal(lambda: BROKER.IssueToken(
        api.IssueTokenRequest(
            scope=types.TokenScope(node_name="not-" + ARGS.node + "a")),
        timeout=DEADLINE))
    check((code, reason) == (grpc.StatusCode.PERMISSION_DENIED,
                             "POLICY_DENIED"), "outside of the policy")
    check(metadata.get("field") == "scope.node_name", "the denied field")
    return first.token.id


def batch():
    good = [request(f"b{i}", labels={"suite": "python"}) for i in range(3)]
    bad = api.IssueTokenRequest(scope=types.TokenScope(node_name="NOT A NAME"))
    answer = BROKER.BatchIssueTokens(
        api.BatchIssueTokensRequest(requests=good[:2] + [bad] + good[2:]),
        timeout=DEADLINE)
    kinds = [result.WhichOneof("result") for result in answer.results]
    check(kinds == ["issued", "issued", "error", "issued"], f"items: {kinds}")
    check(answer.results[2].error.reason == "INVALID_FIELD", "the bad item")
    return [r.issued.token.id for r in answer.results if r.HasField("issued")]


def list_all(expected):
    seen = []
    page = ""
    while True:
        answer = BROKER.ListTokens(api.ListTokensRequest(
            filter=types.TokenFilter(labels={"suite": "python"}),
            page_size=1, page_token=page), timeout=DEADLINE)
        check(len(answer.tokens) <= 1, "the page size")
        seen += [token.id for token in answer.tokens]
        page = answer.next_page_token
        if not page:
            break
    check(len(seen) == len(set(seen)), "no token twice")
    check(set(expected) <= set(seen), "every token listed")
    check(ARGS.foreign not in seen, "nobody else's token")


def manage(first, second):
    token = get(first)
    check(token.id == first and token.labels["suite"] == "python", "the token")
    later = token.expire_time
    later.seconds += 60
    longer = BROKER.ExtendToken(
        api.ExtendTokenRequest(id=first, expire_time=later), timeout=DEADLINE)
    check(longer.expire_time.seconds == later.seconds, "the new deadline")
    revoke = api.RevokeTokenRequest(id=first, reason="a test",
                                    validate_only=True)
    BROKER.RevokeToken(revoke, timeout=DEADLINE)
    check(get(first).state == types.TOKEN_STATE_ISSUED, "a preview")
    revoke.validate_only = False
    BROKER.RevokeToken(revoke, timeout=DEADLINE)
    check(get(first).state == types.TOKEN_STATE_REVOKED, "revoked")
    answer = BROKER.RevokeToken(api.RevokeTokenRequest(
        filter=types.TokenFilter(labels={"suite": "python"},
                                 node_name=ARGS.node + "b0"),
        reason="a test"), timeout=DEADLINE)
    check([token.id for token in answer.tokens] == [second], "by filter")
    told = BROKER.ExplainToken(api.ExplainTokenRequest(id=first),
                               timeout=DEADLINE)
    steps = [api.TokenEvent.Type.Name(step.type) for step in told.steps]
    check(steps[0] == "ISSUED" and "REVOKED" in steps, f"the lineage: {steps}")


def strangers():
    """What is another's is as what is not."""
    calls = {
        "get": lambda i: BROKER.GetToken(api.GetTokenRequest(id=i)),
        "revoke": lambda i: BROKER.RevokeToken(
            api.RevokeTokenRequest(id=i, reason="a test")),
        "extend": lambda i: BROKER.ExtendToken(api.ExtendTokenRequest(
            id=i, expire_time={"seconds": int(time.time()) + 600})),
        "explain": lambda i: BROKER.ExplainToken(
            api.ExplainTokenRequest(id=i)),
    }
    for name, call in calls.items():
        theirs = refusal(lambda: call(ARGS.foreign))
        nobodys = refusal(lambda: call("zzzzzz"))
        check(theirs[:2] == (grpc.StatusCode.NOT_FOUND, "TOKEN_UNKNOWN"),
              f"{name} of another's token: {theirs}")
        blind = [str(answer).replace(ARGS.foreign, "zzzzzz")
                 for answer in (theirs, nobodys)]
        check(blind[0] == blind[1], f"{name} tells them apart: {blind}")
    watch_strangers()


def watch_strangers():
    """What happens to another's token is told to that other alone, even to
    whoever asks for its node."""
    all_of_ours = Watch()
    of_that_node = Watch(node=ARGS.node + "theirs")
    theirs = Watch(node=ARGS.node + "theirs", broker=THEIRS)
    since = all_of_ours.cursor
    foreign = THEIRS.IssueToken(request("theirs"), timeout=DEADLINE).token.id
    theirs.until([(foreign, "ISSUED")])
    resumed = Watch(cursor=since)
    last = BROKER.IssueToken(request("theirs"), timeout=DEADLINE).token.id
    for watch in (all_of_ours, of_that_node, resumed):
        watch.until([(last, "ISSUED")])
        watch.call.cancel()
    theirs.call.cancel()


def main():
    watch = Watch()
    first = issue()
    print("issue")
    more = batch()
    print("batch")
    watch.until([(i, "ISSUED") for i in [first] + more])
    print("watch")
    cursor = watch.cursor
    watch.call.cancel()
    list_all([first] + more)
    print("list")
    manage(first, more[0])
    print("get, extend, revoke, explain")
    resumed = Watch(cursor)
    resumed.until([(first, "EXTENDED"), (first, "REVOKED"),
                   (more[0], "REVOKED")])
    resumed.end("last")
    print("watch, resumed")
    strangers()
    print("strangers")


main()
