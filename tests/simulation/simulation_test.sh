#!/bin/sh
# Usage: simulation_test.sh
#
# Simulates $LATCHKEY_SIMULATE_COUNT (100000) histories, always the same ones, or as
# many as $LATCHKEY_SIMULATE_SECONDS (400) are enough for, with the latchkey_simulate
# that $LATCHKEY_SIMULATE_DIR has; without it there is nothing to run. Where nothing
# may be left out it takes the time it takes.
set -eu
. "$(dirname "$0")/../left_out.sh"
if [ -z "${LATCHKEY_SIMULATE_DIR:-}" ]; then
  left_out "no LATCHKEY_SIMULATE_DIR; ./latchkey test builds the program"
fi
seconds=400
if [ "${LATCHKEY_REQUIRE_ALL:-}" = 1 ]; then seconds=0; fi
exec "$LATCHKEY_SIMULATE_DIR/latchkey_simulate" \
  --count "${LATCHKEY_SIMULATE_COUNT:-100000}" \
  --seconds "${LATCHKEY_SIMULATE_SECONDS:-$seconds}"
