#!/bin/sh
# Usage: fuzz_test.sh ROOT
#
# Runs each fuzz target for a short while, from its corpus, and always the same
# way, so that a change is judged by what it changed; $LATCHKEY_FUZZ_SEED chooses
# another. $LATCHKEY_FUZZ_DIR has the targets (preset fuzz); without it there is
# nothing to run.
set -u
root=${1:?the root of the source tree}
seconds=${LATCHKEY_FUZZ_SECONDS:-20}
if [ -z "${LATCHKEY_FUZZ_DIR:-}" ]; then
  echo "LEFT OUT: no LATCHKEY_FUZZ_DIR; ./latchkey test builds the targets"
  exit 77
fi
found=$(mktemp -d) || exit 2
trap 'rm -rf "$found"' EXIT
status=0
for seeds in "$root"/tests/fuzz/corpus/*/; do
  name=$(basename "$seeds")
  mkdir "$found/$name"
  if ! "$LATCHKEY_FUZZ_DIR/${name}_fuzz" -seed="${LATCHKEY_FUZZ_SEED:-1}" -max_total_time="$seconds" -timeout=10 \
    -rss_limit_mb=1024 -artifact_prefix="$found/$name." \
    "$found/$name" "$seeds" >"$found/$name.log" 2>&1; then
    echo "$name: a crash, a hang or too much memory:"
    tail -n 40 "$found/$name.log"
    for artifact in "$found/$name".*-*; do
      [ -e "$artifact" ] || continue
      echo "the input, in base64, of ${artifact##*/}:"
      base64 "$artifact"
    done
    status=1
  fi
  tail -n 1 "$found/$name.log"
done
exit $status
