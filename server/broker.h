// The broker, whole: everything wired together, running while this exists.

#ifndef LATCHKEY_SERVER_BROKER_H_
#define LATCHKEY_SERVER_BROKER_H_

#include <memory>
#include <span>
#include <string_view>

#include <absl/status/statusor.h>

#include "core/clock.h"
#include "policy/live_policy.h"
#include "server/broker_config.h"
#include "services/rpc_table.h"

namespace latchkey {

class Broker {
 public:
  // Opens both ports and begins to watch the cluster. An API server that cannot
  // be reached yet is no error here: the broker says NOT_SERVING on its health
  // service until it is. `clock` must outlive the broker.
  //
  // kInvalidArgument: a file that the configuration names cannot be used.
  // kUnavailable: a port is taken. kFailedPrecondition: this process may not
  // have the descriptors for as many connections as are configured. kInternal:
  // an RPC is not in `declared` (CheckRpcTable); only tests give another table
  // than the one that is served by.
  static absl::StatusOr<std::unique_ptr<Broker>> Start(
      const BrokerConfig& config, const Clock& clock,
      std::span<const RpcDeclaration> declared = RpcTable());

  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;
  // Refuses new calls, waits for those in hand, and stops. A call that waits
  // for an API server that does not answer may take a minute to give up.
  ~Broker();

  // The ports that are really listened on.
  int provisioner_port() const;
  int node_port() const;
  // Of /metrics; 0 if there is none.
  int metrics_port() const;

  // What calls are decided by; whoever replaces it changes that from the next
  // call on.
  LivePolicy& policy();
  // Tells the metrics and the audit log which policy is in use, or that a new
  // one was refused. `digest`: of the one in use, either way. What cannot be
  // recorded is recorded by a later ReportHealth(), of the same thread.
  void NotePolicy(bool in_use, std::string_view digest);

  enum class Health {
    kServing,
    kNoCluster,   // the API server does not answer, or a watch is behind
    kNoAuditLog,  // and calls are refused that cannot be recorded
  };
  // Tells the health services of both ports (grpc.health.v1) how things stand,
  // and answers it: SERVING while the API server answers, the watches on CSRs
  // and records are up to date and what is done can be recorded. To be called a
  // few times a second.
  Health ReportHealth();

 private:
  struct Parts;
  explicit Broker(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_BROKER_H_
