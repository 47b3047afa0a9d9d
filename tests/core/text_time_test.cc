#include "core/text_time.h"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOkAndHolds;
using ::latchkey_testing::StatusIs;

const absl::Time kTime = absl::FromCivil(
    absl::CivilSecond(2026, 1, 2, 15, 4, 5), absl::UTCTimeZone());

TEST(TextTimeTest, TimesAreWrittenInWholeSecondsOfUtc) {
  EXPECT_EQ(FormatRfc3339(kTime), "2026-01-02T15:04:05Z");
  EXPECT_EQ(FormatRfc3339(kTime + absl::Milliseconds(999)),
            "2026-01-02T15:04:05Z");
  EXPECT_EQ(FormatRfc3339(absl::UnixEpoch()), "1970-01-01T00:00:00Z");
}

// Found by fuzzing: a year of three digits was written as such, and not read.
TEST(TextTimeTest, AYearHasFourDigits) {
  const auto time = ParseRfc3339("0357-01-02T03:04:05Z");
  ASSERT_TRUE(time.ok());
  EXPECT_EQ(FormatRfc3339(*time), "0357-01-02T03:04:05Z");
}

TEST(TextTimeTest, GoodTimes) {
  struct Case {
    std::string_view text;
    absl::Time want;
  };
  const Case cases[] = {
      {"2026-01-02T15:04:05Z", kTime},
      {"2026-01-02T15:04:05+00:00", kTime},
      {"2026-01-02T15:04:05-00:00", kTime},
      {"2026-01-02T16:34:05+01:30", kTime},
      {"2026-01-01T23:04:05-16:00", kTime},
      {"2026-01-02T15:04:05.250Z", kTime + absl::Milliseconds(250)},
      {"2026-01-02T15:04:05.000001Z", kTime + absl::Microseconds(1)},
      {"2024-02-29T00:00:00Z",
       absl::FromCivil(absl::CivilDay(2024, 2, 29), absl::UTCTimeZone())},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    EXPECT_THAT(ParseRfc3339(c.text), IsOkAndHolds(c.want));
  }
}

TEST(TextTimeTest, BadTimes) {
  for (const std::string& bad : {std::string(),
                                 std::string("now"),
                                 std::string("infinite-future"),
                                 std::string("infinite-past"),
                                 std::string("2026-01-02"),
                                 std::string("2026-01-02T15:04:05"),
                                 std::string("2026-01-02T15:04Z"),
                                 std::string("2026-01-02 15:04:05Z"),
                                 std::string("2026-13-02T15:04:05Z"),
                                 std::string("2026-02-30T15:04:05Z"),
                                 std::string("2026-01-02T24:04:05Z"),
                                 std::string("2026-01-02T15:60:05Z"),
                                 std::string("2026-01-02T15:04:61Z"),
                                 std::string("2026-1-2T15:04:05Z"),
                                 std::string("2026-01-02T5:4:5Z"),
                                 std::string("26-01-02T15:04:05Z"),
                                 std::string("12026-01-02T15:04:05Z"),
                                 std::string("2026-01-02T15:04:05,5Z"),
                                 std::string("2026-01-02T15:04:05.Z"),
                                 std::string("2026-01-02T15:04:05+01"),
                                 std::string("2026-01-02T15:04:05+0100"),
                                 std::string(" 2026-01-02T15:04:05Z"),
                                 std::string("2026-01-02T15:04:05Z "),
                                 std::string("2026-01-02T15:04:05Z\n"),
                                 std::string("2026-01-02T15:04:05 Z"),
                                 std::string("2026-01-02T15:04:05Zx"),
                                 std::string("2026-01-02T15:04:05Z\0", 21),
                                 std::string("1767366245"),
                                 std::string("-026-01-02T15:04:05Z")}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(ParseRfc3339(bad),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(TextTimeTest, GoodDurations) {
  struct Case {
    std::string_view text;
    absl::Duration want;
  };
  const Case cases[] = {
      {"90s", absl::Seconds(90)},         {"15m", absl::Minutes(15)},
      {"1h30m", absl::Minutes(90)},       {"1.5h", absl::Minutes(90)},
      {"250ms", absl::Milliseconds(250)}, {"8760h", absl::Hours(8760)},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    EXPECT_THAT(ParsePositiveDuration(c.text), IsOkAndHolds(c.want));
  }
}

TEST(TextTimeTest, BadDurations) {
  for (const std::string& bad :
       {std::string(), std::string("0"), std::string("0s"), std::string("-5s"),
        std::string("inf"), std::string("+inf"), std::string("5"),
        std::string("5 s"), std::string(" 5s"), std::string("5s "),
        std::string("5s\n"), std::string("5s\0", 3), std::string("5d"),
        std::string("5S"), std::string("s"), std::string("five seconds"),
        std::string("999999999999999999999h")}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(ParsePositiveDuration(bad),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace latchkey
