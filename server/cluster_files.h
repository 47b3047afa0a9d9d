// What machines are told of the cluster, read from the files that say it.

#ifndef LATCHKEY_SERVER_CLUSTER_FILES_H_
#define LATCHKEY_SERVER_CLUSTER_FILES_H_

#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/kubernetes/credential_files.h"
#include "clients/kubernetes/file_api_access.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "server/broker_config.h"
#include "services/cluster_endpoints.h"

namespace latchkey {

// As the broker's configuration has it (`cluster`); what it leaves out, as the
// broker itself reaches the API server. When the authorities are rotated, in
// `cluster.ca_file` or in the broker's own credentials, machines get the new
// ones within a second or so. What cannot be read, or is no certificate, is
// logged, and what was told before is told on.
class ClusterFiles {
 public:
  // Reads everything once. kInvalidArgument, kNotFound, ...: the authorities
  // cannot be used, with their file. `clock` must outlive this.
  static absl::StatusOr<std::unique_ptr<ClusterFiles>> Create(
      const BrokerConfig& config, std::shared_ptr<const FileApiAccess> own,
      const Clock& clock);

  // Safe for concurrent use.
  ClusterEndpoints Current();

 private:
  ClusterFiles(const BrokerConfig& config,
               std::shared_ptr<const FileApiAccess> own, const Clock& clock);
  void Look() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::string> ReadAuthorities()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::vector<std::string> api_servers_;  // empty: the broker's own
  const std::string ca_file_;                   // empty: the broker's own
  const std::string name_;
  const std::shared_ptr<const FileApiAccess> own_;
  const Clock& clock_;

  Mutex mutex_;
  absl::Time looked_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  WatchedFiles files_ ABSL_GUARDED_BY(mutex_);
  // What was read last, usable or not; and what is told.
  std::string seen_ ABSL_GUARDED_BY(mutex_);
  std::string authorities_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_CLUSTER_FILES_H_
