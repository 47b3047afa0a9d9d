#include "services/join_controller.h"

#include <latch>
#include <optional>
#include <string>

#include "tests/services/join_fixture.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::JoinController;
using latchkey::TokenState;

class JoinControllerTest : public JoinFixture {
 protected:
  // Work is done by one thread, in order.
  void Start(absl::Duration reserved_look) {
    controller_.emplace(JoinController::Options{.approver_threads = 1,
                                                .upkeep_threads = 1,
                                                .metrics = &metrics_,
                                                .reserved_look = reserved_look},
                        api_, approver_, upkeep_, index_, events_, clock_);
    ASSERT_TRUE(WaitUntil([&] { return controller_->fresh(); }));
  }
  // Another broker reserves the token for a CSR that is dead already: there is
  // something to do for the record, and only the record's own event tells.
  void ReserveForADeadCsr() {
    const Csr csr = Get("dead");
    ASSERT_THAT(latchkey::Advance(store_, Id("abc123"),
                                  [&](const latchkey::TokenRecord& at) {
                                    return latchkey::Reserve(
                                        at,
                                        {.csr_name = "dead",
                                         .csr_uid = csr.metadata().uid(),
                                         .key_digest = key_.public_key_digest(),
                                         .time = clock_.Now()},
                                        clock_.Now());
                                  }),
                IsOk());
  }
  // Gives the upkeep something to do, and waits until it has done that and what
  // came before.
  void AwaitUpkeep(const char* unused_id) {
    latchkey::TokenRecord expired = DirectRecord(unused_id);
    expired.expire_time = clock_.Now();
    ASSERT_THAT(store_.Insert(expired), IsOk());
    ASSERT_TRUE(WaitUntil(
        [&] { return absl::IsNotFound(store_.Find(Id(unused_id)).status()); }));
  }
  void PostDeadCsr() {
    Csr csr = PostCsr("dead", key_);
    auto& condition = *csr.mutable_status()->add_conditions();
    condition.set_type("Denied");
    condition.set_status("True");
    ASSERT_THAT(api_.Update(csr, "approval"), IsOk());
  }

  latchkey::BrokerMetrics metrics_;
  latchkey::RecordIndex index_{
      [this](absl::Duration lag) { metrics_.MintSeen(lag); }};
  latchkey::TokenEvents events_{{}, api_};
  std::optional<JoinController> controller_;
};

TEST_F(JoinControllerTest, ACsrIsApprovedAndItsTokenSpent) {
  Start(absl::Hours(1));
  IssueDirect();
  PostCsr("a", key_);
  ASSERT_TRUE(WaitUntil([&] { return !DecisionOn("a").empty(); }));
  EXPECT_EQ(DecisionOn("a"), "Approved LatchkeyApproved");
  AddNode("worker-1");
  Sign("a");
  EXPECT_TRUE(WaitUntil([&] { return State() == TokenState::kSpent; }));
}

TEST_F(JoinControllerTest, AReservationIsLookedAtIfItsCsrIsNotHeardOf) {
  IssueClaimed();
  PostDeadCsr();
  Start(absl::ZeroDuration());
  ReserveForADeadCsr();
  EXPECT_TRUE(WaitUntil([&] { return State() == TokenState::kActive; }));
}

TEST_F(JoinControllerTest, AJoinUnderWayIsLeftInPeace) {
  IssueClaimed();
  PostDeadCsr();
  Start(absl::Hours(1));
  AwaitUpkeep("def456");
  ReserveForADeadCsr();
  AwaitUpkeep("ghi789");
  EXPECT_EQ(State(), TokenState::kReserved);
}

TEST_F(JoinControllerTest, SaysWhenAWatchIsNotUpToDateAndHowFarItIsBehind) {
  const auto says = [&](const std::string& line) {
    return WaitUntil(
        [&] { return metrics_.Text().find(line + "\n") != std::string::npos; });
  };
  Start(absl::Hours(1));
  EXPECT_TRUE(says("latchkey_watch_fresh{watch=\"csrs\"} 1"));
  EXPECT_TRUE(says("latchkey_watch_fresh{watch=\"records\"} 1"));
  ASSERT_TRUE(WaitUntil([&] { return api_.OpenWatches() == 2; }));

  index_.Written(Id("def456"));
  ASSERT_THAT(store_.Insert(DirectRecord("def456")), IsOk());
  EXPECT_TRUE(says("latchkey_watch_lag_seconds_count 1"));

  // Each watch is opened anew and refused, both before either asks again.
  std::latch both_asked(2);
  std::latch go(1);
  for (const int nth : {1, 2}) {
    api_.BeforeNext(Verb::kWatch, nth, [&] { both_asked.arrive_and_wait(); });
    api_.FailNext(Verb::kWatch, nth, absl::UnavailableError("down"));
    api_.BeforeNext(Verb::kWatch, nth + 2, [&] { go.wait(); });
  }
  api_.EndWatches();
  EXPECT_TRUE(says("latchkey_watch_fresh{watch=\"csrs\"} 0"));
  EXPECT_TRUE(says("latchkey_watch_fresh{watch=\"records\"} 0"));
  go.count_down();
  EXPECT_TRUE(says("latchkey_watch_fresh{watch=\"csrs\"} 1"));
  EXPECT_TRUE(says("latchkey_watch_fresh{watch=\"records\"} 1"));
}

}  // namespace
}  // namespace latchkey_testing
