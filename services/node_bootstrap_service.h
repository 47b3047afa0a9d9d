// The gRPC face of claiming (latchkey.v1.NodeBootstrap): unpacks, asks, packs.

#ifndef LATCHKEY_SERVICES_NODE_BOOTSTRAP_SERVICE_H_
#define LATCHKEY_SERVICES_NODE_BOOTSTRAP_SERVICE_H_

#include <utility>

#include "latchkey/v1/node_bootstrap.grpc.pb.h"
#include "services/call_frame.h"
#include "services/cluster_endpoints.h"
#include "services/token_broker.h"

namespace latchkey {

class NodeBootstrapService final : public v1::NodeBootstrap::CallbackService {
 public:
  // All must outlive this.
  NodeBootstrapService(latchkey::TokenBroker& broker, ClusterSource cluster,
                       CallFrame& frame)
      : broker_(broker), cluster_(std::move(cluster)), frame_(frame) {}

  grpc::ServerUnaryReactor* ClaimToken(
      grpc::CallbackServerContext* context,
      const v1::ClaimTokenRequest* request,
      v1::ClaimTokenResponse* response) override;

 private:
  latchkey::TokenBroker& broker_;
  const ClusterSource cluster_;
  CallFrame& frame_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_NODE_BOOTSTRAP_SERVICE_H_
