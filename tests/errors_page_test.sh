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

# And with the gRPC code that the page says: "reason CODE" of every refusal that
# the code makes. WrongState, OutOfScope and Denied are short for one code each.
# A row marked (CSR) may have another code on a CSR's way.
pairs=$(find core crypto policy audit clients storage services server \
  -name '*.cc' -exec cat {} + | tr '\n' ' ' |
  grep -oE '(Refuse\( *(absl::StatusCode::)?k[A-Za-z]+, *|WrongState\( *|OutOfScope\( *|Denied\( *)(latchkey::)?reason::k[A-Za-z]+' |
  sed -E 's/WrongState\(/kFailedPrecondition,/; s/(OutOfScope|Denied)\(/kPermissionDenied,/
    s/Refuse\(//; s/absl::StatusCode:://; s/(latchkey::)?reason:://; s/[ ,]+/ /g' |
  sort -u)
status=0
while read -r code reason; do
  name=$(sed -nE "s/.* $reason = *\"([A-Z_]+)\".*/\1/p" core/reasons.h)
  # The definition may go on in the next line.
  [ -n "$name" ] || name=$(tr '\n' ' ' <core/reasons.h |
    grep -oE " $reason = *\"[A-Z_]+\"" | grep -oE '"[A-Z_]+"' | tr -d '"')
  grpc=$(printf '%s' "${code#k}" | sed -E 's/([a-z])([A-Z])/\1_\2/g' | tr a-z A-Z)
  cell=$(grep "^| \`$name\` " docs/errors.md | cut -d '|' -f 3)
  case $cell in
    *"$grpc"* | *'(CSR)'*) ;;
    *)
      echo "docs/errors.md: $name is refused with $grpc, the page says:$cell" >&2
      status=1
      ;;
  esac
done <<END
$pairs
END
exit $status
