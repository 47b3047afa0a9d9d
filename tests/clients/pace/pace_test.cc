#include "clients/pace/pace.h"

#include <vector>

#include <gmock/gmock.h>

#include "tests/clients/pace/fake_pace.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::FakePace;

TEST(BackoffTest, DoublesUpToALimit) {
  FakeClock clock;
  FakePace pace(clock);
  Backoff backoff(pace);
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(200));
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(400));
  for (int i = 0; i < 10; ++i) backoff.Next();
  EXPECT_EQ(backoff.Next(), absl::Seconds(10));
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(200));
}

TEST(BackoffTest, IsNeverSoonerThanTheServerWants) {
  FakeClock clock;
  FakePace pace(clock);
  Backoff backoff(pace);
  EXPECT_EQ(backoff.Next(absl::Seconds(30)), absl::Seconds(30));
}

TEST(BackoffTest, SpreadsMachinesByUpToAsMuchAgain) {
  SystemPace pace;
  for (int i = 0; i < 100; ++i) {
    Backoff backoff(pace);
    const absl::Duration wait = backoff.Next(absl::Seconds(10));
    EXPECT_GE(wait, absl::Seconds(10));
    EXPECT_LT(wait, absl::Seconds(20));
  }
}

TEST(SystemPaceTest, TimeGoesOn) {
  SystemPace pace;
  const absl::Duration before = pace.Elapsed();
  pace.Sleep(absl::Milliseconds(2));
  EXPECT_GE(pace.Elapsed() - before, absl::Milliseconds(2));
}

}  // namespace
}  // namespace latchkey
