#include "services/work_schedule.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace latchkey {
namespace {

using ::testing::ElementsAre;

absl::Time At(int seconds) { return absl::FromUnixSeconds(seconds); }

// Takes and finishes until nothing is ready.
std::vector<std::string> Drain(WorkSchedule& schedule, absl::Time now) {
  std::vector<std::string> keys;
  while (const auto item = schedule.Take(now)) {
    keys.push_back(item->key);
    schedule.Finish(*item);
  }
  return keys;
}

TEST(WorkScheduleTest, GroupsTakeTurns) {
  WorkSchedule schedule;
  for (const char* key : {"f1", "f2", "f3", "f4"}) {
    schedule.Add({"flood", key});
  }
  schedule.Add({"quiet", "q1"});
  EXPECT_THAT(Drain(schedule, At(0)),
              ElementsAre("f1", "q1", "f2", "f3", "f4"));
}

TEST(WorkScheduleTest, AGroupsKeysAreWorkedOnOneAtATime) {
  WorkSchedule schedule;
  schedule.Add({"g", "1"});
  schedule.Add({"g", "2"});
  const auto first = schedule.Take(At(0));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(schedule.Take(At(0)), std::nullopt);
  schedule.Finish(*first);
  EXPECT_EQ(schedule.Take(At(0))->key, "2");
}

TEST(WorkScheduleTest, AKeyAddedWhileItIsWorkedOnComesRoundAgain) {
  WorkSchedule schedule;
  schedule.Add({"g", "1"});
  const auto item = schedule.Take(At(0));
  schedule.Add({"g", "1"});
  schedule.Add({"g", "1"});
  schedule.Finish(*item);
  EXPECT_THAT(Drain(schedule, At(0)), ElementsAre("1"));
}

TEST(WorkScheduleTest, KeysWaitForTheirTime) {
  WorkSchedule schedule;
  schedule.AddAt({"g", "late"}, At(20));
  schedule.AddAt({"g", "early"}, At(10));
  EXPECT_EQ(schedule.NextTime(), At(10));
  EXPECT_THAT(Drain(schedule, At(9)), ElementsAre());
  EXPECT_THAT(Drain(schedule, At(10)), ElementsAre("early"));
  EXPECT_THAT(Drain(schedule, At(20)), ElementsAre("late"));
  EXPECT_EQ(schedule.NextTime(), absl::InfiniteFuture());
}

TEST(WorkScheduleTest, TheEarlierTimeCounts) {
  WorkSchedule schedule;
  schedule.AddAt({"g", "1"}, At(20));
  schedule.AddAt({"g", "1"}, At(10));
  schedule.AddAt({"g", "1"}, At(30));
  EXPECT_EQ(schedule.NextTime(), At(10));
  schedule.Add({"g", "1"});
  EXPECT_THAT(Drain(schedule, At(0)), ElementsAre("1"));
  EXPECT_EQ(schedule.size(), 0U) << "ready now makes later moot";
}

TEST(WorkScheduleTest, WhatWaitsIsCounted) {
  WorkSchedule schedule;
  schedule.Add({"g", "1"});
  schedule.Add({"g", "1"});
  schedule.AddAt({"h", "2"}, At(5));
  EXPECT_EQ(schedule.size(), 2U);
  Drain(schedule, At(5));
  EXPECT_EQ(schedule.size(), 0U);
}

}  // namespace
}  // namespace latchkey
