// All that is known of one token: its record, the CSRs that came with it while
// the cluster has them, and the Node.

#ifndef LATCHKEY_SERVICES_TOKEN_LINEAGE_H_
#define LATCHKEY_SERVICES_TOKEN_LINEAGE_H_

#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "storage/token_record.h"

namespace latchkey {

// In the order of a token's life.
enum class LineageEvent {
  kIssued,
  kClaimed,
  kReserved,
  kApproved,
  kJoined,   // the token is spent
  kRefused,  // an attempt, by its ticket or by a CSR
  kRevoked,
  kExpired,
};

struct LineageStep {
  // InfinitePast if nobody knows when.
  absl::Time time;
  LineageEvent event;
  // One sentence for people. It may quote what a stranger wrote (a CSR's name);
  // no line breaks.
  std::string description;
};

struct LineageCsr {
  enum class Verdict { kPending, kApproved, kDenied, kFailed };

  std::string name;
  std::string uid;
  absl::Time create_time;
  // It is the one that has, or had, the token.
  bool holds_token = false;
  Verdict verdict = Verdict::kPending;
  // Of the verdict, by whoever gave it.
  std::string reason;
  std::string message;
  absl::Time verdict_time = absl::InfinitePast();
  bool certificate_issued = false;
};

struct LineageNode {
  std::string name;
  std::string uid;
  absl::Time create_time;
};

struct TokenLineage {
  // Of the CSRs found, the ones shown.
  static constexpr size_t kMaxCsrs = 100;

  StoredToken token;
  // Oldest first.
  std::vector<LineageStep> steps;
  std::vector<LineageCsr> csrs;
  // There are, or may be, more CSRs than are shown.
  bool more_csrs = false;
  // The Node of the scope's name, if there is one.
  std::optional<LineageNode> node;
};

// Traces `token`. Reads the cluster's kubelet CSRs page by page,
// up to 20,000, and leaves out those that are older than the record: another
// token may have had the same id before. Errors are the client's.
absl::StatusOr<TokenLineage> TraceLineage(KubernetesClient& client,
                                          StoredToken token, absl::Time now);

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_TOKEN_LINEAGE_H_
