#!/bin/sh
# Usage: tsan_test.sh
#
# Runs threads_test, built by preset tsan, under ThreadSanitizer. $LATCHKEY_TSAN_DIR
# has it; without it there is nothing to run.
set -eu
if [ -z "${LATCHKEY_TSAN_DIR:-}" ]; then
  echo "LEFT OUT: no LATCHKEY_TSAN_DIR; ./latchkey test builds the program"
  [ "${LATCHKEY_REQUIRE_ALL:-}" = 1 ] && exit 1
  exit 77
fi
TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1} exec "$LATCHKEY_TSAN_DIR/threads_test"
