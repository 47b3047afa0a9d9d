#!/bin/sh
# Usage: demo.sh BIN [CONTROLPLANE]
#
# The life of two tokens, told step by step: one machine joins with a ticket, a
# thief who has the ticket does not; a thief who has a token does not join under
# another name, and the machine that the token is for does.
#
# BIN has the programs. Without CONTROLPLANE everything runs in `latchkeyd dev`;
# with it, the cluster is a real one, and a real kubelet registers its Node.
# Leaves nothing behind.
set -eu

bin=${1:?the folder of the programs}
controlplane=${2:-}
root=$(cd "$(dirname "$0")/.." && pwd)
umask 077
work=$(mktemp -d "${TMPDIR:-/tmp}/latchkey-demo-XXXXXX")
children=
exec 3>&2

step() { printf '\n== %s\n\n' "$*"; }
show() { sed 's/^/   /'; }

fail() {
  # Also out of a command whose own errors nobody hears.
  printf 'latchkey: demo: %s\n' "$*" >&3
  exit 1
}

clean_up() {
  trap - EXIT INT TERM
  for child in $children; do kill "$child" 2>/dev/null || :; done
  for child in $children; do wait "$child" 2>/dev/null || :; done
  if [ -n "$controlplane" ] && [ -d "$work/cluster" ]; then
    "$controlplane" down --dir "$work/cluster" >/dev/null 2>&1 || :
  fi
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# await SECONDS WHAT COMMAND...: until COMMAND succeeds; fails with WHAT.
await() {
  tenths=$(($1 * 10)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    tenths=$((tenths - 1))
    [ "$tenths" -gt 0 ] || fail "$what did not happen; see: $(tail -n 3 "$work/log")"
    sleep 0.1
  done
}

# begin COMMAND...: in the background, ended with the demo.
begin() {
  "$@" >"$work/out" 2>>"$work/log" </dev/null &
  children="$! $children"
}

# alive_and COMMAND...: COMMAND's answer, and the end of the demo if latchkeyd
# is gone.
alive_and() {
  kill -0 "$broker" 2>/dev/null || fail "$(tail -n 1 "$work/log")"
  "$@"
}

start_dev() {
  site=$work/site
  begin "$bin/latchkeyd" dev --data-dir "$site" --listen 127.0.0.1:0 --log-level info
  broker=${children%% *}
  await 20 'the start of latchkeyd dev' alive_and grep -q '^Ready' "$work/out"
  kubeconfig=$site/admin.kubeconfig
}

start_real() {
  cluster=$work/cluster site=$work/cluster/latchkey
  "$controlplane" up --detach --dir "$cluster" >"$work/log" 2>&1 ||
    fail "the control plane did not start: $(tail -n 3 "$work/log")"
  "$root/tests/controlplane/add-latchkey.sh" "$cluster" "$controlplane" >>"$work/log" 2>&1 ||
    fail "the cluster could not be made ready: $(tail -n 3 "$work/log")"
  begin "$bin/latchkeyd" --config "$site/broker.yaml"
  broker=${children%% *}
  await 20 'the start of latchkeyd' alive_and grep -q '"broker serves"' "$work/log"
  kubeconfig=$cluster/admin.kubeconfig
}

issue() { "$bin/latchkeyctl" --config "$site/latchkeyctl.yaml" issue "$@"; }

# join CONFIG: what latchkey-join says of it; sets $verdict.
join() {
  verdict=0
  "$bin/latchkey-join" --config "$1" >"$work/join" 2>&1 || verdict=$?
  # Written to no terminal, it reports in JSON.
  sed -E 's/.*"message":"(([^"\\]|\\.)*)".*/\1/' "$work/join" | show
}

# refused REASON: the last join was, because of REASON.
refused() {
  [ "$verdict" -eq 3 ] && grep -q "$1" "$work/join" ||
    fail "this should have been refused with $1"
}

# another_machine NAME: the configuration of worker-1, for other files.
another_machine() {
  sed "s#/worker-1/#/$1/#" "$site/join.yaml" >"$work/$1.yaml"
  printf '%s\n' "$work/$1.yaml"
}

# with_token NAME: a configuration for the machine NAME and the token itself.
with_token() {
  cat >"$work/$1.yaml" <<END
node_name: $1
direct:
  api_server: $(sed -n 's/.*server: *"\{0,1\}\(https:[^",} ]*\).*/\1/p' "$kubeconfig" | head -n 1)
  ca_file: $site/worker-1/ca.crt
  token_file: $site/token
output:
  cert_dir: $work/$1/pki
  kubeconfig: $work/$1/kubelet.conf
  ca_file: $work/$1/ca.crt
END
  printf '%s\n' "$work/$1.yaml"
}

# A line of the log an event: time, event, what else it says.
time_line() {
  grep "\"token\":\"$1\"" "$work/log" |
    sed -E 's/^\{"time":"[^T"]*T([^Z"]*)Z","level":"[a-z]*","event":"([^"]*)",?/\1  \2  /
            s/"token":"[a-z0-9]*",?//
            s/"([a-z_]+)":"([^"]*)"/\1=\2/g; s/,([a-z_]+=)/ \1/g; s/\}$//'
}

