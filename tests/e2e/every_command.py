#!/usr/bin/python3
"""Runs every command of latchkeyctl as one identity, as people and scripts do.

Usage: every_command.py --bin DIR --config FILE --context NAME --other NAME
                        --node PREFIX --secrets FILE

--config is a latchkeyctl.yaml with both contexts; NAME may mint for PREFIX*,
and sees none of the tokens of the other, who may mint for PREFIX* as well.
What must be in no log is written to --secrets, a line each. Prints a line a
step; ends with 1 at the first that is not as promised.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import yaml

DEADLINE = 30
LABEL = f"suite=ctl-{os.getpid()}"
MACHINE_FORMS = ("cloud-init", "ignition", "systemd", "env")


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("bin", "config", "context", "other", "node", "secrets"):
        parser.add_argument("--" + name, required=True)
    return parser.parse_args()


ARGS = arguments()
FOLDER = tempfile.TemporaryDirectory()
# No configuration of whoever runs this.
ENVIRONMENT = {"HOME": FOLDER.name, "PATH": os.environ["PATH"]}
SECRETS = []


def path(name):
    return os.path.join(FOLDER.name, name)


def write(name, text):
    with open(path(name), "w") as file:
        file.write(text)
    return path(name)


def read(name):
    with open(path(name)) as file:
        return file.read()


def check(holds, what):
    if not holds:
        sys.exit(f"not as promised: {what}")


def words(arguments, context=ARGS.context, config=ARGS.config):
    return [ARGS.bin + "/latchkeyctl", "--config", config, "--context",
            context] + list(arguments)


def run(*arguments, code=0, stdin="", **where):
    """(standard output, standard error) of a command that ends with `code`."""
    done = subprocess.run(words(arguments, **where), input=stdin, text=True,
                          capture_output=True, env=ENVIRONMENT,
                          timeout=4 * DEADLINE)
    check(done.returncode == code,
          f"{arguments} ends with {done.returncode} and not {code}: "
          f"{done.stderr}")
    return done.stdout, done.stderr


def refused(reason, *arguments, code=3, **more):
    """The error of a command that the broker refuses for `reason`."""
    out, err = run(*arguments, code=code, **more)
    check(out == "", f"{arguments}: output of what was refused")
    check(f"\nreason: {reason}\n" in err, f"{arguments}: {err}")
    check("\nwhat to do: " in err, f"{arguments} says what to do: {err}")
    return err


def keep(ticket):
    check(ticket.startswith("lk1_"), "a ticket")
    SECRETS.append(ticket[11:43])
    return ticket[4:10]


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def rows(text):
    """The cells of a table, without its header; none has spaces in it here."""
    return [line.split() for line in text.splitlines()[1:]]


def node(name):
    return ARGS.node + name


def get(token_id, context=ARGS.context):
    return json.loads(run("get", token_id, "-o", "json", context=context)[0])


def until(condition, what):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        check(time.monotonic() < deadline, f"in time: {what}")
        time.sleep(0.05)


class Watches:
    """`latchkeyctl watch` in every form, from before anything happens."""

    def __init__(self):
        self.processes = {}
        for form in ("table", "json", "yaml", "name"):
            more = (["--cursor-file", path("cursor")] if form == "json" else [])
            with open(path("watch-" + form), "w") as out:
                self.processes[form] = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL"] +
                    words(["watch", "-o", form] + more), stdout=out,
                    env=ENVIRONMENT)
        # The stream begins with a cursor; of the others, a first event tells.
        until(lambda: os.path.exists(path("cursor")), "a watch begins")
        until(self.all_hear, "every watch hears")

    def all_hear(self):
        keep(run("issue", "--node", node("watched"))[0])
        return all(read("watch-" + form) for form in self.processes)

    def events(self):
        whole, _, _ = read("watch-json").rpartition("\n")
        return [(line["event"]["token"]["id"], line["event"]["type"])
                for line in json_lines(whole) if "event" in line]

    def end(self):
        for process in self.processes.values():
            process.terminate()
            process.wait(DEADLINE)


def issue():
    name = node("a")
    out, err = run("issue", "--node", name, "--label", LABEL,
                   "--lifetime", "20m")
    first = keep(out.rstrip("\n"))
    check(out.count("\n") == 1, "the ticket, alone")
    check(f"token {first} for {name}" in err, f"what was issued: {err}")
    check("lk1_" not in err, "no ticket beside it")
    answer = json.loads(run("issue", "--node", name, "-o", "json")[0])
    keep(answer["ticket"])
    check(answer["token"]["scope"]["nodeName"] == name, "json")
    check(answer["token"]["state"] == "TOKEN_STATE_ISSUED", "json: the state")
    answer = yaml.safe_load(run("issue", "--node", name, "-o", "yaml")[0])
    check(keep(answer["ticket"]) == answer["token"]["id"], "yaml")
    run("issue", "--node", name, "--out", path("ticket"))
    keep(read("ticket"))
    check(os.stat(path("ticket")).st_mode & 0o777 == 0o600, "--out: 0600")
    run("issue", "--node", name, "--out", path("ticket"), code=2)
    out, err = run("issue", "--node", name, "--validate-only")
    check(out == "" and err.startswith("allowed: "), "--validate-only")
    err = refused("POLICY_DENIED", "issue", "--node", "not-" + name)
    check("field: scope.node_name" in err, "the denied field")
    err = refused("INVALID_FIELD", "issue", "--node", "Not A Name", code=2)
    check("field: scope.node_name" in err, "the malformed field")
    check("correct --node" in err, "its flag")
    run("issue", "--node", name, "--lifetime", "soon", code=2)
    run("issue", code=2)
    return first


def shell(script):
    return subprocess.run(["bash", "-euc", script], capture_output=True,
                          text=True, check=True, cwd=FOLDER.name,
                          env=dict(ENVIRONMENT,
                                   DESTDIR=path("image"))).stdout


def machine_files():
    """What a machine is told, in every form, from the broker's own answer."""
    name = node("m")
    texts = {form: run("issue", "--node", name, "-o", form)[0]
             for form in MACHINE_FORMS}
    # To the letter in each: read by who will read it.
    cloud = {file["path"]: file["content"] for file in
             yaml.safe_load(texts["cloud-init"])["write_files"]}
    keep(cloud["/etc/latchkey/ticket"])
    config = yaml.safe_load(cloud["/etc/latchkey/join.yaml"])
    check(config["node_name"] == name, "cloud-init")
    ignition = json.loads(texts["ignition"])
    check([file["path"] for file in ignition["storage"]["files"]] ==
          ["/etc/latchkey/ticket", "/etc/latchkey/ca.crt",
           "/etc/latchkey/join.yaml"], "ignition")
    os.mkdir(path("image"))
    write("install", texts["systemd"])
    shell(". ./install")
    keep(read("image/etc/latchkey/ticket"))
    check(read("image/etc/latchkey/join.yaml") ==
          cloud["/etc/latchkey/join.yaml"], "systemd as cloud-init")
    write("env", texts["env"])
    assigned = shell(". ./env; printf '%s\\n' \"$LATCHKEY_NODE_NAME\" "
                     "\"$LATCHKEY_BROKER\" \"$LATCHKEY_TICKET\"").split("\n")
    check(assigned[0] == name, "env")
    keep(assigned[2])
    run("issue", "--node", name, "-o", "kubeadm", code=2)
    script = run("issue", "--node", name, "-o", "kubeadm", "--delivery",
                 "direct")[0]
    write("kubeadm", script)
    shell(". ./kubeadm")
    token = yaml.safe_load(read("image/etc/latchkey/kubeadm-join.yaml"))[
        "discovery"]["tlsBootstrapToken"]
    SECRETS.append(token[7:])
    return assigned[1], assigned[2]


