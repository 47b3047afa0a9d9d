#!/bin/sh
# Usage: model_test.sh ROOT
#
# Checks the models of docs/model with Spin: as they are, they must hold, and
# without any one of the guards they must fail, or they would prove nothing.
set -u
models=${1:?the root of the source tree}/docs/model
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
status=0
number=0

# check holds|fails MODEL [-DNAME]...
check() {
  want=$1 model=$2
  shift 2
  number=$((number + 1))
  mkdir "$number" && cd "$number" || exit 2
  if ! spin -a "$@" "$models/$model" >log 2>&1 ||
    ! cc -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=4000 -o pan pan.c >>log 2>&1 ||
    # -E: what is blocked at the end is judged by the model itself.
    ! ./pan -E -n -m20000 >>log 2>&1; then
    tail -n 20 log
    exit 2
  fi
  found=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' log)
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' log)
  violated=$(sed -n 's/^pan:1: assertion violated //p' log)
  if grep -q 'max search depth too small\|out of memory\|reached -DMEMLIM' log; then
    echo "NOT FINISHED: $model $*"
    status=1
  elif [ "$want" = holds ] && [ "$found" -ne 0 ]; then
    echo "DOES NOT HOLD: $model $*: $violated"
    status=1
  elif [ "$want" = fails ] && [ "$found" -eq 0 ]; then
    echo "HOLDS, though a guard is missing: $model $*"
    status=1
  else
    echo "$want as it should: $model $* ($states states${violated:+; $violated})"
  fi
  cd "$work" && rm -rf "$number"
}

# Faults in pairs; all of them at once are more states than a test has time for.
answers_and_crashes='-DLOST_ANSWERS=1 -DCRASHES=1 -DDELETIONS=0'
crashes_and_deletions='-DLOST_ANSWERS=0 -DCRASHES=1 -DDELETIONS=1'
# shellcheck disable=SC2086 # lists of words
{
  check holds token_life.pml $answers_and_crashes
  check holds token_life.pml $answers_and_crashes -DTICKET_STOLEN
  check holds token_life.pml $answers_and_crashes -DDIRECT
  check holds token_life.pml $crashes_and_deletions
  check holds token_life.pml $crashes_and_deletions -DDIRECT

  check fails token_life.pml $answers_and_crashes -DWITHOUT_RESERVE
  check fails token_life.pml $answers_and_crashes -DWITHOUT_VERSION -DDIRECT
  check fails token_life.pml $answers_and_crashes -DWITHOUT_STATE -DDIRECT
  check fails token_life.pml $answers_and_crashes -DWITHOUT_SCOPE -DDIRECT
  check fails token_life.pml $answers_and_crashes -DWITHOUT_KEY
  check fails token_life.pml $answers_and_crashes -DWITHOUT_BINDING -DTICKET_STOLEN
  check fails token_life.pml $answers_and_crashes -DWITHOUT_COMPLETION
  check fails token_life.pml $answers_and_crashes -DWITHOUT_ADOPTION
  check fails token_life.pml $answers_and_crashes -DWITHOUT_DURABLE_KEY
  check fails token_life.pml $crashes_and_deletions -DWITHOUT_UID -DDIRECT
  check fails token_life.pml $crashes_and_deletions -DWITHOUT_CERTAIN_DEATH

  check holds issue_token.pml
  check fails issue_token.pml -DWITHOUT_DERIVED_ID
  check fails issue_token.pml -DWITHOUT_SETTLING
  check fails issue_token.pml -DWITHOUT_COMPARISON
}
exit $status
