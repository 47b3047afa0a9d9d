#!/bin/sh
# Usage: named_tests_test.sh ROOT
#
# Each test that a page of docs/ names in backticks, as in
# `RacesE2eTest.OneOfManyCsrsIsEverApproved`, is there; so is each tests/*.sh.
set -u
root=${1:?the root of the source tree}
cd "$root" || exit 2
status=0

there=$(mktemp) || exit 2
trap 'rm -f "$there"' EXIT
# TEST(Suite, Case), over two lines too.
find tests -name '*.cc' -o -name '*.h' | xargs cat | tr '\n' ' ' |
  grep -oE '\b(TYPED_)?TEST(_F|_P)?\( *[A-Za-z0-9]+, *[A-Za-z0-9]+' |
  sed -E 's/.*\( *//; s/, */./' | sort -u >"$there"

for page in docs/*.md SECURITY.md; do
  for name in $(grep -oE '`[A-Za-z0-9]+(Test|Contract)\.[A-Z][A-Za-z0-9]+`' "$page" | tr -d '`' | sort -u); do
    grep -qxF "$name" "$there" || {
      echo "$page names $name, which is no test"
      status=1
    }
  done
  for script in $(grep -oE 'tests/[a-z_]+\.sh' "$page" | sort -u); do
    [ -f "$script" ] || {
      echo "$page names $script, which is not there"
      status=1
    }
  done
done
exit $status