def join(broker, ticket):
    """A machine that joins with what `-o env` told it."""
    name = node("m")
    shell(". ./env; printf '%s' \"$LATCHKEY_BROKER_CA\" > broker-ca; "
          "(umask 077; printf '%s\\n' \"$LATCHKEY_TICKET\" > machine-ticket)")
    config = {"node_name": name, "timeout": "60s",
              "broker": {"endpoint": broker, "ca_file": path("broker-ca")},
              "ticket_file": path("machine-ticket"),
              "output": {"cert_dir": path("pki"),
                         "kubeconfig": path("kubelet.conf"),
                         "ca_file": path("cluster-ca")}}
    write("join.yaml", yaml.safe_dump(config))
    done = subprocess.run([ARGS.bin + "/latchkey-join", "--config",
                           path("join.yaml")], capture_output=True, text=True)
    check(done.returncode == 0, f"latchkey-join: {done.stderr}")
    token_id = keep(ticket)
    until(lambda: get(token_id)["state"] == "TOKEN_STATE_SPENT",
          "the token is spent")
    return token_id


def batch():
    """Ids of those that were issued, by whichever input."""
    table = "node,lifetime,label\n"
    table += "".join(f"{node('b%d' % i)},30m,{LABEL}\n" for i in range(3))
    file = write("machines.csv", table)
    command = ["batch", file, "--out-dir", path("seeds"), "-o", "json"]
    first = json_lines(run(*command)[0])
    check([line["outcome"] for line in first] == ["issued"] * 3, "from CSV")
    for i in range(3):
        keep(read(f"seeds/{node('b%d' % i)}"))
    again = json_lines(run(*command)[0])
    check([line["outcome"] for line in again] == ["kept"] * 3, "again")
    ids = [line["id"] for line in first]
    file = write("machines.yaml", yaml.safe_dump({"tokens": [
        {"node": node("y0"), "label": [LABEL]}, {"node": node("y1")}]}))
    lines = json_lines(run("batch", file, "-o", "json")[0])
    check([line["node"] for line in lines] == [node("y0"), node("y1")],
          "from YAML")
    ids += [keep(line["ticket"]) for line in lines]
    out, _ = run("batch", "-", stdin=f"node\n{node('s0')}\n")
    check(rows(out)[0][:2] == [node("s0"), "issued"], "from standard input")
    ids.append(keep(rows(out)[0][4]))
    same = ["batch", "-", "--batch-id-file", path("batch.id"), "-o", "json"]
    tickets = [json_lines(run(*same, stdin=f"node\n{node('i0')}\n")[0])[0]
               for _ in range(2)]
    check(tickets[0] == tickets[1], "one batch id, one ticket")
    ids.append(keep(tickets[0]["ticket"]))
    out, err = run("batch", "-", "-o", "json", code=4,
                   stdin=f"node\nnot-mine\n{node('p0')}\n")
    lines = json_lines(out)
    check([line["outcome"] for line in lines] == ["failed", "issued"],
          "some of several")
    check(lines[0]["reason"] == "POLICY_DENIED", "the reason of the other")
    ids.append(keep(lines[1]["ticket"]))
    run("batch", "-", code=3, stdin="node\nnot-mine\n")
    run("batch", "-", code=2, stdin="node\nNot A Name\n")
    run("batch", path("none.csv"), code=2)
    return ids


