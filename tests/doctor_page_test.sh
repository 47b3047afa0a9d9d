#!/bin/sh
# Usage: doctor_page_test.sh ROOT
#
# Every finding of the doctor has a row in docs/doctor.md, and every row is of a
# finding.
set -eu
cd "${1:?the root of the source tree}"

code=$(grep -ohE '\.id = "[a-z-]+"' clients/doctor/*.cc |
  sed 's/.*"\(.*\)"/\1/' | grep -v -- '-not-checked$' | sort -u)
page=$(sed -n '/^## Findings/,/^## What/s/^| `\([a-z-]*\)` |.*/\1/p' docs/doctor.md |
  sort -u)
[ -n "$code" ] || { echo "no findings in clients/doctor/" >&2; exit 1; }
if [ "$code" != "$page" ]; then
  printf 'in the code:\n%s\nin docs/doctor.md:\n%s\n' "$code" "$page" >&2
  exit 1
fi
