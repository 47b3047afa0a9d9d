#include "services/token_messages.h"

#include <limits>
#include <set>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "services/grpc_status.h"
#include "tests/storage/records.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::At;
using latchkey_testing::IsOk;
using latchkey_testing::IssuedRecord;
using latchkey_testing::ReasonIs;
using ::testing::Contains;
using ::testing::Pair;

v1::IssueTokenRequest Message() {
  v1::IssueTokenRequest message;
  message.mutable_scope()->set_node_name("worker-1");
  return message;
}

TEST(TokenMessagesTest, ARequestArrivesWhole) {
  v1::IssueTokenRequest message = Message();
  v1::TokenScope& scope = *message.mutable_scope();
  scope.add_groups("system:bootstrappers:a");
  scope.mutable_max_certificate_lifetime()->set_seconds(3600);
  scope.set_public_key_sha256(std::string(32, '\xab'));
  scope.set_allow_node_replacement(true);
  message.set_delivery(v1::DELIVERY_DIRECT);
  message.mutable_lifetime()->set_seconds(60);
  message.mutable_lifetime()->set_nanos(500'000'000);
  message.set_request_id("3b0c4c1e-request");
  message.set_validate_only(true);

  const auto request = FromMessage(message);
  ASSERT_THAT(request, IsOk());
  EXPECT_EQ(request->scope.node_name, "worker-1");
  EXPECT_EQ(request->scope.groups.size(), 1U);
  EXPECT_EQ(request->scope.max_certificate_lifetime, absl::Hours(1));
  EXPECT_EQ(request->scope.key_digest->substr(0, 4), "abab");
  EXPECT_TRUE(request->scope.allow_node_replacement);
  EXPECT_EQ(request->delivery, Delivery::kDirect);
  EXPECT_EQ(request->lifetime, absl::Milliseconds(60'500));
  EXPECT_EQ(request->request_id.Reveal(), "3b0c4c1e-request");
  EXPECT_TRUE(request->validate_only);
  EXPECT_EQ(FromMessage(Message())->delivery, Delivery::kTicket);
  EXPECT_EQ(FromMessage(Message())->lifetime, std::nullopt);
}

TEST(TokenMessagesTest, WhatHasNoDomainFormIsRefusedByField) {
  constexpr int64_t kFar = std::numeric_limits<int64_t>::max();
  struct Case {
    const char* field;
    void (*spoil)(v1::IssueTokenRequest&);
  };
  const Case cases[] = {
      {"delivery",
       [](auto& m) { m.set_delivery(static_cast<v1::Delivery>(7)); }},
      {"lifetime", [](auto& m) { m.mutable_lifetime()->set_seconds(-1); }},
      {"lifetime", [](auto& m) { m.mutable_lifetime()->set_seconds(kFar); }},
      {"lifetime", [](auto& m) { m.mutable_lifetime()->set_nanos(-1); }},
      {"scope.max_certificate_lifetime",
       [](auto& m) {
         m.mutable_scope()->mutable_max_certificate_lifetime()->set_seconds(
             -kFar);
       }},
      {"scope.public_key_sha256",
       [](auto& m) { m.mutable_scope()->set_public_key_sha256("short"); }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.field);
    v1::IssueTokenRequest message = Message();
    c.spoil(message);
    const auto request = FromMessage(message);
    EXPECT_THAT(request, ReasonIs(reason::kInvalidField));
    EXPECT_THAT(MetadataOf(request.status()), Contains(Pair("field", c.field)));
  }
}

TEST(TokenMessagesTest, AnAnswerHasWhatItsDeliveryAllows) {
  const ClusterEndpoints cluster = {.api_servers = {"https://10.0.0.1:6443"},
                                    .certificate_authorities = "PEM",
                                    .name = "prod"};
  IssuedToken issued{.record = IssuedRecord()};
  issued.record.scope.key_digest = std::string(64, 'a');
  v1::IssueTokenResponse checked;
  ToMessage(issued, cluster, checked);
  EXPECT_EQ(checked.token().id(), "") << "validate_only: nothing was minted";
  EXPECT_EQ(checked.token().scope().public_key_sha256(),
            std::string(32, '\xaa'));
  EXPECT_EQ(checked.cluster().api_servers(0), "https://10.0.0.1:6443");

  issued.ticket =
      Ticket::FromSecret(issued.record.id, SecretString(std::string(32, 'x')))
          .value();
  v1::IssueTokenResponse answer;
  ToMessage(issued, cluster, answer);
  EXPECT_EQ(answer.token().id(), "abc123");
  EXPECT_EQ(answer.ticket(), issued.ticket->text().Reveal());
  EXPECT_EQ(answer.bootstrap_token(), "");
  EXPECT_EQ(answer.token().state(), v1::TOKEN_STATE_ISSUED);
}

TEST(TokenMessagesTest, LabelsOfARequestArrive) {
  v1::IssueTokenRequest message = Message();
  (*message.mutable_labels())["team"] = "a";
  EXPECT_EQ(FromMessage(message)->labels, (TokenLabels{{"team", "a"}}));
}

TEST(TokenMessagesTest, ATokenIsToldWithAllThatHappened) {
  TokenRecord record = IssuedRecord();
  record.labels = {{"team", "a"}};
  record.provisioner_kind = IdentityKind::kJwt;
  record.create_time = At(1);
  record.claim = {.key_digest = std::string(64, 'a'),
                  .claimant = "ipv4:10.0.0.7:1",
                  .time = At(2)};
  record.reservation = latchkey_testing::HeldBy("a", 'b');
  record.certificate = {
      .fingerprint = std::string(64, 'c'), .serial = "0a", .not_after = At(9)};
  record.revocation = {.who = "cn:root", .why = "lost", .time = At(4)};
  record.refused = {
      {.reason = "SCOPE_NODE_NAME", .by = "csr x", .time = At(5)}};
  v1::Token token;
  ToMessage(record, token);

  EXPECT_EQ(token.id(), "abc123");
  EXPECT_EQ(token.labels().at("team"), "a");
  EXPECT_EQ(token.rule(), "workers");
  EXPECT_EQ(token.provisioner_kind(), v1::IDENTITY_KIND_JWT);
  EXPECT_EQ(absl::FromUnixSeconds(token.create_time().seconds()), At(1));
  EXPECT_EQ(token.claim().public_key_sha256(), std::string(32, '\xaa'));
  EXPECT_EQ(token.claim().claimant(), "ipv4:10.0.0.7:1");
  EXPECT_EQ(absl::FromUnixSeconds(token.claim().claim_time().seconds()), At(2));
  EXPECT_EQ(token.reservation().csr_name(), "csr-a");
  EXPECT_EQ(token.reservation().csr_uid(), "uid-a");
  EXPECT_EQ(token.reservation().public_key_sha256(), std::string(32, '\xbb'));
  EXPECT_EQ(token.certificate().sha256(), std::string(32, '\xcc'));
  EXPECT_EQ(token.certificate().serial(), "0a");
  EXPECT_EQ(token.revocation().revoked_by(), "cn:root");
  EXPECT_EQ(token.revocation().reason(), "lost");
  ASSERT_EQ(token.refused_attempts_size(), 1);
  EXPECT_EQ(token.refused_attempts(0).reason(), "SCOPE_NODE_NAME");
  EXPECT_EQ(token.refused_attempts(0).by(), "csr x");
  const std::string text = token.ShortDebugString();
  for (const char* secret :
       {"0123456789abcdef", "cccccccccccccccccccccccccccccccccccccccc",
        "dddddddd", "eeeeeeee"}) {
    EXPECT_EQ(text.find(secret), std::string::npos) << secret;
  }
  record.certificate->fingerprint = "unreadable";
  v1::Token altered;
  ToMessage(record, altered);
  EXPECT_EQ(altered.certificate().sha256(), "");
}

TEST(TokenMessagesTest, AFilterArrivesWhole) {
  v1::TokenFilter message;
  message.add_states(v1::TOKEN_STATE_SPENT);
  message.add_states(v1::TOKEN_STATE_ISSUED);
  message.add_states(v1::TOKEN_STATE_SPENT);
  message.set_node_name("worker-*");
  message.set_provisioner("cn:a");
  (*message.mutable_labels())["team"] = "a";
  message.mutable_expires_before()->set_seconds(20);
  message.mutable_expires_after()->set_seconds(10);
  const auto filter = FromMessage(message);
  ASSERT_THAT(filter, IsOk());
  EXPECT_EQ(*filter,
            (TokenFilter{.provisioner = "cn:a",
                         .states = {TokenState::kSpent, TokenState::kIssued},
                         .labels = {{"team", "a"}},
                         .node_name = "worker-*",
                         .expires_before = absl::FromUnixSeconds(20),
                         .expires_after = absl::FromUnixSeconds(10)}));
  EXPECT_EQ(*FromMessage(v1::TokenFilter()), TokenFilter());
}

TEST(TokenMessagesTest, AFilterThatMeansNothingIsRefusedByField) {
  struct Case {
    const char* field;
    void (*spoil)(v1::TokenFilter&);
  };
  const Case cases[] = {
      {"filter.states",
       [](auto& m) { m.add_states(v1::TOKEN_STATE_UNSPECIFIED); }},
      {"filter.states",
       [](auto& m) { m.add_states(static_cast<v1::TokenState>(77)); }},
      {"filter.node_name", [](auto& m) { m.set_node_name("Worker_1"); }},
      {"filter.node_name", [](auto& m) { m.set_node_name("a,b=c"); }},
      {"filter.provisioner", [](auto& m) { m.set_provisioner("a b"); }},
      {"filter.provisioner",
       [](auto& m) { m.set_provisioner(std::string(5000, 'x')); }},
      {"filter.labels",
       [](auto& m) { (*m.mutable_labels())["a in (b)"] = "c"; }},
      {"filter.labels", [](auto& m) { (*m.mutable_labels())["a"] = "b,c=d"; }},
      {"filter.expires_before",
       [](auto& m) { m.mutable_expires_before()->set_seconds(-1); }},
      {"filter.expires_after",
       [](auto& m) { m.mutable_expires_after()->set_nanos(-1); }},
      {"filter.expires_after",
       [](auto& m) {
         m.mutable_expires_after()->set_seconds(
             std::numeric_limits<int64_t>::max());
       }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.field);
    v1::TokenFilter message;
    c.spoil(message);
    const auto filter = FromMessage(message);
    EXPECT_THAT(filter, ReasonIs(reason::kInvalidField));
    EXPECT_THAT(MetadataOf(filter.status()), Contains(Pair("field", c.field)));
  }
}

TEST(TokenMessagesTest, ABatchIsRefusedForWhatIsWrongWithTheWhole) {
  const auto field_of = [](const v1::BatchIssueTokensRequest& message) {
    const auto items = FromMessage(message);
    EXPECT_THAT(items, ReasonIs(reason::kInvalidField));
    return MetadataOf(items.status())["field"];
  };
  v1::BatchIssueTokensRequest message;
  EXPECT_EQ(field_of(message), "requests");
  for (int i = 0; i < 1000; ++i) {
    *message.add_requests() = Message();
    message.mutable_requests(i)->set_request_id(fmt::format("id-{:06}", i));
  }
  EXPECT_EQ(FromMessage(message)->size(), 1000U);
  message.mutable_requests(17)->set_request_id("id-000003");
  EXPECT_EQ(field_of(message), "requests[17].request_id");
  message.mutable_requests(17)->clear_request_id();
  message.mutable_requests(18)->clear_request_id();
  EXPECT_THAT(FromMessage(message), IsOk()) << "absent is not twice the same";
  message.mutable_requests(5)->set_validate_only(true);
  EXPECT_EQ(field_of(message), "requests[5].validate_only");
  message.mutable_requests(5)->set_validate_only(false);
  *message.add_requests() = Message();
  EXPECT_EQ(field_of(message), "requests") << "one too many";
}

TEST(TokenMessagesTest, ABadItemSpoilsNoOther) {
  v1::BatchIssueTokensRequest message;
  *message.add_requests() = Message();
  *message.add_requests() = Message();
  message.mutable_requests(0)->mutable_scope()->set_public_key_sha256("short");
  const auto items = FromMessage(message);
  ASSERT_THAT(items, IsOk());
  EXPECT_THAT((*items)[0], ReasonIs(reason::kInvalidField));
  EXPECT_THAT((*items)[1], IsOk());
}

TEST(TokenMessagesTest, AnItemIsRefusedAsACallWouldBe) {
  v1::ItemError error;
  ToMessage(
      WithRetryAfter(Refuse(absl::StatusCode::kPermissionDenied,
                            reason::kPolicyDenied, "no", {{"rule", "workers"}}),
                     absl::Milliseconds(1500)),
      error);
  EXPECT_EQ(error.code(), 7);
  EXPECT_EQ(error.message(), "no");
  EXPECT_EQ(error.reason(), "POLICY_DENIED");
  EXPECT_EQ(error.metadata().at("rule"), "workers");
  std::set<int64_t> milliseconds;
  for (int i = 0; i < 100; ++i) {
    v1::ItemError one;
    ToMessage(WithRetryAfter(Overloaded(), absl::Milliseconds(1500)), one);
    EXPECT_EQ(one.retry_delay().nanos() % 1'000'000, 0);
    milliseconds.insert(one.retry_delay().seconds() * 1000 +
                        one.retry_delay().nanos() / 1'000'000);
  }
  EXPECT_GE(*milliseconds.begin(), 1500);
  EXPECT_LE(*milliseconds.rbegin(), 3000);
  EXPECT_GT(milliseconds.size(), 50U) << "they would come back together";
  v1::ItemError hidden;
  ToMessage(absl::UnavailableError("secrets \"x\" at 10.0.0.1"), hidden);
  EXPECT_EQ(hidden.reason(), "CLUSTER_UNAVAILABLE");
  EXPECT_EQ(hidden.code(), 14);
  EXPECT_EQ(hidden.message().find("10.0.0.1"), std::string::npos);
  EXPECT_FALSE(hidden.has_retry_delay());
}

TEST(TokenMessagesTest, ABatchTellsTheClusterOnce) {
  IssuedToken issued{.record = IssuedRecord()};
  issued.ticket =
      Ticket::FromSecret(issued.record.id, SecretString(std::string(32, 'x')))
          .value();
  BatchResults results;
  results.emplace_back(issued);
  results.emplace_back(absl::NotFoundError("x"));
  v1::BatchIssueTokensResponse message;
  ToMessage(results, {.api_servers = {"https://10.0.0.1:6443"}}, message);
  EXPECT_EQ(message.cluster().api_servers(0), "https://10.0.0.1:6443");
  EXPECT_EQ(message.results(0).issued().ticket(),
            issued.ticket->text().Reveal());
  EXPECT_FALSE(message.results(0).issued().has_cluster());
  EXPECT_EQ(message.results(1).error().reason(), "INTERNAL");
}

TEST(TokenMessagesTest, ARevocationNamesItsTarget) {
  v1::RevokeTokenRequest message;
  EXPECT_THAT(FromMessage(message), ReasonIs(reason::kInvalidField));
  message.mutable_filter();
  const auto all = FromMessage(message);
  EXPECT_THAT(MetadataOf(all.status()), Contains(Pair("field", "filter")));
  message.mutable_filter()->set_node_name("worker-*");
  EXPECT_EQ(FromMessage(message)->filter->node_name, "worker-*");
  message.set_id("abc123");
  EXPECT_EQ(FromMessage(message)->id, "abc123");
  EXPECT_FALSE(FromMessage(message)->filter.has_value());
}

}  // namespace
}  // namespace latchkey
