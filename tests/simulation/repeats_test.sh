#!/bin/sh
# Usage: repeats_test.sh
#
# The same seed is the same history, to the last turn, in another process too, and
# whatever histories the process has run before.
# $LATCHKEY_SIMULATE_DIR has the program (simulation_test.sh).
set -u
. "$(dirname "$0")/../left_out.sh"
if [ -z "${LATCHKEY_SIMULATE_DIR:-}" ]; then
  left_out "no LATCHKEY_SIMULATE_DIR; ./latchkey test builds the program"
fi
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
for run in 1 2; do
  "$LATCHKEY_SIMULATE_DIR/latchkey_simulate" --first 1 --count 200 --trace \
    >"$work/$run" || exit 1
done
[ "$(wc -l <"$work/1")" -gt 10000 ] || { echo "there is no trace"; exit 1; }
diff "$work/1" "$work/2" | head -n 20
cmp "$work/1" "$work/2" || exit 1
"$LATCHKEY_SIMULATE_DIR/latchkey_simulate" --first 171 --count 1 --trace \
  >"$work/alone" || exit 1
sed -n '/^seed 171:$/,/^seed 172:$/p' "$work/1" | sed '$d' >"$work/among-others"
cmp "$work/alone" "$work/among-others"
