// `latchkeyctl audit verify`: proves audit files, without any broker.

#ifndef LATCHKEY_CLIENTS_CTL_AUDIT_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_AUDIT_COMMAND_H_

#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace latchkey {

// As typed.
struct AuditFlags {
  std::vector<std::string> files;
  bool allow_missing_start = false;
  std::string clock_skew = "5s";
};

// Adds `audit` with its `verify` to `app`; answers `audit`, which was asked for
// if it is parsed().
CLI::App* AddAuditCommand(CLI::App& app, AuditFlags& flags);

// Prints the verdict. 0: proven. 1: a file cannot be read. 2: wrong arguments.
// 3: not proven; says file, line and why.
int RunAuditVerify(const AuditFlags& flags);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_AUDIT_COMMAND_H_
