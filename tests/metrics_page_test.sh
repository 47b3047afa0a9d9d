#!/bin/sh
# Usage: metrics_page_test.sh ROOT
#
# Every metric that the broker has is on docs/metrics.md with its type, and the
# other way round.
set -eu
cd "${1:?the root of the source tree}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# "name type", of a definition that may go over two lines.
tr '\n' ' ' <services/broker_metrics.cc |
  grep -oE '(Count|Level|Times)\( *"latchkey_[a-z_]+"' |
  sed -E 's/^Count/counter/; s/^Level/gauge/; s/^Times/histogram/
    s/([a-z]+)\( *"([a-z_]+)"/\2 \1/' | sort -u >"$folder/code"
sed -nE 's/^\| `(latchkey_[a-z_]+)` \| ([a-z]+) \|.*/\1 \2/p' docs/metrics.md |
  sort >"$folder/page"
status=0
[ -s "$folder/code" ]
if ! diff "$folder/code" "$folder/page" >"$folder/diff"; then
  echo "services/broker_metrics.cc and docs/metrics.md differ (< code, > page):" >&2
  cat "$folder/diff" >&2
  status=1
fi
# And what it says of them further down names those that there are.
cut -d ' ' -f 1 "$folder/code" >"$folder/names"
for name in $(grep -oE 'latchkey_[a-z_]+' docs/metrics.md | sort -u); do
  if ! grep -qx "$name" "$folder/names"; then
    echo "docs/metrics.md: there is no metric $name" >&2
    status=1
  fi
done
exit $status
