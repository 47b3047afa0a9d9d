// The gRPC face of what provisioners ask (latchkey.v1.TokenBroker): unpacks,
// asks, packs.

#ifndef LATCHKEY_SERVICES_TOKEN_BROKER_SERVICE_H_
#define LATCHKEY_SERVICES_TOKEN_BROKER_SERVICE_H_

#include <utility>

#include "latchkey/v1/token_broker.grpc.pb.h"
#include "services/call_frame.h"
#include "services/cluster_endpoints.h"
#include "services/fair_queue.h"
#include "services/token_administration.h"
#include "services/token_broker.h"
#include "services/watch_tokens_call.h"

namespace latchkey {

class TokenBrokerService final : public v1::TokenBroker::CallbackService {
 public:
  // All must outlive this. Items of batches run on `batch_queue`: a queue of
  // their own, since their calls wait for them on the frame's.
  TokenBrokerService(latchkey::TokenBroker& broker,
                     TokenAdministration& administration, TokenWatches& watches,
                     ClusterSource cluster, FairQueue& batch_queue,
                     CallFrame& frame)
      : broker_(broker),
        administration_(administration),
        watches_(watches),
        cluster_(std::move(cluster)),
        batch_queue_(batch_queue),
        frame_(frame) {}

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
  absl::Status IssueAll(const grpc::CallbackServerContext& context, Call& call,
                        const v1::BatchIssueTokensRequest& request,
                        v1::BatchIssueTokensResponse& response);
  absl::Status Revoke(const grpc::CallbackServerContext& context, Call& call,
                      const v1::RevokeTokenRequest& request,
                      v1::RevokeTokenResponse& response);

  latchkey::TokenBroker& broker_;
  TokenAdministration& administration_;
  TokenWatches& watches_;
  const ClusterSource cluster_;
  FairQueue& batch_queue_;
  CallFrame& frame_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_TOKEN_BROKER_SERVICE_H_
