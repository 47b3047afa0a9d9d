// Audit files as an attacker would write them: any text at all, one file or
// two.

#include <sstream>
#include <string>

#include "audit/audit_verify.h"
#include "tests/fuzz/insist.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(latchkey_testing::AsText(data, size));
  // A record that is accepted is in the one form that there is.
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto record = latchkey::ParseAuditLine(line);
    if (!record.ok()) continue;
    latchkey::AuditHead head{.sequence = record->sequence - 1,
                             .hash = record->prev};
    latchkey_testing::Insist(
        latchkey::EncodeAuditLine(record->event, record->time, head) == line);
  }
  const size_t middle = text.find("\n\n");
  std::istringstream first(text.substr(0, middle));
  std::istringstream second(
      middle == std::string::npos ? "" : text.substr(middle + 2));
  latchkey::VerifyAudit({{"a", &first}, {"b", &second}},
                        {.allow_missing_start = size % 2 == 0})
      .IgnoreError();
  return 0;
}
