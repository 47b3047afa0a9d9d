// The broker as the commands see it: one method an RPC of latchkey.v1's
// TokenBroker (proto/latchkey/v1/token_broker.proto says what each does).
//
// Implementations repeat what failed for a reason that passes, for as long as
// they were given; all but the watch are idempotent. Used by one thread.

#ifndef LATCHKEY_CLIENTS_CTL_BROKER_API_H_
#define LATCHKEY_CLIENTS_CTL_BROKER_API_H_

#include <functional>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "latchkey/v1/token_broker.pb.h"

namespace latchkey {

class BrokerApi {
 public:
  BrokerApi() = default;
  BrokerApi(const BrokerApi&) = delete;
  BrokerApi& operator=(const BrokerApi&) = delete;
  virtual ~BrokerApi() = default;

  // The request must have a request_id, or each repetition may mint a token.
  virtual absl::StatusOr<v1::IssueTokenResponse> IssueToken(
      const v1::IssueTokenRequest& request) = 0;
  // The same of each item.
  virtual absl::StatusOr<v1::BatchIssueTokensResponse> BatchIssueTokens(
      const v1::BatchIssueTokensRequest& request) = 0;
  virtual absl::StatusOr<v1::Token> GetToken(
      const v1::GetTokenRequest& request) = 0;
  virtual absl::StatusOr<v1::ListTokensResponse> ListTokens(
      const v1::ListTokensRequest& request) = 0;
  virtual absl::StatusOr<v1::RevokeTokenResponse> RevokeToken(
      const v1::RevokeTokenRequest& request) = 0;
  virtual absl::StatusOr<v1::Token> ExtendToken(
      const v1::ExtendTokenRequest& request) = 0;
  virtual absl::StatusOr<v1::ExplainTokenResponse> ExplainToken(
      const v1::ExplainTokenRequest& request) = 0;

  // Hands over each message of one stream until `on_news` answers false: then
  // OK. A stream that ends otherwise is an error, kUnavailable if the broker
  // ended it without one. Repeats nothing.
  virtual absl::Status WatchTokens(
      const v1::WatchTokensRequest& request,
      const std::function<bool(const v1::WatchTokensResponse&)>& on_news) = 0;
};

// True if what was asked for by the call that ended with `status` may have been
// done all the same: by any of its attempts, if it is an answer of BrokerApi.
bool MayBeDone(const absl::Status& status);

// `status` with what is known of that.
absl::Status WithOutcome(absl::Status status, bool may_be_done);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_BROKER_API_H_
