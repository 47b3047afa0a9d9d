#include "storage/advance.h"

#include <gmock/gmock.h>

#include "core/reasons.h"
#include "storage/memory_token_store.h"
#include "tests/fakes/flaky_token_store.h"
#include "tests/storage/records.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::At;
using latchkey_testing::DirectRecord;
using latchkey_testing::FakeClock;
using latchkey_testing::FlakyTokenStore;
using latchkey_testing::HeldBy;
using latchkey_testing::Id;
using latchkey_testing::IsOk;
using latchkey_testing::ReasonIs;
using latchkey_testing::StatusIs;

class AdvanceTest : public ::testing::Test {
 protected:
  AdvanceTest() { EXPECT_THAT(memory_.Insert(DirectRecord()), IsOk()); }

  absl::StatusOr<StoredToken> ReserveFor(std::string_view csr) {
    return Advance(store_, Id("abc123"), [=](const TokenRecord& record) {
      return Reserve(record, HeldBy(csr, '1'), At(20));
    });
  }
  std::string Holder() {
    const auto token = memory_.Find(Id("abc123"));
    return token.ok() && token->record.reservation.has_value()
               ? token->record.reservation->csr_name
               : "";
  }

  FakeClock clock_;
  MemoryTokenStore memory_{clock_};
  FlakyTokenStore store_{memory_};
};

TEST_F(AdvanceTest, ALostAnswerIsFoundToBeDone) {
  store_.LoseNextWrite(FlakyTokenStore::Loses::kAnswer);

  EXPECT_THAT(ReserveFor("a"), IsOk());
  EXPECT_EQ(Holder(), "csr-a");
  EXPECT_EQ(store_.writes(), 1) << "what was done must not be done again";
}

TEST_F(AdvanceTest, ARefusalWhoseAnswerWasLostIsNotedOnce) {
  store_.LoseNextWrite(FlakyTokenStore::Loses::kAnswer);
  EXPECT_THAT(Advance(store_, Id("abc123"),
                      [](const TokenRecord& record) {
                        return NoteRefused(
                            record,
                            {.reason = "R", .by = "thief", .time = At(1)}, 2);
                      }),
              IsOk());
  EXPECT_EQ(store_.writes(), 1) << "each write is an event";
  EXPECT_EQ(memory_.Find(Id("abc123"))->record.refused.size(), 1U);
}

TEST_F(AdvanceTest, ALostRequestIsSentAgain) {
  store_.LoseNextWrite(FlakyTokenStore::Loses::kRequest);

  EXPECT_THAT(ReserveFor("a"), IsOk());
  EXPECT_EQ(Holder(), "csr-a");
  EXPECT_EQ(store_.writes(), 2);
}

TEST_F(AdvanceTest, ALostRaceIsSeenAsSuch) {
  store_.BeforeNextWrite([&] {
    ASSERT_THAT(Advance(memory_, Id("abc123"),
                        [](const TokenRecord& record) {
                          return Reserve(record, HeldBy("rival", '2'), At(20));
                        }),
                IsOk());
  });

  EXPECT_THAT(ReserveFor("a"), ReasonIs(reason::kTokenReserved));
  EXPECT_EQ(Holder(), "csr-rival");
}

TEST_F(AdvanceTest, ALostAnswerMayHideALostRace) {
  // Our write never arrived, and a rival's did.
  store_.LoseNextWrite(FlakyTokenStore::Loses::kRequest);
  store_.BeforeNextWrite([&] {
    ASSERT_THAT(Advance(memory_, Id("abc123"),
                        [](const TokenRecord& record) {
                          return Reserve(record, HeldBy("rival", '2'), At(20));
                        }),
                IsOk());
  });

  EXPECT_THAT(ReserveFor("a"), ReasonIs(reason::kTokenReserved));
  EXPECT_EQ(Holder(), "csr-rival");
}

TEST_F(AdvanceTest, GivesUpWithoutACertainAnswer) {
  for (int i = 0; i < 8; ++i) {
    store_.LoseNextWrite(FlakyTokenStore::Loses::kRequest);
  }

  EXPECT_THAT(ReserveFor("a"), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(store_.writes(), 3) << "a store in trouble is not hammered";
}

TEST_F(AdvanceTest, AnotherRecordThatTookTheIdIsNotTheOne) {
  // What was judged was the first record; the id is its successor's by now.
  store_.BeforeNextWrite([&] {
    ASSERT_THAT(memory_.Remove(*memory_.Find(Id("abc123"))), IsOk());
    ASSERT_THAT(memory_.Insert(DirectRecord()), IsOk());
  });
  const auto seen = memory_.Find(Id("abc123"));
  EXPECT_THAT(Advance(
                  store_, Id("abc123"),
                  [](const TokenRecord& record) {
                    return Reserve(record, HeldBy("a", '1'), At(20));
                  },
                  *seen),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(Holder(), "");
}

TEST_F(AdvanceTest, ARefusalWritesNothing) {
  ASSERT_THAT(ReserveFor("a"), IsOk());
  const int before = store_.writes();

  EXPECT_THAT(ReserveFor("b"), ReasonIs(reason::kTokenReserved));
  EXPECT_EQ(store_.writes(), before);
}

}  // namespace
}  // namespace latchkey
