#include "services/token_lineage.h"

#include <string>
#include <vector>

#include "core/reasons.h"
#include "tests/services/join_fixture.h"

namespace latchkey_testing {
namespace {

using latchkey::LineageCsr;
using latchkey::LineageEvent;
using latchkey::TokenLineage;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class TokenLineageTest : public JoinFixture {
 protected:
  TokenLineage Trace(const char* id = "abc123") {
    const auto token = store_.Find(Id(id));
    EXPECT_THAT(token, IsOk());
    const auto lineage = latchkey::TraceLineage(api_, *token, clock_.Now());
    EXPECT_THAT(lineage, IsOk());
    return *lineage;
  }
  static std::vector<LineageEvent> EventsOf(const TokenLineage& lineage) {
    std::vector<LineageEvent> events;
    for (const auto& step : lineage.steps) events.push_back(step.event);
    return events;
  }
  void Pass() { clock_.Advance(absl::Seconds(10)); }
};

TEST_F(TokenLineageTest, AWholeJoinIsToldInItsOrder) {
  IssueClaimed();
  Pass();
  const Csr csr = PostCsr("join", key_);
  approver_.Decide(csr);
  Pass();
  Sign("join");
  AddNode("worker-1");
  upkeep_.Tend(Id("abc123"));
  ASSERT_EQ(State(), latchkey::TokenState::kSpent);
  clock_.Advance(absl::Hours(2));

  const TokenLineage lineage = Trace();
  EXPECT_THAT(EventsOf(lineage),
              ElementsAre(LineageEvent::kIssued, LineageEvent::kClaimed,
                          LineageEvent::kReserved, LineageEvent::kApproved,
                          LineageEvent::kJoined));
  EXPECT_THAT(lineage.steps[0].description,
              HasSubstr("spiffe://example.org/autoscaler"));
  EXPECT_THAT(lineage.steps[0].description, HasSubstr("'workers'"));
  EXPECT_THAT(lineage.steps[1].description,
              HasSubstr(key_.public_key_digest()));
  EXPECT_EQ(lineage.steps[2].time, At(10));
  EXPECT_EQ(lineage.steps[4].time, At(20));
  ASSERT_THAT(lineage.csrs, SizeIs(1));
  EXPECT_EQ(lineage.csrs[0].name, "join");
  EXPECT_TRUE(lineage.csrs[0].holds_token);
  EXPECT_TRUE(lineage.csrs[0].certificate_issued);
  EXPECT_EQ(lineage.csrs[0].verdict, LineageCsr::Verdict::kApproved);
  EXPECT_FALSE(lineage.more_csrs);
  ASSERT_TRUE(lineage.node.has_value());
  EXPECT_EQ(lineage.node->name, "worker-1");
}

TEST_F(TokenLineageTest, RefusedAttemptsAreToldWithTheirReasons) {
  IssueClaimed();
  Pass();
  approver_.Decide(PostCsr("thief", thief_key_));
  Pass();
  AddNode("worker-1");
  approver_.Decide(PostCsr("late", key_));
  ASSERT_EQ(DecisionOn("late"), "Denied NODE_EXISTS");

  const TokenLineage lineage = Trace();
  EXPECT_THAT(EventsOf(lineage),
              ElementsAre(LineageEvent::kIssued, LineageEvent::kClaimed,
                          LineageEvent::kRefused, LineageEvent::kRefused));
  EXPECT_THAT(lineage.steps[2].description,
              HasSubstr("CSR thief was denied: SCOPE_PUBLIC_KEY: "));
  EXPECT_THAT(lineage.steps[3].description, HasSubstr("NODE_EXISTS: "));
  ASSERT_THAT(lineage.csrs, SizeIs(2));
  EXPECT_EQ(lineage.csrs[0].name, "thief");
  EXPECT_EQ(lineage.csrs[0].verdict, LineageCsr::Verdict::kDenied);
  EXPECT_EQ(lineage.csrs[0].reason, latchkey::reason::kScopePublicKey);
  EXPECT_FALSE(lineage.csrs[0].holds_token);

  // The record still knows when the cluster has forgotten.
  ASSERT_THAT(api_.Delete<Csr>({"", "late"}), IsOk());
  const TokenLineage later = Trace();
  EXPECT_EQ(EventsOf(later), EventsOf(lineage));
  EXPECT_EQ(later.steps[3].description, "csr late was refused: NODE_EXISTS");
}

TEST_F(TokenLineageTest, AnAttemptWithTwoReasonsIsToldWithBoth) {
  IssueClaimed();
  const Csr thief = PostCsr("thief", thief_key_);
  audit_.Break(/*says_so=*/false);
  approver_.Decide(thief);
  audit_.Mend();
  // Before it is decided again, another reason comes first.
  clock_.Advance(absl::Minutes(15));
  approver_.Decide(thief);
  ASSERT_EQ(DecisionOn("thief"), "Denied TOKEN_EXPIRED");

  const TokenLineage lineage = Trace();
  EXPECT_THAT(EventsOf(lineage),
              ElementsAre(LineageEvent::kIssued, LineageEvent::kClaimed,
                          LineageEvent::kRefused, LineageEvent::kRefused,
                          LineageEvent::kExpired));
  EXPECT_EQ(lineage.steps[2].description,
            "csr thief was refused: SCOPE_PUBLIC_KEY");
}

TEST_F(TokenLineageTest, CsrsOfAnotherTokenAreLeftOut) {
  PostCsr("of-the-one-before", key_);
  clock_.Advance(absl::Minutes(5));
  IssueDirect();
  IssueDirect("def456");
  PostCsr("own", key_);
  PostCsr("others", key_, "worker-1", "def456");

  const TokenLineage lineage = Trace();
  ASSERT_THAT(lineage.csrs, SizeIs(1));
  EXPECT_EQ(lineage.csrs[0].name, "own");
  EXPECT_EQ(lineage.csrs[0].verdict, LineageCsr::Verdict::kPending);
  EXPECT_FALSE(lineage.node.has_value());
}

TEST_F(TokenLineageTest, AFloodOfCsrsIsCutButNotTheOneThatHoldsTheToken) {
  IssueDirect();
  for (int i = 0; i < 120; ++i) {
    PostCsr("flood-" + std::to_string(i), thief_key_, "worker-2");
  }
  approver_.Decide(PostCsr("z-last", key_));
  ASSERT_EQ(State(), latchkey::TokenState::kReserved);

  const TokenLineage lineage = Trace();
  EXPECT_TRUE(lineage.more_csrs);
  ASSERT_THAT(lineage.csrs, SizeIs(TokenLineage::kMaxCsrs + 1));
  EXPECT_TRUE(lineage.csrs.back().holds_token);
}

TEST_F(TokenLineageTest, WhatStrangersWroteIsOneLineOfBoundedLength) {
  IssueDirect();
  Csr csr = PostCsr("odd", key_);
  auto& condition = *csr.mutable_status()->add_conditions();
  condition.set_type("Denied");
  condition.set_status("True");
  condition.set_reason("Why");
  condition.set_message("line\nbreak\x1b[31m" + std::string(2000, 'x'));
  ASSERT_THAT(api_.Update(csr, "approval"), IsOk());

  const TokenLineage lineage = Trace();
  ASSERT_THAT(lineage.steps, SizeIs(2));
  EXPECT_THAT(lineage.steps[1].description, Not(HasSubstr("\n")));
  EXPECT_THAT(lineage.steps[1].description, Not(HasSubstr("\x1b")));
  EXPECT_LE(lineage.steps[1].description.size(), 1200U);
  EXPECT_LE(lineage.csrs[0].message.size(), 1024U);
}

TEST_F(TokenLineageTest, WhatExpiredUnusedSaysSo) {
  IssueDirect();
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(EventsOf(Trace()),
              ElementsAre(LineageEvent::kIssued, LineageEvent::kExpired));
  EXPECT_THAT(Trace().csrs, IsEmpty());
}

TEST_F(TokenLineageTest, AClusterThatDoesNotAnswerIsAnError) {
  IssueDirect();
  const auto token = store_.Find(Id("abc123")).value();
  api_.FailNext(Verb::kList, 1, absl::UnavailableError("gone"));
  EXPECT_THAT(latchkey::TraceLineage(api_, token, clock_.Now()),
              StatusIs(absl::StatusCode::kUnavailable));
  api_.FailNext(Verb::kGet, 1, absl::UnavailableError("gone"));
  EXPECT_THAT(latchkey::TraceLineage(api_, token, clock_.Now()),
              StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace latchkey_testing
