// Joins a machine to its cluster: from a ticket, or a bootstrap token, to a
// kubelet's credential on disk.
//
//   look   a valid credential is there: done, nobody is called
//   key    on disk before anybody is called, the same on every run
//   claim  ticket -> bootstrap token, bound to the key     (ticket mode only)
//   ask    create the CSR, under a name that key, token and node decide
//   wait   until it is issued, denied or failed
//   check  the certificate is ours
//   keep   write what the kubelet reads; the last rename makes it joined
//   prove  ask the API server who it takes the certificate for (if wanted)
//
// Killed at any moment, or at the mercy of lost answers, the next run goes on
// where this one was: each step finds what it did before.

#ifndef LATCHKEY_CLIENTS_NODE_NODE_JOINER_H_
#define LATCHKEY_CLIENTS_NODE_NODE_JOINER_H_

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/node/broker_client.h"
#include "clients/node/cluster_session.h"
#include "clients/node/node_store.h"
#include "clients/pace/pace.h"
#include "core/clock.h"
#include "core/ticket.h"
#include "crypto/private_key.h"

namespace latchkey {

struct JoinPlan {
  std::string node_name;
  // Of a new key; one that is on disk already stays as it is.
  KeyType key_type = KeyType::kP256;
  std::variant<Ticket, BootstrapGrant> credential;
  // For the whole run. A call that is under way is not cut short.
  absl::Duration timeout = absl::Minutes(10);
  // Not done on a run that finds a credential: that one calls nobody.
  bool prove = false;
};

struct JoinResult {
  enum class Kind { kJoined, kAlreadyJoined };
  Kind kind = Kind::kJoined;
  Certificate certificate;
};

// What happens, for whoever watches: a step is done ("key", "claim", …), or has
// to be tried again ("retry"). Nothing in it is secret.
struct JoinProgress {
  std::string_view step;
  std::string text;  // a sentence's worth, for people
  std::vector<std::pair<std::string_view, std::string>> fields;  // for programs
};

class NodeJoiner {
 public:
  // All must outlive the joiner. `broker` may be null in direct mode.
  struct Collaborators {
    BrokerClient* broker;
    KubernetesClientFactory api_servers;
    NodeStore& files;
    const Clock& clock;
    Pace& pace;
    std::function<void(const JoinProgress&)> on_progress;
  };

  NodeJoiner(JoinPlan plan, Collaborators collaborators);

  // Joins, unless the machine has joined already. Errors, with ReasonOf() where
  // a broker or an approver gave a reason:
  //
  //   kPermissionDenied   refused: the same request will be refused again; or
  //                       the proof failed, of a credential that is kept
  //   kUnavailable, kDeadlineExceeded  not now, or not in time: try again
  //   kFailedPrecondition, kInternal   the machine's own files, or a bug
  absl::StatusOr<JoinResult> Run();

 private:
  class Attempt;
  const JoinPlan plan_;
  const Collaborators with_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_NODE_NODE_JOINER_H_
