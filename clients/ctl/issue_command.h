// `latchkeyctl issue`: one token for one machine.

#ifndef LATCHKEY_CLIENTS_CTL_ISSUE_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_ISSUE_COMMAND_H_

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "clients/ctl/ctl_config.h"

namespace latchkey {

// As typed; durations and digests are checked by RunIssue.
struct IssueFlags {
  std::string node_name;
  std::string delivery = "ticket";
  std::string lifetime;
  std::vector<std::string> groups;
  std::string max_certificate_lifetime;
  std::string public_key_sha256;  // hexadecimal
  bool allow_node_replacement = false;
  bool validate_only = false;
  std::string request_id;
  std::string output = "text";  // or json
  std::string out_file;
  std::string timeout = "30s";
};

// Calls IssueToken, repeating the same request while the broker says that it is
// worth it, and prints the ticket (or direct token) on standard output, alone
// on a line, or writes it to `out_file`, a new file with mode 0600; what else
// there is to say goes to standard error. With output json: the whole answer.
//
// kInvalidArgument: a flag or a file is wrong; nothing was asked. Otherwise the
// broker's answer.
absl::Status RunIssue(const CtlConfig& config, const IssueFlags& flags);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_ISSUE_COMMAND_H_
