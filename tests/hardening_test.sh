#!/bin/sh
# Usage: hardening_test.sh BINDIR|release CXX plain|fortified
#
# Reads the programs in BINDIR, or in $LATCHKEY_RELEASE_DIR, and beside it
# compile_commands.json, and checks that they were built as cmake/Hardening.cmake
# says; "fortified" builds are those with an optimiser. The flags are looked for in the
# command of each file, and their traces, where they leave any, in the programs.
# First it builds small programs with CXX, each without one of the properties, and
# sees that the check refuses each of them: a check that cannot fail shows nothing.
set -u
bin=${1:?the folder of the programs}
if [ "$bin" = release ]; then
  . "$(dirname "$0")/left_out.sh"
  [ -n "${LATCHKEY_RELEASE_DIR:-}" ] ||
    left_out "no LATCHKEY_RELEASE_DIR; ./latchkey test builds the programs"
  bin=$LATCHKEY_RELEASE_DIR
fi
cxx=${2:?the compiler}
fortified=${3:-plain}
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C

# faults PROGRAM plain|fortified: what it lacks, a line each.
faults() {
  headers=$(readelf -hlW "$1") && dynamic=$(readelf -dW "$1") &&
    symbols=$(readelf --dyn-syms -W "$1") || { echo "readelf cannot read it"; return; }
  has() { printf '%s\n' "$1" | grep -Eq -- "$2"; }
  { has "$headers" 'Type: +DYN' && has "$dynamic" 'FLAGS_1.*PIE'; } ||
    echo "not position-independent"
  has "$headers" '^ *GNU_RELRO ' || echo "no read-only relocations"
  has "$dynamic" 'FLAGS_1.*NOW' || echo "relocations are not bound at the start"
  has "$headers" '^ *GNU_STACK .* RW +0x' || echo "an executable stack"
  ! has "$headers" '^ *LOAD .* RWE ' || echo "memory both writable and executable"
  ! has "$dynamic" 'TEXTREL' || echo "relocations in the code"
  ! has "$dynamic" 'RPATH|RUNPATH' || echo "a search path for libraries"
  has "$symbols" ' __stack_chk_fail' || echo "no stack protector"
  has "$symbols" ' _ZSt21__glibcxx_assert_fail' || echo "no assertions of the library"
  if [ "$2" = fortified ]; then
    has "$symbols" ' __[a-z]+_chk@' || echo "no fortified calls"
  fi
  if has "$headers" 'X86-64'; then unmarked_targets "$1"; fi
}

# missing_flags COMMANDS plain|fortified: files that are compiled without one of the
# flags, a line each. A flag that comes later can take one back.
missing_flags() {
  awk -v fortified="$2" '
    !/^ *"command":/ { next }
    {
      commands++
      split($0, words, / -o /)
      sub(/ .*/, "", words[2])
      name = words[2]
      level = ""
      split("", there)
      for (i = split($0, flags, / /); i > 0; i--) {
        there[flags[i]] = 1
        if (level == "" && flags[i] ~ /^-[DU]_FORTIFY_SOURCE/) level = flags[i]
      }
      if (!there["-fstack-protector-strong"] || there["-fno-stack-protector"])
        print name ": no -fstack-protector-strong"
      if (!there["-fstack-clash-protection"] || there["-fno-stack-clash-protection"])
        print name ": no -fstack-clash-protection"
      if (!there["-D_GLIBCXX_ASSERTIONS"] || there["-U_GLIBCXX_ASSERTIONS"])
        print name ": no _GLIBCXX_ASSERTIONS"
      if (fortified == "fortified" && level != "-D_FORTIFY_SOURCE=3")
        print name ": no _FORTIFY_SOURCE=3"
    }
    END { if (!commands) print "no compile commands" }' "$1"
}

# Control-flow enforcement: of our global functions each begins with endbr64.
# The mark of the whole program (.note.gnu.property) says nothing here: it is
# lost to the C library's start files (docs/threat-model.md).
unmarked_targets() {
  nm --defined-only "$1" | awk '$2 == "T" && $3 ~ /^(main$|_ZN[KVR]*8latchkey)/ { print $3 }' \
    >"$tmp/targets"
  objdump -d --no-show-raw-insn "$1" | awk -v targets="$tmp/targets" '
    BEGIN { while ((getline name < targets) > 0) wanted["<" name ">:"] = 1 }
    expected { if ($2 != "endbr64") missing++; else found++; expected = 0 }
    $2 in wanted { expected = 1 }
    END {
      if (missing) printf "%d functions without endbr64\n", missing
      else if (!found) print "no function to look at: is it stripped?"
    }'
}

