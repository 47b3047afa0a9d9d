// A broker in memory behind BrokerApi: it mints idempotently, lists in pages,
// revokes and extends, and fails when told to.

#ifndef LATCHKEY_TESTS_CLIENTS_CTL_FAKE_BROKER_API_H_
#define LATCHKEY_TESTS_CLIENTS_CTL_FAKE_BROKER_API_H_

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "clients/ctl/broker_api.h"
#include "core/node_name.h"
#include "core/refusal.h"
#include "core/ticket.h"
#include "crypto/random.h"

namespace latchkey_testing {

namespace v1 = latchkey::v1;

class FakeBrokerApi final : public latchkey::BrokerApi {
 public:
  // The errors of the next calls, whatever they are; OK lets one pass.
  std::deque<absl::Status> next_errors;
  // Refuses single items.
  std::function<absl::Status(const v1::IssueTokenRequest&)> judge;
  // Lost answers: what is minted stays minted.
  bool lose_answers = false;
  // Runs in each IssueToken().
  std::function<void()> before_answer;
  int most_at_once = 500;  // of a revocation
  // The token at which the cluster fails, once: the end of that revocation.
  std::string fails_once;
  std::string authorities =
      "-----BEGIN CERTIFICATE-----\nQ0E=\n"
      "-----END CERTIFICATE-----\n";
  // One stream each: its messages, and how it ends.
  struct Stream {
    std::vector<v1::WatchTokensResponse> news;
    absl::Status end;
  };
  std::deque<Stream> streams;
  v1::ExplainTokenResponse explanation;

  // What was seen.
  std::vector<v1::BatchIssueTokensRequest> batches;
  std::vector<v1::IssueTokenRequest> issues;
  std::vector<v1::ListTokensRequest> lists;
  std::vector<v1::RevokeTokenRequest> revocations;
  std::vector<v1::ExtendTokenRequest> extensions;
  std::vector<v1::WatchTokensRequest> watches;
  // By request_id.
  std::map<std::string, v1::IssueTokenResponse> minted;
  std::vector<v1::Token> tokens;

