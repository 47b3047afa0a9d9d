#include "services/token_messages.h"

#include <limits>
#include <string>

#include <gmock/gmock.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "tests/storage/records.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

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
  EXPECT_EQ(request->request_id, "3b0c4c1e-request");
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

}  // namespace
}  // namespace latchkey
