#!/bin/sh
# Usage: tsan_test.sh
#
# Runs threads_test, built by preset tsan, under ThreadSanitizer. $LATCHKEY_TSAN_DIR
# has it; without it there is nothing to run.
set -eu
. "$(dirname "$0")/left_out.sh"
if [ -z "${LATCHKEY_TSAN_DIR:-}" ]; then
  left_out "no LATCHKEY_TSAN_DIR; ./latchkey test builds the program"
fi
TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1} exec "$LATCHKEY_TSAN_DIR/threads_test"
