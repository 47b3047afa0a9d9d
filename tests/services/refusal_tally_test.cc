#include "services/refusal_tally.h"

#include <map>
#include <string>

#include <gmock/gmock.h>

#include "tests/fakes/recording_audit_log.h"
#include "tests/testing/wait_until.h"

namespace latchkey {
namespace {

using latchkey_testing::RecordingAuditLog;
using latchkey_testing::WaitUntil;

AuditEvent Refused(const std::string& identity) {
  return {.action = "IssueToken",
          .verdict = AuditVerdict::kDenied,
          .reason = "RATE_LIMITED",
          .identity = identity};
}

TEST(RefusalTallyTest, AFloodIsOneRecordWithItsCount) {
  RecordingAuditLog log;
  {
    RefusalTally tally({.interval = absl::Hours(1)}, log);
    for (int i = 0; i < 1000; ++i) tally.Add(Refused("a"));
    tally.Add(Refused("b"));
  }
  ASSERT_EQ(log.events().size(), 2U);
  EXPECT_EQ(log.events()[0].identity, "a");
  EXPECT_EQ(log.events()[0].facts.at("count"), "1000");
  EXPECT_EQ(log.events()[1].facts.at("count"), "1");
}

TEST(RefusalTallyTest, WhatWasWrongIsToldApartAmongStrangersToo) {
  RecordingAuditLog log;
  {
    RefusalTally tally({.interval = absl::Hours(1), .max_kinds = 1}, log);
    for (int i = 0; i < 10; ++i) {
      AuditEvent event = Refused(std::to_string(i));
      event.facts["detail"] = i % 2 == 0 ? "expired" : "forged";
      tally.Add(event);
    }
  }
  std::map<std::string, int> counts;
  for (const AuditEvent& event : log.events()) {
    counts[event.facts.at("detail")] += std::stoi(event.facts.at("count"));
  }
  EXPECT_EQ(log.events().size(), 3U);
  EXPECT_EQ(counts["expired"], 5);
  EXPECT_EQ(counts["forged"], 5);
}

TEST(RefusalTallyTest, RecordsAreWrittenAsTimePasses) {
  RecordingAuditLog log;
  RefusalTally tally({.interval = absl::Milliseconds(1)}, log);
  for (size_t i = 0; i < 3; ++i) {
    tally.Add(Refused("a"));
    EXPECT_TRUE(WaitUntil([&] { return log.events().size() == i + 1; }));
  }
}

TEST(RefusalTallyTest, OfTooManyStrangersOnlyTheNumberIsKept) {
  RecordingAuditLog log;
  {
    RefusalTally tally({.interval = absl::Hours(1), .max_kinds = 10}, log);
    for (int i = 0; i < 1000; ++i) tally.Add(Refused(std::to_string(i)));
  }
  EXPECT_EQ(log.events().size(), 11U);
  int total = 0;
  for (const AuditEvent& event : log.events()) {
    total += std::stoi(event.facts.at("count"));
  }
  EXPECT_EQ(total, 1000);
}

}  // namespace
}  // namespace latchkey
