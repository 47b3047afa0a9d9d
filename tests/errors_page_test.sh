#!/bin/sh
# Usage: errors_page_test.sh ROOT
#
# Every reason of core/reasons.h is on docs/errors.md, and the other way round.
set -eu
cd "${1:?the root of the source tree}"
in_code=$(grep -o '"[A-Z_]*"' core/reasons.h | tr -d '"' | sort -u)
on_page=$(grep -o '^| `[A-Z_]*`' docs/errors.md | tr -d '|` ' | sort -u)
[ -n "$in_code" ]
if [ "$in_code" != "$on_page" ]; then
  echo "core/reasons.h and docs/errors.md differ (< code, > page):" >&2
  mkdir -p "${TMPDIR:-/tmp}" && a=$(mktemp) && b=$(mktemp)
  printf '%s\n' "$in_code" > "$a"
  printf '%s\n' "$on_page" > "$b"
  diff "$a" "$b" >&2 || true
  rm -f "$a" "$b"
  exit 1
fi
