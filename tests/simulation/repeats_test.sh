#!/bin/sh
# Usage: repeats_test.sh PROGRAM
#
# The same seed is the same history, to the last turn, in another process too.
set -u
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
for run in 1 2; do
  "${1:?}" --first 1 --count 20 --trace >"$work/$run" || exit 1
done
[ "$(wc -l <"$work/1")" -gt 1000 ] || { echo "there is no trace"; exit 1; }
diff "$work/1" "$work/2" | head -n 20
cmp "$work/1" "$work/2"
