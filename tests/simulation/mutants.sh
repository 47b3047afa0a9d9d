#!/bin/sh
# Usage: mutants.sh --check ROOT
#        mutants.sh BUILD [NAME]...
#        mutants.sh --some
#
# tests/simulation/mutants/ has deliberate bugs: patches that each take one guard
# out of one file; the first line says which. --check: they still apply. Else each
# is compiled into a latchkey_simulate of its own, beside the one that is in
# BUILD, and histories are simulated until one breaks a promise; prints a row of
# docs/simulation.md each. Fails if one is not caught. --some: with the build that
# $LATCHKEY_RELEASE_DIR is of, a few of which each takes another promise and few
# histories, and that it is broken which their row in docs/simulation.md has: a check
# that is lost is missed, though the bug may break another promise later.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
status=0
compare=no
jobs=

check() {
  number=0
  for patch in "$here"/mutants/*.patch; do
    number=$((number + 1))
    if ! patch --dry-run --fuzz=0 -s -f -p1 -d "$1" <"$patch" >"$work/log" 2>&1; then
      echo "does not apply: $patch"
      cat "$work/log"
      status=1
    fi
  done
  [ "$number" -ge 15 ] || { echo "only $number deliberate bugs"; status=1; }
  exit $status
}

# mutate NAME: makes $work/simulate.
mutate() {
  patch=$here/mutants/$1.patch
  file=$(sed -n 's,^+++ b/,,p' "$patch")
  mkdir -p "$work/$(dirname "$file")"
  cp "$root/$file" "$work/$file"
  patch -s -f -p1 -d "$work" <"$patch" || return 1
  # The commands that made the program: this file's, and the link, in which the
  # mutant's object comes before the library that has the original.
  compile=$(grep -F -- "-c $root/$file" "$work/commands")
  link=$(tail -n 1 "$work/commands")
  rm -f "$work/simulate"
  (
    cd "$build" &&
      sh -c "$(printf '%s\n' "$compile" |
        sed "s, -O[23] , -O1 ,; s, -o [^ ]*, -o $work/mutant.o,; s, -MF [^ ]*, -MF $work/mutant.d,; s, -c .*, -w -c $work/$file,")" &&
      sh -c "$(printf '%s\n' "$link" |
        sed "s, -o bin/latchkey_simulate , $work/mutant.o -o $work/simulate ,")"
  ) || return 1
  [ -x "$work/simulate" ]
}

case ${1:?} in
  --check) check "${2:?the root of the source tree}" ;;
  --some)
    . "$here/../left_out.sh"
    if [ -z "${LATCHKEY_RELEASE_DIR:-}" ]; then
      left_out "no LATCHKEY_RELEASE_DIR; ./latchkey test builds the program"
    fi
    compare=yes
    # One after the other: of two at once whichever ends first is told.
    jobs='--jobs 1'
    set -- "$LATCHKEY_RELEASE_DIR/.." \
      administration-reaches-anybodys administration-revokes-on-trial \
      approver-audits-no-verdict approver-does-not-reserve batch-mixes-results \
      broker-keeps-misuse-to-itself broker-takes-any-ticket \
      joiner-makes-a-key-each-time misuse-freezes-against-the-policy \
      rules-alternative-names \
      storage-claim-again storage-issued-lets-log-in \
      storage-replace-without-version storage-scrub-keeps-the-secret \
      upkeep-releases-what-is-approved upkeep-removes-tombstones upkeep-spends-at-once
    ;;
esac
build=$(cd "$1" && pwd)
shift
ninja -C "$build" latchkey_simulate >/dev/null || exit 2
ninja -C "$build" -t commands latchkey_simulate >"$work/commands" || exit 2
if [ $# -eq 0 ]; then
  for patch in "$here"/mutants/*.patch; do
    set -- "$@" "$(basename "$patch" .patch)"
  done
fi
for name in "$@"; do
  if ! mutate "$name" >"$work/log" 2>&1; then
    echo "| $name | DOES NOT BUILD | |"
    tail -n 5 "$work/log"
    status=1
    continue
  fi
  # shellcheck disable=SC2086
  "$work/simulate" --count 1000000 --seconds "${LATCHKEY_MUTANT_SECONDS:-120}" \
    --failures 1 --no-shrink $jobs >"$work/log" 2>&1
  histories=$(sed -n 's/^FAILED: .*history \([0-9]*\) .*/\1/p' "$work/log" | head -n 1)
  promise=$(sed -n 's/^ *VIOLATION \([^:]*\(: [a-z ]*\)\{0,1\}\): .*/\1/p' "$work/log" | head -n 1)
  if grep -q 'the process died' "$work/log"; then promise="(it dies of it)"; fi
  if [ -z "$histories" ]; then
    echo "| $name | NOT CAUGHT in $(sed -n 's/^\([0-9]*\) histories.*/\1/p' "$work/log") | |"
    status=1
  else
    echo "| $name | $histories | $promise |"
    row=$(sed -n "s/^| $name | [0-9]* | \(.*\) |\$/\1/p" "$root/docs/simulation.md")
    if [ $compare = yes ] && ! grep -qF " VIOLATION ${row:-no row}: " "$work/log"; then
      echo "not caught by what docs/simulation.md says: ${row:-it has no row}"
      status=1
    fi
  fi
done
exit $status
