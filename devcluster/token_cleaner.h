// token-cleaner: deletes the Secrets of bootstrap tokens once they have
// expired.

#ifndef LATCHKEY_DEVCLUSTER_TOKEN_CLEANER_H_
#define LATCHKEY_DEVCLUSTER_TOKEN_CLEANER_H_

#include <set>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey {

// Not safe for concurrent use.
class TokenCleaner {
 public:
  // `client` must outlive this.
  explicit TokenCleaner(KubernetesClient& client) : client_(client) {}

  // Takes note of a Secret that came or changed.
  void Note(const kubernetes::Secret& secret);

  // The Secrets that are due by `now`, by name; whoever asks looks at the
  // latest state of each, and hands it to Handle().
  std::set<std::string> TakeDue(absl::Time now);
  // When the next may be due.
  absl::Time NextDue() const;

  // Deletes the Secret if its token has expired, and it is still the same.
  // Errors are the API server's.
  absl::Status Handle(const kubernetes::Secret& secret, absl::Time now);

 private:
  KubernetesClient& client_;
  // By time. May hold times that no longer hold.
  std::set<std::pair<absl::Time, std::string>> expirations_;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_TOKEN_CLEANER_H_
