// The gRPC face of minting (latchkey.v1.TokenBroker): unpacks, asks, packs.

#ifndef LATCHKEY_SERVICES_TOKEN_BROKER_SERVICE_H_
#define LATCHKEY_SERVICES_TOKEN_BROKER_SERVICE_H_

#include "core/thread_pool.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "policy/identity.h"
#include "services/token_broker.h"
#include "services/token_messages.h"

namespace latchkey {

class TokenBrokerService final : public v1::TokenBroker::CallbackService {
 public:
  // All must outlive this. The server must require verified client
  // certificates: they are the callers' identities.
  TokenBrokerService(latchkey::TokenBroker& broker,
                     const ClusterEndpoints& cluster, ThreadPool& pool)
      : broker_(broker), cluster_(cluster), pool_(pool) {}

  grpc::ServerUnaryReactor* IssueToken(
      grpc::CallbackServerContext* context,
      const v1::IssueTokenRequest* request,
      v1::IssueTokenResponse* response) override;

 private:
  latchkey::TokenBroker& broker_;
  const ClusterEndpoints& cluster_;
  ThreadPool& pool_;
  IdentityCache identities_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_TOKEN_BROKER_SERVICE_H_
