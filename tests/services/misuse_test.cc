#include "services/misuse.h"

#include <string>

#include <gmock/gmock.h>

#include "clients/log/event_log.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "storage/advance.h"
#include "storage/memory_token_store.h"
#include "tests/fakes/flaky_token_store.h"
#include "tests/fakes/recording_audit_log.h"
#include "tests/storage/records.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {
namespace {

using latchkey::LivePolicy;
using latchkey::MemoryTokenStore;
using latchkey::MisuseGuard;
using latchkey::Policy;
using latchkey::SecretString;
using latchkey::StoredToken;
using latchkey::TokenRecord;
using latchkey::TokenState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kMisused[] = "token.misuse denied TICKET_ALREADY_CLAIMED";

class MisuseTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    latchkey::StartLogging(latchkey::LogLevel::kInfo);
  }
  StoredToken Issue(const char* rule) {
    TokenRecord record = DirectRecord();
    record.rule = rule;
    const auto issued = memory_.Insert(record);
    EXPECT_THAT(issued, IsOk());
    return *issued;
  }
  // What the log says of it.
  std::string Report(const StoredToken& token) {
    ::testing::internal::CaptureStderr();
    guard_.Report(
        token,
        latchkey::Refuse(absl::StatusCode::kFailedPrecondition,
                         latchkey::reason::kTicketAlreadyClaimed, "claimed"),
        "peer ipv4:10.0.0.7:4242");
    return ::testing::internal::GetCapturedStderr();
  }
  // Another broker's moves, each on the record as it stands.
  void Move(const latchkey::Arrow& arrow) {
    ASSERT_THAT(latchkey::Advance(memory_, Id("abc123"), arrow), IsOk());
  }
  void Spend() {
    Move([](const TokenRecord& record) {
      return latchkey::Reserve(record, HeldBy("a", '1'), At(1));
    });
    Move([](const TokenRecord& record) {
      return latchkey::Spend(
          record, "uid-a",
          {.fingerprint = Key('f'), .serial = "01", .not_after = At(9000)},
          SecretString("zzzzzzzzzzzzzzzz"));
    });
  }
  void Revoke() {
    Move([](const TokenRecord& record) {
      return latchkey::Revoke(record,
                              {.who = "op", .why = "lost", .time = At(1)},
                              SecretString("zzzzzzzzzzzzzzzz"));
    });
  }
  void ReplaceByAnother(const char* rule) {
    ASSERT_THAT(memory_.Remove(*memory_.Find(Id("abc123"))), IsOk());
    Issue(rule);
  }
  TokenRecord Record() { return memory_.Find(Id("abc123")).value().record; }

  FakeClock clock_{At(0)};
  MemoryTokenStore memory_{clock_};
  FlakyTokenStore store_{memory_};
  LivePolicy policy_{Policy(
      {{.name = "noted"}, {.name = "frozen", .freeze_on_misuse = true}})};
  RecordingAuditLog audit_;
  MisuseGuard guard_{store_, policy_, audit_, clock_};
};

TEST_F(MisuseTest, TheRuleSaysWhetherItIsNotedOrCutOff) {
  Report(Issue("noted"));
  EXPECT_EQ(Record().state, TokenState::kActive);
  ASSERT_EQ(Record().refused.size(), 1U);
  EXPECT_EQ(Record().refused[0].by, "peer ipv4:10.0.0.7:4242");
  EXPECT_THAT(audit_.Summary(), ElementsAre(kMisused));

  ReplaceByAnother("frozen");
  EXPECT_THAT(Report(*memory_.Find(Id("abc123"))), HasSubstr("token revoked"));
  EXPECT_EQ(Record().state, TokenState::kRevoked);
  EXPECT_THAT(audit_.Summary(),
              ElementsAre(kMisused, kMisused,
                          "token.revoke allowed TICKET_ALREADY_CLAIMED"));
}

TEST_F(MisuseTest, OneAttemptIsNotedOnceWhateverIsLost) {
  store_.LoseNextWrite(FlakyTokenStore::Loses::kAnswer);
  Report(Issue("noted"));
  EXPECT_EQ(Record().refused.size(), 1U);
}

TEST_F(MisuseTest, AnotherRecordThatTookTheIdIsNotTheOne) {
  for (const char* rule : {"noted", "frozen"}) {
    SCOPED_TRACE(rule);
    const StoredToken misused = Issue(rule);
    ReplaceByAnother(rule);
    const std::string log = Report(misused);
    EXPECT_EQ(Record().state, TokenState::kActive);
    EXPECT_THAT(Record().refused, IsEmpty());
    EXPECT_THAT(log, Not(HasSubstr("token not revoked")));
    EXPECT_THAT(log, Not(HasSubstr("not noted")));
    ASSERT_THAT(memory_.Remove(*memory_.Find(Id("abc123"))), IsOk());
  }
  EXPECT_THAT(audit_.Summary(), ElementsAre(kMisused, kMisused));
}

TEST_F(MisuseTest, WhatIsSpentStaysAsItIsAndIsNoError) {
  const StoredToken misused = Issue("frozen");
  Spend();
  EXPECT_THAT(Report(misused), Not(HasSubstr("token not revoked")));
  EXPECT_EQ(Record().state, TokenState::kSpent);
  EXPECT_THAT(audit_.Summary(), ElementsAre(kMisused));
}

TEST_F(MisuseTest, AnothersRevocationIsNotRecordedAsOurs) {
  const StoredToken misused = Issue("frozen");
  Revoke();
  EXPECT_THAT(Report(misused), Not(HasSubstr("token revoked")));
  EXPECT_EQ(Record().revocation->who, "op");
  EXPECT_THAT(audit_.Summary(), ElementsAre(kMisused));
}

TEST_F(MisuseTest, AStoreThatDoesNotAnswerIsAnError) {
  const StoredToken misused = Issue("frozen");
  for (int i = 0; i < 3; ++i) {
    store_.LoseNextWrite(FlakyTokenStore::Loses::kRequest);
  }
  EXPECT_THAT(Report(misused), HasSubstr("token not revoked"));
  EXPECT_THAT(audit_.Summary(), ElementsAre(kMisused));
}

}  // namespace
}  // namespace latchkey_testing
