#!/bin/sh
# Usage: tsan_test.sh
#
# Runs threads_test, built by preset tsan, under ThreadSanitizer. $LATCHKEY_TSAN_DIR
# has it; without it there is nothing to run. Prints what does not pass.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/left_out.sh"
if [ -z "${LATCHKEY_TSAN_DIR:-}" ]; then
  left_out "no LATCHKEY_TSAN_DIR; ./latchkey test builds the program"
fi
TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:suppressions=$here/tsan.supp}
export TSAN_OPTIONS
printed=$(mktemp)
trap 'rm -f "$printed"' EXIT
status=0
# Before ctest's own limit, which would leave nothing to print.
timeout 570 "$LATCHKEY_TSAN_DIR/threads_test" >"$printed" 2>&1 || status=$?
# A test's first line is kept until it is known not to have passed: one that ends
# the program is the last.
awk '/^\[ RUN / { run = $0; next }
     /^\[ +OK \]/ { run = ""; next }
     run != "" { print run; run = "" }
     /^\[---/ || /^$/ { next }
     { print }
     END { if (run != "") print run }' "$printed"
exit "$status"
