# For scripts that are tests, to be sourced.

# left_out WHAT: ends the test where it cannot run: skipped (77), or failed if
# nothing may be left out (LATCHKEY_REQUIRE_ALL=1).
left_out() {
  echo "LEFT OUT: $*"
  [ "${LATCHKEY_REQUIRE_ALL:-}" = 1 ] && exit 1
  exit 77
}