# --- the check itself
cat >"$tmp/small.cc" <<'END'
#include <cstdio>
#include <cstring>
#include <vector>
int main(int count, char** arguments) {
  char copy[64];
  if (std::vector<int>(1)[count]) return 1;
  std::strcpy(copy, arguments[count - 1]);
  return std::puts(copy);
}
END
status=0
hardened='-O2 -D_GLIBCXX_ASSERTIONS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fPIE -pie -fstack-protector-strong
  -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack'
case $("$cxx" -dumpmachine) in
  x86_64-*) x86=1 hardened="$hardened -fcf-protection=full" ;;
  *) x86= ;;
esac

# expect COMPLAINT FLAG...: built hardened but for FLAG, the program is refused
# with COMPLAINT and nothing else; with no COMPLAINT, it passes.
expect() {
  complaint=$1
  shift
  # shellcheck disable=SC2086 # a list of words
  "$cxx" $hardened "$@" "$tmp/small.cc" -o "$tmp/small" || { status=1; return; }
  found=$(faults "$tmp/small" fortified)
  if [ "$found" != "$complaint" ]; then
    echo "built with '$*': expected '$complaint', the check says '$found'"
    status=1
  fi
}
expect ''
expect 'not position-independent' -fno-PIE -no-pie
expect 'no read-only relocations' -Wl,-z,norelro
expect 'relocations are not bound at the start' -Wl,-z,lazy
expect 'an executable stack' -Wl,-z,execstack
expect 'no stack protector' -fno-stack-protector
expect 'no fortified calls' -U_FORTIFY_SOURCE
expect 'no assertions of the library' -U_GLIBCXX_ASSERTIONS
expect 'a search path for libraries' -Wl,-rpath,/nowhere
[ -z "$x86" ] || expect '1 functions without endbr64' -fcf-protection=none

# expect_flags COMPLAINT FLAG...: the same of a file's command.
expect_flags() {
  complaint=$1
  shift
  printf '  "command": "c++ %s -o x.o -c x.cc",\n' "$*" >"$tmp/commands"
  found=$(missing_flags "$tmp/commands" fortified)
  if [ "$found" != "$complaint" ]; then
    echo "compiled with '$*': expected '$complaint', the check says '$found'"
    status=1
  fi
}
protector=-fstack-protector-strong
clash=-fstack-clash-protection
asserting=-D_GLIBCXX_ASSERTIONS
fortify='-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3'
expect_flags '' $protector $clash $asserting "$fortify"
expect_flags 'x.o: no -fstack-protector-strong' $clash $asserting "$fortify"
expect_flags 'x.o: no -fstack-clash-protection' $protector $asserting "$fortify"
expect_flags 'x.o: no -fstack-clash-protection' \
  $protector $clash $asserting "$fortify" -fno-stack-clash-protection
expect_flags 'x.o: no _GLIBCXX_ASSERTIONS' $protector $clash "$fortify"
expect_flags 'x.o: no _FORTIFY_SOURCE=3' $protector $clash $asserting
expect_flags 'x.o: no _FORTIFY_SOURCE=3' \
  $protector $clash $asserting "$fortify" -U_FORTIFY_SOURCE
: >"$tmp/commands"
[ "$(missing_flags "$tmp/commands" plain)" = 'no compile commands' ] ||
  { echo "no command at all passes"; status=1; }

# --- the files
found=$(missing_flags "$bin/../compile_commands.json" "$fortified")
if [ -n "$found" ]; then
  printf '%s\n' "$found" | head -n 20
  status=1
fi

# --- the programs
for program in latchkeyd latchkeyctl latchkey-join; do
  found=$(faults "$bin/$program" "$fortified")
  [ -n "$found" ] || continue
  echo "$bin/$program:"
  printf '%s\n' "$found"
  status=1
done
exit $status
