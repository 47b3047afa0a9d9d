#include "services/csr_approver.h"

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <gmock/gmock.h>

#include "core/fault_point.h"
#include "core/reasons.h"
#include "tests/services/join_fixture.h"

namespace latchkey_testing {
namespace {

using latchkey::CsrApprover;
using latchkey::TokenState;
using latchkey::WorkResult;
using ::testing::ElementsAre;

class CsrApproverTest : public JoinFixture {
 protected:
  // What the record notes: the reason, and by whom.
  std::vector<std::string> Refused() {
    std::vector<std::string> all;
    const latchkey::TokenRecord record = Record();
    for (const auto& attempt : record.refused) {
      all.push_back(attempt.reason + " " + attempt.by);
    }
    return all;
  }
};

TEST_F(CsrApproverTest, ApprovesTheCsrThatFits) {
  IssueClaimed();
  const Csr csr = PostCsr("a", key_);

  EXPECT_EQ(approver_.Decide(csr).kind, WorkResult::Kind::kDone);
  EXPECT_EQ(DecisionOn("a"), "Approved LatchkeyApproved");
  EXPECT_EQ(State(), TokenState::kReserved);
  EXPECT_EQ(Record().reservation->csr_uid, csr.metadata().uid());
}

TEST_F(CsrApproverTest, ADirectTokenIsBoundByItsFirstCsr) {
  IssueDirect();
  approver_.Decide(PostCsr("a", key_));
  approver_.Decide(PostCsr("b", thief_key_));

  EXPECT_EQ(DecisionOn("a"), "Approved LatchkeyApproved");
  EXPECT_EQ(DecisionOn("b"), "Denied TOKEN_RESERVED");
  EXPECT_EQ(Record().BoundKey(), key_.public_key_digest());
}

TEST_F(CsrApproverTest, TheSameMachineMayTryAgainOnceItsDeadCsrIsReleased) {
  IssueClaimed();
  approver_.Decide(PostCsr("a", key_));
  const Csr last = Get("a");
  ASSERT_THAT(api_.Delete<Csr>({"", "a"}), IsOk());
  const Csr again = PostCsr("b", key_);
  EXPECT_EQ(approver_.Decide(again).kind, WorkResult::Kind::kRetry);
  EXPECT_EQ(DecisionOn("b"), "");
  upkeep_.NoteDeleted(last);
  upkeep_.Tend(Id("abc123"));
  approver_.Decide(again);
  EXPECT_EQ(DecisionOn("b"), "Approved LatchkeyApproved");
}

TEST_F(CsrApproverTest, SoItMayIfTheDeadCsrGotInWhileTheNextWasJudged) {
  IssueDirect();
  const Csr last = PostCsr("a", key_);
  const Csr again = PostCsr("b", key_);
  // The record is read, and bound before it is written.
  api_.BeforeNext(Verb::kUpdate, 1, [&] { second_approver_.Decide(last); });
  EXPECT_EQ(approver_.Decide(again).kind, WorkResult::Kind::kRetry);
  EXPECT_EQ(DecisionOn("b"), "");
  ASSERT_THAT(api_.Delete<Csr>({"", "a"}), IsOk());
  upkeep_.NoteDeleted(last);
  upkeep_.Tend(Id("abc123"));
  approver_.Decide(again);
  EXPECT_EQ(DecisionOn("b"), "Approved LatchkeyApproved");
}

TEST_F(CsrApproverTest, DeniesWhatDoesNotFitAndSpendsNothing) {
  IssueClaimed();
  approver_.Decide(PostCsr("other-node", key_, "worker-2"));
  approver_.Decide(PostCsr("other-key", thief_key_));

  EXPECT_EQ(DecisionOn("other-node"), "Denied SCOPE_NODE_NAME");
  EXPECT_EQ(DecisionOn("other-key"), "Denied SCOPE_PUBLIC_KEY");
  EXPECT_EQ(State(), TokenState::kActive);
  EXPECT_THAT(Refused(), ElementsAre("SCOPE_NODE_NAME csr other-node",
                                     "SCOPE_PUBLIC_KEY csr other-key"));
  approver_.Decide(PostCsr("mine", key_));
  EXPECT_EQ(DecisionOn("mine"), "Approved LatchkeyApproved");
}

TEST_F(CsrApproverTest, MisuseFreezesWhereThePolicySaysSo) {
  IssueClaimed("abc123", "frozen");
  Csr server = PostCsr("server", key_);
  server.mutable_spec()->add_usages("server auth");
  approver_.Decide(server);
  EXPECT_EQ(DecisionOn("server"), "Denied CSR_USAGES");
  EXPECT_EQ(State(), TokenState::kActive) << "a mistake is no misuse";
  approver_.Decide(PostCsr("thief", thief_key_));
  EXPECT_EQ(State(), TokenState::kRevoked);
  approver_.Decide(PostCsr("mine", key_));
  EXPECT_EQ(DecisionOn("mine"), "Denied TOKEN_REVOKED");
}

TEST_F(CsrApproverTest, MisuseIsNotedOnceWhoeverDecidesHoweverOften) {
  IssueClaimed();
  const Csr csr = PostCsr("thief", thief_key_);
  audit_.Break(/*says_so=*/false);
  EXPECT_EQ(approver_.Decide(csr).kind, WorkResult::Kind::kRetry);
  audit_.Mend();
  clock_.Advance(absl::Seconds(5));
  approver_.Decide(csr);
  second_approver_.Decide(csr);
  EXPECT_EQ(DecisionOn("thief"), "Denied SCOPE_PUBLIC_KEY");
  EXPECT_THAT(Refused(), ElementsAre("SCOPE_PUBLIC_KEY csr thief"));
}

TEST_F(CsrApproverTest, WhatIsNotDeniedAfterAllIsNotNoted) {
  IssueClaimed();
  AddNode("worker-1");
  const Csr csr = PostCsr("a", key_);
  audit_.Break(/*says_so=*/false);
  EXPECT_EQ(approver_.Decide(csr).kind, WorkResult::Kind::kRetry);
  audit_.Mend();
  EXPECT_THAT(Refused(), ElementsAre());
  // Judged while the Node is there, and denied when it is not.
  api_.BeforeNext(Verb::kUpdate, 1, [&] {
    ASSERT_THAT(api_.Delete<latchkey::kubernetes::Node>({"", "worker-1"}),
                IsOk());
    second_approver_.Decide(csr);
  });
  approver_.Decide(csr);
  EXPECT_EQ(DecisionOn("a"), "Approved LatchkeyApproved");
  EXPECT_THAT(Refused(), ElementsAre());
}

TEST_F(CsrApproverTest, WhatRefusalsMayWriteIsLimitedAndLeavesRoomForMisuse) {
  IssueClaimed();
  AddNode("worker-1");
  for (const char* name : {"a", "b", "c", "d"}) {
    approver_.Decide(PostCsr(name, key_));
    EXPECT_EQ(DecisionOn(name), "Denied NODE_EXISTS");
  }
  for (const char* name : {"f", "g", "h", "i"}) {
    approver_.Decide(PostCsr(name, thief_key_));
    EXPECT_EQ(DecisionOn(name), "Denied SCOPE_PUBLIC_KEY");
  }
  EXPECT_THAT(Refused(),
              ElementsAre("NODE_EXISTS csr a", "NODE_EXISTS csr b",
                          "NODE_EXISTS csr c", "SCOPE_PUBLIC_KEY csr f",
                          "SCOPE_PUBLIC_KEY csr g", "SCOPE_PUBLIC_KEY csr h"));
}

TEST_F(CsrApproverTest, AnExpiredTokenBuysNothing) {
  IssueClaimed();
  const Csr csr = PostCsr("a", key_);
  clock_.Advance(absl::Minutes(15));
  approver_.Decide(csr);
  EXPECT_EQ(DecisionOn("a"), "Denied TOKEN_EXPIRED");
  EXPECT_THAT(Refused(), ElementsAre()) << "EXPIRED tells of it";
}

TEST_F(CsrApproverTest, WhatIsNotOursIsLeftAlone) {
  Csr csr = PostCsr("ours", key_);
  csr.clear_metadata();
  csr.mutable_metadata()->set_name("kubeadm");
  csr.mutable_spec()->set_username("system:bootstrap:kubead");
  csr.mutable_spec()->clear_groups();
  csr.mutable_spec()->add_groups(
      "system:bootstrappers:kubeadm:default-node-token");
  csr = *api_.Create(csr);
  EXPECT_EQ(approver_.Decide(csr).kind, WorkResult::Kind::kDone);
  EXPECT_EQ(DecisionOn("kubeadm"), "");
}

TEST_F(CsrApproverTest, ATokenWithoutARecordIsDenied) {
  approver_.Decide(PostCsr("a", key_));
  EXPECT_EQ(DecisionOn("a"), "Denied TOKEN_UNKNOWN");
}

TEST_F(CsrApproverTest, ANameThatIsTakenIsDeniedUnlessReplacementIsAllowed) {
  AddNode("worker-1");
  IssueClaimed();
  approver_.Decide(PostCsr("a", key_));
  EXPECT_EQ(DecisionOn("a"), "Denied NODE_EXISTS");
  EXPECT_EQ(State(), TokenState::kActive);
  EXPECT_THAT(Refused(), ElementsAre("NODE_EXISTS csr a"));

  latchkey::TokenRecord replacing = DirectRecord("def456");
  replacing.scope.allow_node_replacement = true;
  ASSERT_THAT(store_.Insert(replacing), IsOk());
  approver_.Decide(PostCsr("b", key_, "worker-1", "def456"));
  EXPECT_EQ(DecisionOn("b"), "Approved LatchkeyApproved");
}

TEST_F(CsrApproverTest, NothingIsDecidedOnAGuess) {
  IssueClaimed();
  const Csr csr = PostCsr("a", key_);
  // The record, then the Node: neither can be read.
  for (const int nth : {1, 2}) {
    api_.FailNext(Verb::kGet, nth, absl::UnavailableError("gone"));
    EXPECT_EQ(approver_.Decide(csr).kind, WorkResult::Kind::kRetry);
    EXPECT_EQ(DecisionOn("a"), "");
    EXPECT_EQ(State(), TokenState::kActive);
  }
  EXPECT_EQ(approver_.Decide(csr).kind, WorkResult::Kind::kDone);
  EXPECT_EQ(DecisionOn("a"), "Approved LatchkeyApproved");
}

TEST_F(CsrApproverTest, ABrokerThatDiesAfterReservingIsCompletedByTheNext) {
  IssueClaimed();
  const Csr csr = PostCsr("a", key_);
  // The reservation is the first update, the approval the second.
  api_.FailNext(Verb::kUpdate, 2, absl::UnavailableError("died"));
  EXPECT_EQ(approver_.Decide(csr).kind, WorkResult::Kind::kRetry);
  EXPECT_EQ(State(), TokenState::kReserved);
  EXPECT_EQ(DecisionOn("a"), "");

  second_approver_.Decide(csr);
  EXPECT_EQ(DecisionOn("a"), "Approved LatchkeyApproved");
}

TEST_F(CsrApproverTest, ALostAnswerToTheReservationIsSettledByReading) {
  IssueClaimed();
  const Csr csr = PostCsr("a", key_);
  api_.FailNext(Verb::kUpdate, 1, absl::UnavailableError("lost"),
                FakeKubernetesClient::Effect::kDone);
  EXPECT_EQ(approver_.Decide(csr).kind, WorkResult::Kind::kDone);
  EXPECT_EQ(DecisionOn("a"), "Approved LatchkeyApproved");
}

TEST_F(CsrApproverTest, AFrozenBrokerThatWakesApprovesNothing) {
  IssueDirect();
  const Csr first = PostCsr("a", key_);
  const Csr second = PostCsr("b", thief_key_);
  // Between reservation and approval the first broker freezes. Somebody denies
  // its CSR, the token is released, and the other broker gives it to the next.
  api_.BeforeNext(Verb::kUpdate, 2, [&] {
    Csr denied = first;
    auto& condition = *denied.mutable_status()->add_conditions();
    condition.set_type("Denied");
    condition.set_status("True");
    ASSERT_THAT(api_.Update(denied, "approval"), IsOk());
    upkeep_.Tend(Id("abc123"));
    ASSERT_EQ(State(), TokenState::kActive);
    second_approver_.Decide(second);
  });
  approver_.Decide(first);

  EXPECT_EQ(DecisionOn("a").substr(0, 6), "Denied");
  EXPECT_EQ(DecisionOn("b"), "Approved LatchkeyApproved");
}

TEST_F(CsrApproverTest, ACsrThatChangedSinceItWasJudgedIsNotDecided) {
  IssueClaimed();
  const Csr csr = PostCsr("a", key_);
  api_.BeforeNext(Verb::kUpdate, 2, [&] {
    ASSERT_THAT(api_.Delete<Csr>({"", "a"}), IsOk());
    PostCsr("a", thief_key_);
  });
  approver_.Decide(csr);
  EXPECT_EQ(DecisionOn("a"), "") << "another CSR of the same name";
}

TEST_F(CsrApproverTest, ConcernsPendingKubeletCsrsOfBootstrapTokens) {
  const Csr csr = PostCsr("a", key_);
  EXPECT_TRUE(CsrApprover::Concerns(csr));
  Csr serving = csr;
  serving.mutable_spec()->set_signer_name("kubernetes.io/kubelet-serving");
  EXPECT_FALSE(CsrApprover::Concerns(serving));
  Csr renewal = csr;
  renewal.mutable_spec()->set_username("system:node:worker-1");
  EXPECT_FALSE(CsrApprover::Concerns(renewal));
  Csr decided = csr;
  decided.mutable_status()->add_conditions()->set_type("Approved");
  EXPECT_FALSE(CsrApprover::Concerns(decided));
}

TEST_F(CsrApproverTest, TheApprovalIsRecordedBeforeItIsSent) {
  IssueDirect();
  const Csr csr = PostCsr("csr-1", key_);
  audit_.Before([&](const latchkey::AuditEvent& event) {
    EXPECT_EQ(event.token_id, "abc123");
    EXPECT_FALSE(event.token_uid.empty());
    EXPECT_EQ(event.facts.at("csr_uid"), csr.metadata().uid());
    EXPECT_EQ(DecisionOn("csr-1"), "") << "the cluster has heard of it";
  });
  approver_.Decide(csr);
  EXPECT_THAT(audit_.Summary(), ::testing::ElementsAre("token.reserve allowed",
                                                       "csr.approve allowed"));
  EXPECT_EQ(DecisionOn("csr-1"), "Approved LatchkeyApproved");
}

TEST_F(CsrApproverTest, WhatCannotBeRecordedIsNotDecided) {
  IssueDirect();
  const Csr csr = PostCsr("csr-1", key_);
  const Csr stranger = PostCsr("csr-2", key_, "worker-2");
  audit_.Break(/*says_so=*/false);
  EXPECT_EQ(approver_.Decide(csr).kind, latchkey::WorkResult::Kind::kRetry);
  EXPECT_EQ(approver_.Decide(stranger).kind,
            latchkey::WorkResult::Kind::kRetry);
  EXPECT_EQ(DecisionOn("csr-1"), "");
  EXPECT_EQ(DecisionOn("csr-2"), "");
  audit_.Mend();
  approver_.Decide(csr);
  approver_.Decide(stranger);
  EXPECT_EQ(DecisionOn("csr-1"), "Approved LatchkeyApproved");
  EXPECT_EQ(DecisionOn("csr-2"), "Denied SCOPE_NODE_NAME");
  EXPECT_THAT(
      audit_.Summary(),
      ::testing::IsSupersetOf({"token.reserve allowed", "csr.approve allowed",
                               "token.misuse denied SCOPE_NODE_NAME",
                               "csr.deny denied SCOPE_NODE_NAME"}));
  for (const latchkey::AuditEvent& event : audit_.events()) {
    EXPECT_EQ(event.token_uid, audit_.events().front().token_uid)
        << event.action;
  }
}

}  // namespace
}  // namespace latchkey_testing
