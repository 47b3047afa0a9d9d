// A node's dealings with the API servers of its cluster, before it has a
// certificate: which one is asked, and what an error means.

#ifndef LATCHKEY_CLIENTS_NODE_CLUSTER_SESSION_H_
#define LATCHKEY_CLIENTS_NODE_CLUSTER_SESSION_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "clients/node/broker_client.h"
#include "clients/pace/pace.h"
#include "crypto/certificate_authority.h"

namespace latchkey {

struct ApiServerLogin {
  std::string url;
  std::string ca_pem;
  std::variant<BootstrapToken, IssuedIdentity> credential;
};

// kInvalidArgument if the URL or the authorities cannot be used. Connects to
// nobody yet.
using KubernetesClientFactory =
    std::function<absl::StatusOr<std::unique_ptr<KubernetesClient>>(
        const ApiServerLogin&)>;

class ClusterSession {
 public:
  // Everything must outlive the session.
  ClusterSession(const BootstrapGrant& grant,
                 const KubernetesClientFactory& factory, Pace& pace);

  // The client of the API server that is asked now; to be got for each call.
  // kPermissionDenied if the grant's cluster cannot be used at all; other
  // errors are the machine's own.
  absl::StatusOr<KubernetesClient*> Client();
  const std::string& api_server() const;

  // To be told of each call that was answered as hoped.
  void Succeeded();

  // To be told of each other one. Answers how long to wait before the next
  // attempt, which may go to another server; or kPermissionDenied, with the
  // server's words, if there is no use in one.
  //
  // 401 and 403 are believed only after kPatience: an API server learns of a
  // fresh token, and after its start of all tokens and roles, a moment later
  // than it begins to answer. A machine may stand still, and a request or an
  // answer be on its way for long: what counts is the time for certain between
  // two refusals, from the first one's answer to the last one's question.
  // An error that came without a metav1.Status is no refusal, but as if nobody
  // had answered: a proxy may have said it.
  absl::StatusOr<absl::Duration> Failed(const absl::Status& error);

  static constexpr absl::Duration kPatience = absl::Seconds(15);

 private:
  const BootstrapGrant& grant_;
  const KubernetesClientFactory& factory_;
  Pace& pace_;
  Backoff backoff_;
  size_t server_ = 0;
  std::unique_ptr<KubernetesClient> client_;
  absl::Duration asked_at_;
  // When the first 401 or 403 came since there was another answer.
  std::optional<absl::Duration> turned_away_since_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_NODE_CLUSTER_SESSION_H_