def listed(ids):
    """The forms of `list`, and its flags."""
    flags = ["list", "--label", LABEL]
    expected = {token_id for token_id in ids
                if "suite" in get(token_id).get("labels", {})}
    tokens = json_lines(run(*flags, "-o", "json")[0])
    check({token["id"] for token in tokens} == expected, "list -o json")
    documents = list(yaml.safe_load_all(run(*flags, "-o", "yaml")[0]))
    check({token["id"] for token in documents} == expected, "list -o yaml")
    check(set(run(*flags, "-o", "name")[0].split()) == expected,
          "list -o name")
    table = rows(run(*flags)[0])
    check({row[0] for row in table} == expected, "list: a table")
    check({row[1] for row in table} == {"issued"}, "list: states")
    check(len(run(*flags, "--limit", "2", "-o", "name")[0].split()) == 2,
          "list --limit")
    check(run(*flags, "--state", "spent,revoked")[0].count("\n") == 1,
          "list --state")
    check(run(*flags, "--node", node("b1"), "-o", "name")[0].split() ==
          [ids[2]], "list --node")
    early = set(run(*flags, "--expires-before", "25m", "-o", "name")[0].split())
    check(early == {ids[0]}, "list --expires-before")
    run("list", "--state", "nonsense", code=2)
    refused("INVALID_FIELD", "list", "--node", "Not A Name", code=2)


def look(token_id):
    text = dict(line.split(None, 1) for line in
                run("get", token_id)[0].splitlines())
    check(text["id"] == token_id and text["node"] == node("a"), "get: text")
    check(yaml.safe_load(run("get", token_id, "-o", "yaml")[0])["id"] ==
          token_id, "get -o yaml")
    check(rows(run("get", token_id, "-o", "table")[0])[0][0] == token_id,
          "get -o table")
    check(run("get", token_id, "-o", "name")[0] == token_id + "\n",
          "get -o name")
    run("get", token_id, "-o", "nonsense", code=2)
    run("get", "../../x", code=2)


def extend(token_id):
    before = get(token_id)["expireTime"]
    longer = json.loads(run("extend", token_id, "--for", "40m", "-o",
                            "json")[0])
    check(longer["expireTime"] > before, "extend --for")
    _, err = run("extend", token_id, "--for", "1m")
    check("unchanged" in err, "extend never shortens")
    until_then = time.strftime("%Y-%m-%dT%H:%M:%SZ",
                               time.gmtime(time.time() + 50 * 60))
    out, _ = run("extend", token_id, "--until", until_then)
    check(rows(out)[0][3] == until_then, "extend --until")
    err = refused("POLICY_DENIED", "extend", token_id, "--for", "100h")
    check("limit: " in err, "until when it may")
    run("extend", token_id, code=2)
    run("extend", token_id, "--for", "-1m", code=2)


