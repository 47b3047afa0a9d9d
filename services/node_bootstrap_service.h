// The gRPC face of claiming (latchkey.v1.NodeBootstrap): unpacks, asks, packs.

#ifndef LATCHKEY_SERVICES_NODE_BOOTSTRAP_SERVICE_H_
#define LATCHKEY_SERVICES_NODE_BOOTSTRAP_SERVICE_H_

#include "core/thread_pool.h"
#include "latchkey/v1/node_bootstrap.grpc.pb.h"
#include "services/token_broker.h"
#include "services/token_messages.h"

namespace latchkey {

class NodeBootstrapService final : public v1::NodeBootstrap::CallbackService {
 public:
  // All must outlive this.
  NodeBootstrapService(latchkey::TokenBroker& broker,
                       const ClusterEndpoints& cluster, ThreadPool& pool)
      : broker_(broker), cluster_(cluster), pool_(pool) {}

  grpc::ServerUnaryReactor* ClaimToken(
      grpc::CallbackServerContext* context,
      const v1::ClaimTokenRequest* request,
      v1::ClaimTokenResponse* response) override;

 private:
  latchkey::TokenBroker& broker_;
  const ClusterEndpoints& cluster_;
  ThreadPool& pool_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_NODE_BOOTSTRAP_SERVICE_H_