logged() { grep "\"token\":\"$1\"" "$work/log" | grep -q "\"$2\""; }

# A kubelet with the credential that latchkey-join left.
register_node() {
  machine=$work/machine
  mkdir "$machine"
  port=$((20000 + $$ % 20000))
  for file in kubelet.yaml containerd.toml; do
    sed "s#@dir@#$machine#g; s#@port@#$port#g" \
      "$root/tests/controlplane/$file.in" >"$machine/$file"
  done
  begin containerd --config "$machine/containerd.toml"
  await 30 'the start of containerd' test -S "$machine/containerd/containerd.sock"
  begin "$root/tests/controlplane/contained.sh" "$controlplane" kubelet \
    --kubeconfig="$site/worker-1/kubelet.conf" --cert-dir="$site/worker-1/pki" \
    --root-dir="$machine/root" --hostname-override=worker-1 \
    --config="$machine/kubelet.yaml"
  await 60 'the Node of worker-1' \
    "$controlplane" kubectl --kubeconfig "$kubeconfig" get node worker-1
  "$controlplane" kubectl --kubeconfig "$kubeconfig" get nodes | show
}

step 'A cluster and a broker'
if [ -n "$controlplane" ]; then
  start_real
  echo 'The real etcd, kube-apiserver and kube-controller-manager run on loopback,' | show
  echo 'and latchkeyd beside them.' | show
else
  start_dev
  echo 'latchkeyd dev runs: an embedded control plane and a broker in one process.' | show
fi

step 'A provisioner asks for a ticket for the machine worker-1'
issue --node worker-1 --out "$site/ticket" 2>&1 | show
token=$(cut -c5-10 "$site/ticket")

step 'worker-1 joins with it'
join "$site/join.yaml"
[ "$verdict" -eq 0 ] || fail 'worker-1 could not join'
echo
openssl x509 -in "$site/worker-1/pki/kubelet-client-current.pem" -noout \
  -subject -issuer -enddate | show

if [ -n "$controlplane" ]; then
  step 'Its kubelet starts with that certificate, and its Node appears'
  register_node
fi

step 'A thief has the same ticket, and a key of his own'
join "$(another_machine thief)"
refused 'TICKET_ALREADY_CLAIMED\|TOKEN_SPENT'

step 'Another thief has a whole bootstrap token, of worker-2, and tries another name'
issue --node worker-2 --delivery direct --out "$site/token" 2>&1 | show
join "$(with_token worker-3)"
refused SCOPE_NODE_NAME

step 'That cost worker-2 nothing: it joins with the very token'
join "$(with_token worker-2)"
[ "$verdict" -eq 0 ] || fail 'worker-2 could not join'

step "The life of worker-1's token, as latchkeyd logged it"
await 20 'the end of the token' logged "$token" 'token spent'
time_line "$token" | show

step 'What to try next'
if [ -n "$controlplane" ]; then
  cat <<'END' | show
./latchkey cluster up /tmp/try     the same cluster, to keep and to play with
./latchkey demo                    the same without a cluster, in seconds
END
else
  cat <<'END' | show
build/dev/bin/latchkeyd dev        the same, to keep and to play with: it prints how
./latchkey demo --real             the same on a real control plane, with a kubelet
END
fi