def explain(token_id, types):
    for form, load in (("json", json.loads), ("yaml", yaml.safe_load)):
        told = load(run("explain", token_id, "-o", form)[0])
        check(told["token"]["id"] == token_id, f"explain -o {form}")
        check([step["type"] for step in told["steps"]] == types,
              f"explain -o {form}: {told['steps']}")
    text = run("explain", token_id)[0]
    for kind in types:
        check(f" {kind.lower()} " in text, f"explain: {kind}")


def revoke(one, several):
    out, err = run("revoke", one, "--reason", "a 'test'", "--dry-run")
    check(rows(out)[0][0] == one and "would revoke 1 token" in err, "a dry run")
    check(get(one)["state"] == "TOKEN_STATE_ISSUED", "which does nothing")
    out, _ = run("revoke", one, "--reason", "a 'test'", "-o", "json")
    check(json.loads(out)["revocation"]["reason"] == "a 'test'", "revoked")
    run("revoke", one, "--reason", "again")
    refused("TOKEN_REVOKED", "extend", one, "--for", "30m")
    flags = ["revoke", "--label", LABEL, "--node", node("b*"),
             "--reason", "a test"]
    run(*flags, code=2)
    out, err = run(*flags, "--yes", "-o", "name")
    check(sorted(out.split()) == sorted(several), "by flags")
    check("3 revoked" in err, "how many")
    run("revoke", one, code=2)
    run("revoke", "--reason", "all", "--yes", code=2)
    run("revoke", "a" * 300, "--reason", "a test", code=2)


def strangers(foreign):
    """What is another's is as what is not."""
    was = get(foreign, ARGS.other)
    commands = (["get"], ["get", "-o", "json"], ["explain"],
                ["extend", "--for", "50m"], ["revoke", "--reason", "mine now"],
                ["revoke", "--reason", "mine now", "--dry-run"])
    for command in commands:
        theirs = refused("TOKEN_UNKNOWN", *command, foreign)
        nobodys = refused("TOKEN_UNKNOWN", *command, "zzzzzz")
        check(theirs.replace(foreign, "zzzzzz") == nobodys,
              f"{command} tells them apart: {theirs} {nobodys}")
    check(foreign not in run("list", "-o", "name")[0], "it is not listed")
    _, err = run("revoke", "--node", node("foreign"), "--reason", "a test",
                 "--yes")
    check("0 revoked" in err, "nor revoked by flags")
    check(get(foreign, ARGS.other) == was, "it is as it was")


def watched(watches, happened, foreign):
    until(lambda: set(happened) <= set(watches.events()),
          f"told of {happened}")
    watches.end()
    # The one token was extended twice.
    told = [event for event in watches.events() if event[1] != "EXTENDED"]
    check(len(told) == len(set(told)), "nothing twice")
    check(foreign not in [token_id for token_id, _ in told],
          "nothing of another's token")
    ids = {token_id for token_id, _ in happened}
    documents = list(yaml.safe_load_all(read("watch-yaml")))
    check(ids <= {news["event"]["token"]["id"] for news in documents
                  if "event" in news}, "watch -o yaml")
    check(ids <= set(read("watch-name").split()), "watch -o name")
    table = rows(read("watch-table"))
    check(ids <= {row[2] for row in table}, "watch: a table")


def nobody_there():
    with open(ARGS.config) as file:
        config = yaml.safe_load(file)
    for context in config["contexts"]:
        context["broker"]["endpoint"] = "localhost:1"
    _, err = run("--timeout", "1s", "list", code=1,
                 config=write("away.yaml", yaml.safe_dump(config)))
    check("what to do: " in err, "away: what to do")
    run("list", context="nonsense", code=2)
    run("list", config=path("none.yaml"), code=2)


def main():
    watches = Watches()
    foreign = keep(run("issue", "--node", node("foreign"), "--label",
                       LABEL, context=ARGS.other)[0])
    first = issue()
    print("issue")
    joined = join(*machine_files())
    print("machine files, and a join by them")
    ids = batch()
    print("batch")
    listed([first] + ids)
    look(first)
    print("list, get")
    extend(first)
    explain(joined, ["ISSUED", "CLAIMED", "RESERVED", "APPROVED", "JOINED"])
    strangers(foreign)
    print("extend, explain, strangers")
    revoke(first, ids[:3])
    explain(first, ["ISSUED", "REVOKED"])
    run("revoke", foreign, "--reason", "a test", context=ARGS.other)
    print("revoke")
    watched(watches,
            [(first, kind) for kind in ("ISSUED", "EXTENDED", "REVOKED")] +
            [(token_id, "ISSUED") for token_id in ids] +
            [(joined, "JOINED")] + [(i, "REVOKED") for i in ids[:3]], foreign)
    print("watch")
    nobody_there()
    print("exit codes")


try:
    main()
finally:
    with open(ARGS.secrets, "w") as secrets_file:
        secrets_file.write("\n".join(SECRETS))
