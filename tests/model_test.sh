#!/bin/sh
# Usage: model_test.sh ROOT
#
# Checks the models of docs/model with Spin: as they are, each promise must hold, and
# without any one of the guards the promise that is named here must break, or the
# model would prove nothing. Two checks at a time. Then, that ARCHITECTURE.md's table
# of transitions names what is there, and docs/model/README.md every guard.
set -u

# one ROOT holds|ends|PROMISE MODEL [-DNAME]...: says in a line how it went; fails if
# not as it should. `ends`: no history goes on for ever.
one() {
  models=$1/docs/model want=$2 model=$3
  shift 3
  case $want in
    holds) compile='-O1 -DSAFETY' run=-E ;; # -E: the model itself judges the end
    ends) compile='-O1 -DNP' run=-l ;;
    *) compile='-O0 -DSAFETY' run=-E ;; # a counter-example is found before -O1 is done
  esac
  work=$(mktemp -d) || return 2
  trap 'rm -rf "$work"' EXIT
  cd "$work" || return 2
  # shellcheck disable=SC2086 # lists of words
  if ! spin -a "$@" "$models/$model" >log 2>&1 ||
    ! cc $compile -w -DCOLLAPSE -DMEMLIM=1500 -o pan pan.c >>log 2>&1 ||
    ! ./pan "$run" -n -m20000 >>log 2>&1; then
    echo "CANNOT BE CHECKED: $model $*: $(tail -n 20 log)"
    return 1
  fi
  found=$(sed -n 's/.*errors: \([0-9][0-9]*\)$/\1/p' log)
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' log)
  broken=$(sed -n 's/^pan:1: \(assertion violated \)\{0,1\}\(.*\) (at depth .*/\2/p' log)
  whole=
  case $want in
    holds | ends)
      whole='every history'
      [ "$found" = 0 ] || broken=${broken:-something, and Spin does not say what}
      ;;
  esac
  if [ -z "$found" ] || [ -z "$states" ]; then
    echo "NO RESULT: $model $*: $(tail -n 20 log)"
  elif grep -q 'max search depth too small\|out of memory\|reached -DMEMLIM' log; then
    echo "NOT FINISHED: $model $*"
  elif [ -n "$whole" ] && [ -n "$broken" ]; then
    echo "DOES NOT HOLD: $model $*: $broken"
  elif [ -n "$whole" ]; then
    echo "$want as it should: $model $* ($states states)"
    return 0
  elif [ "$found" = 0 ]; then
    echo "HOLDS, though a guard is missing: $model $* ($want should break)"
  elif [ "$broken" != "$want" ]; then
    echo "BREAKS SOMETHING ELSE: $model $*: $broken; $want should"
  else
    echo "breaks as it should: $model $* ($want; $states states)"
    return 0
  fi
  return 1
}

if [ "${1:?the root of the source tree}" = --one ]; then
  shift
  one "$@"
  exit
fi
root=$(cd "$1" && pwd) || exit 2
# For the second run of this script, whose folder is another.
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
cd "$root" || exit 2
said=$(mktemp) || exit 2
trap 'rm -f "$said"' EXIT
status=0
complain() {
  echo "$1" >&2
  status=1
}

