#!/bin/sh
# Usage: layering_test.sh ROOT
#
# The arrows of ARCHITECTURE.md, enforced: a folder includes itself and what
# stands to its left; each foreign library stays behind its wall.
set -u
root=${1:?the root of the source tree}
cd "$root" || exit 2
status=0

complain() {
  echo "layering: $1" >&2
  status=1
}

# The includes of a folder: "file:line:#include ...".
includes() {
  grep -rn --include='*.h' --include='*.cc' '^#include' "$1" 2>/dev/null
}

order='core crypto policy audit clients storage services devcluster server'
allowed=
for folder in $order; do
  allowed="$allowed$folder|"
  [ -d "$folder" ] || continue
  bad=$(includes "$folder" | grep -E '#include "' |
        grep -vE "#include \"(${allowed}latchkey/v1|kubernetes|google/rpc)/")
  # The node client's own place in the order is clients/; it is named here only
  # to let it see nothing of storage and services, which the rule above says.
  [ -z "$bad" ] || complain "$folder/ reaches to its right:
$bad"
done

# wall PATTERN WHAT FOLDER...: only the named folders may include PATTERN.
wall() {
  pattern=$1 what=$2
  shift 2
  bad=$(for folder in $order; do includes "$folder"; done | grep -E "$pattern")
  for folder in "$@"; do
    bad=$(printf '%s\n' "$bad" | grep -v "^$folder")
  done
  bad=$(printf '%s\n' "$bad" | grep .)
  [ -z "$bad" ] || complain "$what outside $*:
$bad"
}

# Asio's TLS is OpenSSL's.
wall '<openssl/' OpenSSL crypto/ devcluster/http_face
wall '<boost/' Boost devcluster/http_face
wall '<curl/' libcurl clients/http/
wall '<yaml-cpp/' yaml-cpp core/config_reader.cc clients/ctl/data_tree.cc
wall '<zlib.h>' zlib core/ticket.cc
wall '<sqlite3.h>' SQLite devcluster/sqlite_object_store.cc
wall '<prometheus/' prometheus-cpp services/broker_metrics.cc
wall '<civetweb.h>' CivetWeb server/metrics_server.cc
wall '<(grpc|grpcpp)/|\.grpc\.pb\.h' gRPC services/ server/ clients/broker/ \
  clients/node/ clients/ctl/
wall '"latchkey/v1/' 'the latchkey.v1 messages' services/ server/ clients/node/ \
  clients/ctl/
wall '"google/rpc/' 'the google.rpc messages' services/ clients/broker/
wall '"kubernetes/' 'the Kubernetes messages' clients/kubernetes/ storage/ \
  services/ devcluster/
wall '<CLI/' CLI11 server/ clients/node/ clients/ctl/

exit $status
