#!/bin/sh
# Usage: reliability_page_test.sh ROOT
#
# Every test that docs/reliability.md names exists, and the page has the rows that
# it is there for.
set -eu
cd "${1:?the root of the source tree}"
page=docs/reliability.md
source=$(mktemp)
trap 'rm -f "$source"' EXIT
# In one line: a test's head may go over two.
find tests -name '*.cc' -o -name '*.h' -o -name '*.cmake' -o -name CMakeLists.txt |
  xargs cat | tr '\n' ' ' | tr -s ' ' >"$source"
status=0
rows=0
while read -r row; do
  case $row in
    '| fault '* | '| --- '* | '') continue ;;
    '|'*) ;;
    *) continue ;;
  esac
  rows=$((rows + 1))
  tests=$(printf '%s\n' "$row" | cut -d '|' -f 5 |
    grep -oE '`[A-Za-z0-9_.]+`' | tr -d '`' || true)
  if [ -z "$tests" ]; then
    echo "$page: no test shows this: $row" >&2
    status=1
  fi
  for test in $tests; do
    case $test in
      *.*) pattern="\\(${test%%.*}, *${test#*.}\\)" ;;
      *) pattern="NAME $test( |\$)" ;;
    esac
    if ! grep -qE "$pattern" "$source"; then
      echo "$page: there is no test $test" >&2
      status=1
    fi
  done
done <"$page"
if [ "$rows" -lt 33 ]; then
  echo "$page has $rows rows, fewer than 33" >&2
  status=1
fi
exit $status
