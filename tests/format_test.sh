#!/bin/sh
# Usage: format_test.sh ROOT
#
# Every source file is as clang-format 14 would write it.
set -u
. "$(dirname "$0")/left_out.sh"
cd "${1:?the root of the source tree}" || exit 2
if ! clang-format --version 2>/dev/null | grep -q ' version 14\.'; then
  left_out "no clang-format 14; install the package clang-format"
fi
find . -path ./build -prune -o \( -name '*.cc' -o -name '*.h' -o -name '*.c' \) -print0 |
  xargs -0 clang-format --dry-run -Werror 2>&1 | grep ': error: ' && exit 1
exit 0