# What is to be checked: a line each, as one() takes it. The costly ones first.
checks() {
  two='-DCRASHES=1 -DLOST_ANSWERS=1'
  three="$two -DDELETIONS=1"
  four="$three -DFAILURES=1"
  revoked='-DREVOCATIONS=1 -DCRASHES=1 -DDELETIONS=1'
  echo "holds token_life.pml -DAPPROVERS=3 -DCRASHES=1 -DDELETIONS=1 -DDIRECT"
  for how in '' -DTICKET_STOLEN -DDIRECT; do
    echo "holds token_life.pml $four $how"
    echo "holds token_life.pml $revoked $how"
    echo "holds token_life.pml $two -DREVOCATIONS=1 $how"
    echo "holds token_life.pml -DUPKEEPS=2 -DLOST_ANSWERS=1 -DDELETIONS=1 $how"
    echo "ends token_life.pml -DLOST_ANSWERS=1 -DFAILURES=1 -DREVOCATIONS=1 $how"
  done
  echo "holds issue_token.pml"

  # Another guard does what each of these does, or the API server.
  echo "holds token_life.pml $revoked -DWITHOUT_SPEND_HOLDER"
  echo "holds token_life.pml $two -DREVOCATIONS=1 -DWITHOUT_USABLE_CLAIM"
  echo "holds token_life.pml $two -DWITHOUT_CLAIMED_RESERVE"
  echo "holds token_life.pml $two -DWITHOUT_LOGIN_DISABLED"

  # without PROMISE GUARD [-DNAME]...: the faults are never more than above.
  without() {
    promise=$1 guard=$2
    shift 2
    echo "$promise token_life.pml $* -DWITHOUT_$guard"
  }
  without honest_machine_joins CLAIMED_RESERVE "$two" -DWITHOUT_LOGIN_DISABLED

  alone=-DONLY_CERTIFICATES
  without one_certificate RESERVE "$three" $alone
  without one_certificate VERSION "$three" $alone -DDIRECT
  without one_certificate JUDGING_AGAIN "$three" $alone -DDIRECT
  without one_certificate FREE_RESERVE "$three" $alone -DDIRECT
  without one_certificate USABLE_RESERVE "$three" $alone
  without one_certificate CSR_IDENTITY "$three" $alone -DDIRECT
  without one_certificate CSR_VERSION "$four" $alone -DDIRECT
  without one_certificate RELEASE_HOLDER "$three" $alone -DDIRECT
  without one_certificate CERTAIN_DEATH "$three"
  without one_certificate AWAITING_THE_SIGNER "$three"

  without approved_is_on_record RESERVE "$two"
  without approved_is_on_record CSR_IDENTITY "$three" -DDIRECT
  without approved_fits_scope SCOPE "$two" -DDIRECT
  without approved_has_the_bound_key KEY "$two"

  without claim_is_kept VERSION "$two" -DTICKET_STOLEN
  without claim_is_kept CLAIM_STATE "$two" -DTICKET_STOLEN
  without answer_is_for_the_key BINDING "$two" -DTICKET_STOLEN

  without refused_changes_nothing CHECKING_FIRST "$two" -DTICKET_STOLEN
  without refused_changes_nothing CHECKING_FIRST "$two" -DDIRECT

  without spent_on_a_certificate CERTIFICATE "$two"
  without reserved_before_it_was_revoked USABLE_RESERVE "$revoked"
  without reserved_before_it_was_revoked RELEASE_STATE "$revoked"
  without nothing_approved_after_revoked CUTTING_OFF "$revoked"
  without nothing_approved_after_revoked CONFIRMED_DENIAL "$two" -DREVOCATIONS=1
  without over_for_good SPEND_STATE "$revoked"
  without over_for_good REVOKE_STATE "$revoked"

  without honest_machine_joins COMPLETION "$two"
  without honest_machine_joins PUTTING_OFF "$three"
  without honest_machine_joins CONSISTENT_READ "$two"
  without honest_machine_joins DENIAL_VERSION "$three" -DDIRECT
  without honest_machine_joins DENIAL_IDENTITY -DCRASHES=1 -DDELETIONS=1 -DDIRECT
  without honest_machine_joins GRACE "$two"
  without honest_machine_joins DURABLE_KEY "$two"
  without honest_machine_joins ASKING_AGAIN "$two"
  without honest_machine_joins PATIENCE "$two"
  without honest_machine_joins ADOPTION "$two"

  echo "one_secret issue_token.pml -DWITHOUT_DERIVED_ID"
  echo "one_secret issue_token.pml -DWITHOUT_SETTLING"
  echo "answered_with_ones_own issue_token.pml -DWITHOUT_COMPARISON"
  echo "answered_with_ones_own issue_token.pml -DWITHOUT_DIGEST"
  echo "refused_changes_nothing issue_token.pml -DWITHOUT_CHECKING_FIRST"
}

# Without blanks at the end: to xargs they join a line with the next.
checks | sed 's/ *$//' | xargs -P 2 -L 1 sh "$self" --one "$root" | tee "$said"
[ "$(grep -c ' as it should: ' "$said")" -eq "$(checks | wc -l)" ] ||
  complain "not as many checks went as they should as there are"

# A guard whose name is misspelt is one that is not taken out.
for model in token_life issue_token; do
  there=$(grep -o 'WITHOUT_[A-Z_]*[A-Z]' docs/model/$model.pml | sort -u)
  taken=$(checks | grep " $model" | grep -o 'WITHOUT_[A-Z_]*[A-Z]' | sort -u)
  [ "$there" = "$taken" ] ||
    complain "$model.pml has these guards: $there; and these are taken out: $taken"
  for guard in $there; do
    cat ARCHITECTURE.md docs/model/README.md | grep -q "\`${guard#WITHOUT_}\`" ||
      complain "neither ARCHITECTURE.md nor docs/model/README.md says what $guard is"
  done
done

# The table: | `Function`... | `file` | `MODEL_PROCESS`, `label`... | guards |
rows=0
while IFS='|' read -r _ functions file places _; do
  file=$(echo "$file" | tr -d '` ')
  rows=$((rows + 1))
  for function in $(echo "$functions" | tr -d '`,'); do
    grep -qE "(^|[ :*&])$function\(" "$file" ||
      complain "ARCHITECTURE.md: there is no $function in $file"
  done
  process=
  for place in $(echo "$places" | tr -d '`,'); do
    if [ -z "$process" ]; then
      process=$place
      body=$(sed -n "/^\(proctype\|inline\) $process(/,/^}/p" docs/model/*.pml)
      [ -n "$body" ] || complain "ARCHITECTURE.md: there is no $process in docs/model"
    else
      echo "$body" | grep -q "^$place:" ||
        complain "ARCHITECTURE.md: there is no $place in the model's $process"
    fi
  done
done <<EOT
$(sed -n '/^## Where the model has it/,/^## /p' ARCHITECTURE.md | grep '^| `')
EOT
[ "$rows" -ge 10 ] || complain "ARCHITECTURE.md: only $rows transitions"
exit $status
