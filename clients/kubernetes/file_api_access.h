// An ApiAccess that follows the files that its credentials come from.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_FILE_API_ACCESS_H_
#define LATCHKEY_CLIENTS_KUBERNETES_FILE_API_ACCESS_H_

#include <functional>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/http/http_client.h"
#include "clients/kubernetes/api_access.h"
#include "clients/kubernetes/credential_files.h"
#include "core/clock.h"
#include "core/mutex.h"

namespace latchkey {

// Looks at the files at most once a second, and after a 401, and only as
// requests are made. A changed token is used from the next request on; a
// changed server, authority or client certificate makes new connections. What
// cannot be read or does not parse is logged, and what was used before stays in
// use.
class FileApiAccess final : public ApiAccess {
 public:
  // How connections are made; tests may choose otherwise.
  using ClientFactory =
      std::function<absl::StatusOr<std::shared_ptr<HttpClient>>(
          const ApiCredentials& credentials)>;

  struct Options {
    // A kubeconfig; empty: the service account of the pod that this runs in.
    std::string kubeconfig_path;
    std::string user_agent = "latchkey";
    ClientFactory make_client;  // null: libcurl, over HTTPS
  };

  // Reads everything once: the error says all that is wrong with it. `clock`
  // must outlive this.
  static absl::StatusOr<std::unique_ptr<FileApiAccess>> Create(
      Options options, const Clock& clock);

  std::shared_ptr<const ApiSession> Current() override;
  bool Renew(const ApiSession& rejected) override;

  // The server's URL, as configured now, e.g. to be handed to nodes.
  std::string server() const;
  // The authorities of the server in PEM, as configured now; empty: those that
  // the system trusts.
  std::string certificate_authorities() const;

 private:
  FileApiAccess(Options options, const Clock& clock);
  absl::Status Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LoadIfChanged() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Adopt(ApiCredentials credentials)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const Clock& clock_;

  mutable Mutex mutex_;
  WatchedFiles files_ ABSL_GUARDED_BY(mutex_);
  absl::Time looked_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  ApiCredentials credentials_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const ApiSession> session_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_FILE_API_ACCESS_H_
