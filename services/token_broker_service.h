// The gRPC face of the provisioners' side (latchkey.v1.TokenBroker): unpacks,
// asks, packs.

#ifndef LATCHKEY_SERVICES_TOKEN_BROKER_SERVICE_H_
#define LATCHKEY_SERVICES_TOKEN_BROKER_SERVICE_H_

#include "core/thread_pool.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "services/authenticator.h"
#include "services/fair_queue.h"
#include "services/token_administration.h"
#include "services/token_broker.h"
#include "services/token_messages.h"
#include "services/watch_tokens_call.h"

namespace latchkey {

class TokenBrokerService final : public v1::TokenBroker::CallbackService {
 public:
  // All must outlive this. The server must verify client certificates, where it
  // asks for any.
  TokenBrokerService(latchkey::TokenBroker& broker,
                     TokenAdministration& administration,
                     TokenWatches& watches,
                     Authenticator& authenticator,
                     const ClusterEndpoints& cluster, ThreadPool& pool,
                     FairQueue& batch_queue)
      : broker_(broker),
        administration_(administration),
        watches_(watches),
        authenticator_(authenticator),
        cluster_(cluster),
        pool_(pool),
        batch_queue_(batch_queue) {}

  grpc::ServerUnaryReactor* IssueToken(
      grpc::CallbackServerContext* context,
      const v1::IssueTokenRequest* request,
      v1::IssueTokenResponse* response) override;
  grpc::ServerUnaryReactor* BatchIssueTokens(
      grpc::CallbackServerContext* context,
      const v1::BatchIssueTokensRequest* request,
      v1::BatchIssueTokensResponse* response) override;
  grpc::ServerUnaryReactor* GetToken(grpc::CallbackServerContext* context,
                                     const v1::GetTokenRequest* request,
                                     v1::Token* response) override;
  grpc::ServerUnaryReactor* ListTokens(
      grpc::CallbackServerContext* context,
      const v1::ListTokensRequest* request,
      v1::ListTokensResponse* response) override;
  grpc::ServerUnaryReactor* RevokeToken(
      grpc::CallbackServerContext* context,
      const v1::RevokeTokenRequest* request,
      v1::RevokeTokenResponse* response) override;
  grpc::ServerUnaryReactor* ExtendToken(grpc::CallbackServerContext* context,
                                        const v1::ExtendTokenRequest* request,
                                        v1::Token* response) override;
  grpc::ServerUnaryReactor* ExplainToken(
      grpc::CallbackServerContext* context,
      const v1::ExplainTokenRequest* request,
      v1::ExplainTokenResponse* response) override;
  WatchReactor* WatchTokens(grpc::CallbackServerContext* context,
                            const v1::WatchTokensRequest* request) override;

 private:
  latchkey::TokenBroker& broker_;
  TokenAdministration& administration_;
  TokenWatches& watches_;
  Authenticator& authenticator_;
  const ClusterEndpoints& cluster_;
  ThreadPool& pool_;
  FairQueue& batch_queue_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_TOKEN_BROKER_SERVICE_H_
