#!/bin/sh
# Usage: unit_test.sh
#
# The tests of the control plane's own packages, by the go command in
# $LATCHKEY_GO: seconds after build.sh, which compiles nearly all of it.
set -eu
. "$(dirname "$0")/../left_out.sh"
if [ -z "${LATCHKEY_GO:-}" ]; then
  left_out "no LATCHKEY_GO; ./latchkey test finds one"
fi
cd "$(dirname "$0")"
GOTOOLCHAIN=local CGO_ENABLED=0 exec "$LATCHKEY_GO" test -trimpath -p 2 ./internal/...
