#!/bin/sh
# Usage: fuzz_test.sh ROOT
#
# Runs each fuzz target for a minute, or $LATCHKEY_FUZZ_SECONDS, from its
# corpus, and always the same way, so that a change is judged by what it changed;
# $LATCHKEY_FUZZ_SEED chooses another. $LATCHKEY_FUZZ_DIR has the targets (preset
# fuzz); without it there is nothing to run.
set -u
. "$(dirname "$0")/left_out.sh"
root=${1:?the root of the source tree}
if [ -z "${LATCHKEY_FUZZ_DIR:-}" ]; then
  left_out "no LATCHKEY_FUZZ_DIR; ./latchkey test builds the targets"
fi

if [ "$#" -eq 1 ]; then
  LATCHKEY_FUZZ_FOUND=$(mktemp -d) || exit 2
  export LATCHKEY_FUZZ_FOUND
  trap 'rm -rf "$LATCHKEY_FUZZ_FOUND"' EXIT
  # As many at a time as there are processors, two at least. xargs goes on after
  # one that failed, and tells in the end.
  processors=$(nproc)
  if [ "$processors" -lt 2 ]; then processors=2; fi
  printf '%s\0' "$root"/tests/fuzz/corpus/*/ |
    xargs -0 -n 1 -P "$processors" "$0" "$root" || exit 1
  exit 0
fi

# fuzz_test.sh ROOT SEEDS: runs one.
seeds=$2
name=$(basename "$seeds")
found=$LATCHKEY_FUZZ_FOUND/$name
mkdir "$found"
if "$LATCHKEY_FUZZ_DIR/${name}_fuzz" -seed="${LATCHKEY_FUZZ_SEED:-1}" \
  -max_total_time="${LATCHKEY_FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=1024 \
  -artifact_prefix="$found." "$found" "$seeds" >"$found.log" 2>&1; then
  echo "$name: $(tail -n 1 "$found.log")"
  exit 0
fi
{
  echo "$name: a crash, a hang or too much memory:"
  tail -n 40 "$found.log"
  for artifact in "$found".*-*; do
    [ -e "$artifact" ] || continue
    echo "the input, in base64, of ${artifact##*/}:"
    base64 "$artifact"
  done
} >"$found.report"
# In one piece, beside others that write.
cat "$found.report"
exit 1