  v1::Token& AddToken(const std::string& id, const std::string& node,
                      v1::TokenState state = v1::TOKEN_STATE_ISSUED) {
    v1::Token& token = tokens.emplace_back();
    token.set_id(id);
    token.set_state(state);
    token.mutable_scope()->set_node_name(node);
    token.set_provisioner("spiffe://example.org/autoscaler");
    token.mutable_expire_time()->set_seconds(1'800'003'600);
    return token;
  }

  absl::StatusOr<v1::IssueTokenResponse> IssueToken(
      const v1::IssueTokenRequest& request) override {
    issues.push_back(request);
    if (before_answer) before_answer();
    if (absl::Status error = NextError(); !error.ok()) return error;
    return Mint(request);
  }
  absl::StatusOr<v1::BatchIssueTokensResponse> BatchIssueTokens(
      const v1::BatchIssueTokensRequest& request) override {
    batches.push_back(request);
    if (absl::Status error = NextError(); !error.ok()) return error;
    v1::BatchIssueTokensResponse response;
    for (const auto& item : request.requests()) {
      const auto issued = Mint(item);
      v1::BatchIssueResult& result = *response.add_results();
      if (issued.ok()) {
        *result.mutable_issued() = *issued;
      } else {
        Fill(*result.mutable_error(), issued.status());
      }
    }
    if (lose_answers) return absl::UnavailableError("the answer was lost");
    return response;
  }
  absl::StatusOr<v1::Token> GetToken(
      const v1::GetTokenRequest& request) override {
    if (absl::Status error = NextError(); !error.ok()) return error;
    const auto token = Find(request.id());
    if (token == tokens.end()) return Unknown();
    return *token;
  }
  absl::StatusOr<v1::ListTokensResponse> ListTokens(
      const v1::ListTokensRequest& request) override {
    lists.push_back(request);
    if (absl::Status error = NextError(); !error.ok()) return error;
    v1::ListTokensResponse response;
    size_t begin =
        request.page_token().empty() ? 0 : std::stoul(request.page_token());
    for (int i = 0; i < request.page_size() && begin < tokens.size(); ++i) {
      *response.add_tokens() = tokens[begin++];
    }
    if (begin < tokens.size()) {
      response.set_next_page_token(std::to_string(begin));
    }
    return response;
  }
  absl::StatusOr<v1::RevokeTokenResponse> RevokeToken(
      const v1::RevokeTokenRequest& request) override {
    revocations.push_back(request);
    if (absl::Status error = NextError(); !error.ok()) return error;
    v1::RevokeTokenResponse response;
    if (!request.has_filter()) {
      const auto token = Find(request.id());
      if (token == tokens.end()) return Unknown();
      Revoke(*token, request, response);
      return response;
    }
    for (v1::Token& token : tokens) {
      if (token.state() == v1::TOKEN_STATE_REVOKED ||
          !latchkey::MatchesNodeNamePattern(request.filter().node_name(),
                                            token.scope().node_name())) {
        continue;
      }
      if (response.tokens_size() == most_at_once) {
        response.set_more(true);
        break;
      }
      if (token.id() == fails_once) {
        fails_once.clear();
        v1::FailedItem& failed = *response.add_failed();
        failed.set_id(token.id());
        Fill(*failed.mutable_error(), absl::UnavailableError("down"));
        response.set_more(true);
        break;
      }
      Revoke(token, request, response);
    }
    return response;
  }
  absl::StatusOr<v1::Token> ExtendToken(
      const v1::ExtendTokenRequest& request) override {
    extensions.push_back(request);
    if (absl::Status error = NextError(); !error.ok()) return error;
    const auto token = Find(request.id());
    if (token == tokens.end()) return Unknown();
    if (token->expire_time().seconds() < request.expire_time().seconds()) {
      *token->mutable_expire_time() = request.expire_time();
    }
    return *token;
  }
  absl::StatusOr<v1::ExplainTokenResponse> ExplainToken(
      const v1::ExplainTokenRequest& /*request*/) override {
    if (absl::Status error = NextError(); !error.ok()) return error;
    return explanation;
  }
  absl::Status WatchTokens(
      const v1::WatchTokensRequest& request,
      const std::function<bool(const v1::WatchTokensResponse&)>& on_news)
      override {
    watches.push_back(request);
    if (streams.empty()) return absl::PermissionDeniedError("end of the test");
    const Stream stream = streams.front();
    streams.pop_front();
    for (const auto& news : stream.news) {
      if (!on_news(news)) return absl::OkStatus();
    }
    return stream.end;
  }

 private:
  absl::Status NextError() {
    if (next_errors.empty()) return absl::OkStatus();
    absl::Status error = next_errors.front();
    next_errors.pop_front();
    return error;
  }
  static absl::Status Unknown() {
    return latchkey::Refuse(absl::StatusCode::kNotFound, "TOKEN_UNKNOWN",
                            "no such token");
  }
  std::vector<v1::Token>::iterator Find(const std::string& id) {
    return std::ranges::find_if(tokens,
                                [&](const auto& t) { return t.id() == id; });
  }
  static void Revoke(v1::Token& token, const v1::RevokeTokenRequest& request,
                     v1::RevokeTokenResponse& response) {
    if (token.state() == v1::TOKEN_STATE_SPENT) {
      v1::FailedItem& failed = *response.add_failed();
      failed.set_id(token.id());
      Fill(*failed.mutable_error(),
           latchkey::Refuse(absl::StatusCode::kFailedPrecondition,
                            "TOKEN_SPENT", "it is spent"));
      return;
    }
    if (!request.validate_only() && token.state() != v1::TOKEN_STATE_REVOKED) {
      token.set_state(v1::TOKEN_STATE_REVOKED);
      token.mutable_revocation()->set_revoked_by("the caller");
      token.mutable_revocation()->set_reason(request.reason());
    }
    *response.add_tokens() = token;
  }
  static void Fill(v1::ItemError& error, const absl::Status& status) {
    error.set_code(static_cast<int>(status.code()));
    error.set_message(std::string(status.message()));
    error.set_reason(latchkey::ReasonOf(status));
    for (const auto& [key, value] : latchkey::MetadataOf(status)) {
      (*error.mutable_metadata())[key] = value;
    }
    const auto delay = latchkey::RetryAfterOf(status);
    if (delay) {
      error.mutable_retry_delay()->set_seconds(absl::ToInt64Seconds(*delay));
    }
  }
  absl::StatusOr<v1::IssueTokenResponse> Mint(
      const v1::IssueTokenRequest& request) {
    if (judge) {
      if (absl::Status error = judge(request); !error.ok()) return error;
    }
    v1::IssueTokenResponse& answer = minted[request.request_id()];
    if (!answer.token().id().empty()) return answer;
    const std::string id(
        latchkey::DeriveBase36("fake", {request.request_id()}, 6).Reveal());
    v1::Token& token = *answer.mutable_token();
    token.set_id(id);
    *token.mutable_scope() = request.scope();
    token.mutable_expire_time()->set_seconds(1'800'003'600);
    answer.mutable_cluster()->add_api_servers("https://10.0.0.1:6443");
    answer.mutable_cluster()->set_certificate_authorities(authorities);
    if (request.delivery() == v1::DELIVERY_DIRECT) {
      answer.set_bootstrap_token(id + ".0123456789abcdef");
    } else {
      answer.set_ticket(std::string(
          latchkey::Ticket::FromSecret(
              *latchkey::TokenId::Parse(id),
              latchkey::DeriveBase36("t", {request.request_id()}, 32))
              ->text()
              .Reveal()));
    }
    return answer;
  }
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_CLIENTS_CTL_FAKE_BROKER_API_H_
