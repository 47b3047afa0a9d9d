#include "services/token_upkeep.h"

#include <string>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "crypto/certificate.h"
#include "tests/services/join_fixture.h"
#include "tests/testing/fake_execution.h"

namespace latchkey_testing {
namespace {

using latchkey::TokenState;
using latchkey::WorkResult;

// What the broker's configuration has for it too, unless it says otherwise.
constexpr absl::Duration kGrace = absl::Minutes(2);

class TokenUpkeepTest : public JoinFixture {
 protected:
  WorkResult Tend() { return upkeep_.Tend(Id("abc123")); }
  // The token's CSR "a", approved and signed.
  void JoinUntilIssued() {
    IssueClaimed();
    approver_.Decide(PostCsr("a", key_));
    Sign("a");
  }
  void Pass(absl::Duration time) {
    execution_.Advance(time);
    clock_.Advance(time);
  }

  FakeExecution execution_;
};

TEST_F(TokenUpkeepTest, ATokenIsSpentWhenItsGraceIsOver) {
  JoinUntilIssued();
  const WorkResult first = Tend();
  EXPECT_EQ(first.kind, WorkResult::Kind::kAgain);
  EXPECT_EQ(first.when, At(5)) << "to look for the Node meanwhile";
  Pass(kGrace - absl::Seconds(1));
  EXPECT_EQ(Tend().when, At(120));
  EXPECT_EQ(State(), TokenState::kReserved);

  Pass(absl::Seconds(1));
  EXPECT_EQ(Tend().when, Record().expire_time);
  const latchkey::TokenRecord record = Record();
  EXPECT_EQ(record.state, TokenState::kSpent);
  EXPECT_NE(record.secret.Reveal(), "0123456789abcdef");
  const auto chain =
      latchkey::Certificate::ParseAll(Get("a").status().certificate());
  EXPECT_EQ(record.certificate->fingerprint, chain->front().fingerprint);
  EXPECT_EQ(record.certificate->serial, chain->front().serial);
}

TEST_F(TokenUpkeepTest, AClockThatIsSetForwardEndsNoGrace) {
  JoinUntilIssued();
  Tend();
  clock_.Advance(kGrace);
  EXPECT_EQ(Tend().when, At(125)) << "by the clock as it is now";
  EXPECT_EQ(State(), TokenState::kReserved);
  execution_.Advance(kGrace - absl::Seconds(1));
  EXPECT_EQ(Tend().when, At(121));
  EXPECT_EQ(State(), TokenState::kReserved);
  execution_.Advance(absl::Seconds(1));
  Tend();
  EXPECT_EQ(State(), TokenState::kSpent);
}

TEST_F(TokenUpkeepTest, WhatIsKnownOfATokenGoesWithItsRecord) {
  using latchkey::kubernetes::Secret;
  JoinUntilIssued();
  Tend();
  const latchkey::ObjectName name = {"kube-system", Id("abc123").SecretName()};
  Secret secret = *api_.Get<Secret>(name);
  ASSERT_THAT(api_.Delete<Secret>(name), IsOk());
  EXPECT_EQ(Tend().kind, WorkResult::Kind::kDone);
  Pass(kGrace);

  secret.mutable_metadata()->clear_resource_version();
  ASSERT_THAT(api_.Create(secret), IsOk());
  Tend();
  EXPECT_EQ(State(), TokenState::kReserved) << "its grace begins anew";
}

TEST_F(TokenUpkeepTest, ATokenIsSpentAtOnceWhenItsNodeIsThere) {
  JoinUntilIssued();
  AddNode("worker-1");
  Tend();
  EXPECT_EQ(State(), TokenState::kSpent);
}

TEST_F(TokenUpkeepTest, ADeadCsrGivesTheTokenBack) {
  IssueClaimed();
  approver_.Decide(PostCsr("a", key_));
  Csr failed = Get("a");
  auto& condition = *failed.mutable_status()->add_conditions();
  condition.set_type("Failed");
  condition.set_status("True");
  ASSERT_THAT(api_.Update(failed, "status"), IsOk());

  Tend();
  EXPECT_EQ(State(), TokenState::kActive);
  approver_.Decide(PostCsr("b", key_));
  EXPECT_EQ(DecisionOn("b"), "Approved LatchkeyApproved");
}

TEST_F(TokenUpkeepTest, ACsrSeenToGoUnsignedGivesTheTokenBack) {
  IssueClaimed();
  approver_.Decide(PostCsr("a", key_));
  const Csr last = Get("a");
  ASSERT_THAT(api_.Delete<Csr>({"", "a"}), IsOk());
  upkeep_.NoteDeleted(last);
  Tend();
  EXPECT_EQ(State(), TokenState::kActive);
}

TEST_F(TokenUpkeepTest, OfTheDeadTheOldestAreForgottenFirst) {
  IssueClaimed();
  approver_.Decide(PostCsr("a", key_));
  const Csr ours = Get("a");
  ASSERT_THAT(api_.Delete<Csr>({"", "a"}), IsOk());
  // Whatever the UIDs are, and however many went before.
  Csr other = ours;
  const auto note = [&](const std::string& uid) {
    other.mutable_metadata()->set_uid(uid);
    upkeep_.NoteDeleted(other);
  };
  for (int i = 0; i < 10'000; ++i) note(fmt::format("z{}", i));
  upkeep_.NoteDeleted(ours);
  note("zz");
  Tend();
  EXPECT_EQ(State(), TokenState::kActive);
}

TEST_F(TokenUpkeepTest, ACsrThatIsGoneUnseenKeepsTheToken) {
  JoinUntilIssued();
  ASSERT_THAT(api_.Delete<Csr>({"", "a"}), IsOk());
  Tend();
  EXPECT_EQ(State(), TokenState::kReserved)
      << "a certificate may have come out of it";
}

TEST_F(TokenUpkeepTest, ACsrThatWentSignedKeepsTheToken) {
  JoinUntilIssued();
  upkeep_.NoteDeleted(Get("a"));
  ASSERT_THAT(api_.Delete<Csr>({"", "a"}), IsOk());
  Tend();
  EXPECT_EQ(State(), TokenState::kReserved);
}

TEST_F(TokenUpkeepTest, AnotherCsrOfTheSameNameIsNotTheOne) {
  IssueClaimed();
  approver_.Decide(PostCsr("a", key_));
  ASSERT_THAT(api_.Delete<Csr>({"", "a"}), IsOk());
  PostCsr("a", thief_key_);
  Sign("a");
  AddNode("worker-1");
  Tend();
  EXPECT_EQ(State(), TokenState::kReserved);
}

TEST_F(TokenUpkeepTest, ASecondBrokerFindsNothingLeftToDo) {
  JoinUntilIssued();
  latchkey::TokenUpkeep second({}, api_, store_, audit_, clock_);
  second.Tend(Id("abc123"));
  Tend();
  Pass(kGrace);
  Tend();
  const auto updates = api_.Calls(Verb::kUpdate);
  EXPECT_EQ(second.Tend(Id("abc123")).when, Record().expire_time);
  EXPECT_EQ(api_.Calls(Verb::kUpdate), updates);
}

TEST_F(TokenUpkeepTest, AReservedTokenIsRemovedWhenItsTimeIsOver) {
  JoinUntilIssued();
  clock_.Advance(absl::Minutes(15));
  EXPECT_EQ(Tend().kind, WorkResult::Kind::kDone);
  EXPECT_THAT(store_.Find(Id("abc123")), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(TokenUpkeepTest, ExpiredRecordsAreRemoved) {
  IssueDirect();
  EXPECT_EQ(Tend().when, At(3600));
  EXPECT_EQ(State(), TokenState::kActive);
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(Tend().kind, WorkResult::Kind::kDone);
  EXPECT_THAT(store_.Find(Id("abc123")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(Tend().kind, WorkResult::Kind::kDone) << "gone already";
}

TEST_F(TokenUpkeepTest, ARecordThatWasExtendedMeanwhileIsNotRemoved) {
  IssueDirect();
  clock_.Advance(absl::Hours(1));
  api_.BeforeNext(Verb::kDelete, 1, [&] {
    auto token = store_.Find(Id("abc123"));
    latchkey::TokenRecord longer = token->record;
    longer.expire_time = At(7200);
    ASSERT_THAT(store_.Replace(*token, longer), IsOk());
  });
  EXPECT_EQ(Tend().kind, WorkResult::Kind::kRetry);
  EXPECT_EQ(Record().expire_time, At(7200));
}

TEST_F(TokenUpkeepTest, AnApiThatDoesNotAnswerIsAskedAgain) {
  JoinUntilIssued();
  clock_.Advance(absl::Seconds(31));
  api_.FailNext(Verb::kGet, 1, absl::UnavailableError("gone"));
  EXPECT_EQ(Tend().kind, WorkResult::Kind::kRetry);
  api_.FailNext(Verb::kGet, 2, absl::UnavailableError("gone"));
  EXPECT_EQ(Tend().kind, WorkResult::Kind::kRetry);
  EXPECT_EQ(State(), TokenState::kReserved);
}

TEST_F(TokenUpkeepTest, WhatCannotBeRecordedIsNeitherReleasedNorSpent) {
  IssueClaimed();
  approver_.Decide(PostCsr("a", key_));
  Csr failed = Get("a");
  auto& condition = *failed.mutable_status()->add_conditions();
  condition.set_type("Failed");
  condition.set_status("True");
  ASSERT_THAT(api_.Update(failed, "status"), IsOk());
  audit_.Break(/*says_so=*/false);
  EXPECT_EQ(Tend().kind, WorkResult::Kind::kRetry);
  EXPECT_EQ(State(), TokenState::kReserved);
  audit_.Mend();
  Tend();
  EXPECT_EQ(State(), TokenState::kActive);
  const latchkey::AuditEvent released = audit_.events().back();
  EXPECT_EQ(released.action, "token.release");
  EXPECT_EQ(released.facts.at("csr_uid"), failed.metadata().uid());
}

TEST_F(TokenUpkeepTest, SpendingIsRecordedBeforeItIsDone) {
  JoinUntilIssued();
  AddNode("worker-1");
  audit_.Break(/*says_so=*/false);
  EXPECT_EQ(Tend().kind, WorkResult::Kind::kRetry);
  EXPECT_EQ(State(), TokenState::kReserved);
  audit_.Mend();
  Tend();
  EXPECT_EQ(State(), TokenState::kSpent);
  const latchkey::AuditEvent spent = audit_.events().back();
  EXPECT_EQ(spent.action, "token.spend");
  EXPECT_EQ(spent.facts.at("certificate"), Record().certificate->fingerprint);
}

}  // namespace
}  // namespace latchkey_testing
