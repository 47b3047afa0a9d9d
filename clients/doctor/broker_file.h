// What the doctor reads of a broker.yaml, which is the server's: the groups of
// its tokens, and the certificates that it names.

#ifndef LATCHKEY_CLIENTS_DOCTOR_BROKER_FILE_H_
#define LATCHKEY_CLIENTS_DOCTOR_BROKER_FILE_H_

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "clients/kubernetes/token_secret_keys.h"

namespace latchkey {

struct BrokerFile {
  std::string token_group = std::string(kLatchkeyTokenGroup);
  // Further groups that the policy lets a token have.
  std::vector<std::string> policy_groups = {};
  // ServiceAccounts may call.
  bool takes_service_accounts = false;
  // The cluster's; empty: that of the broker's pod.
  std::string kubeconfig = {};
  // Paths of PEM files, each once.
  std::vector<std::string> certificate_files = {};
  // The same of the issuers of JWTs; a broker reads these at its start only.
  std::vector<std::string> issuer_ca_files = {};
};

// kInvalidArgument for what does not parse, or has a field at its top that no
// broker.yaml has: then it is another program's, or a section is misspelt.
// Whether the broker would take the rest is for `latchkeyd --check` to say.
absl::StatusOr<BrokerFile> ParseBrokerFile(std::string_view name,
                                           std::string_view text);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_DOCTOR_BROKER_FILE_H_
