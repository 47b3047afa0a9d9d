// The credentials of a configuration, read from where it says they are.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_CREDENTIAL_FILES_H_
#define LATCHKEY_CLIENTS_KUBERNETES_CREDENTIAL_FILES_H_

#include <map>
#include <optional>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "clients/files/read_file.h"
#include "clients/kubernetes/kubeconfig.h"
#include "core/secret_string.h"

namespace latchkey {

struct ApiCredentials {
  std::string server;
  std::string tls_server_name;
  std::string ca_pem;
  std::string client_certificate_pem;
  SecretString client_key_pem;
  SecretString token;

  // Nothing but the token differs: the connections can stay.
  bool SameConnection(const ApiCredentials& other) const;
  bool operator==(const ApiCredentials& other) const;
};

// Reads all files that `config` names. The error holds every mistake, a line
// each, with the file's name and never its content.
absl::StatusOr<ApiCredentials> ReadCredentials(const ApiServerConfig& config);

// What files looked like, to tell when one of them changes.
class WatchedFiles {
 public:
  // Notes what the file looks like now; call it before reading the file, so
  // that a change in between is noticed the next time. No file, or none that
  // can be looked at, is a look of its own. An empty path is ignored.
  void Note(const std::string& path);
  bool AnyChanged() const;

 private:
  static std::optional<FileStamp> LookAt(const std::string& path);

  std::map<std::string, std::optional<FileStamp>> stamps_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_CREDENTIAL_FILES_H_
