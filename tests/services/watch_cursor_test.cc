#include "services/watch_cursor.h"

#include <string>

#include <gmock/gmock.h>

#include "core/reasons.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::ReasonIs;

TEST(WatchCursorTest, SaysWhatWasPutIntoIt) {
  for (const EventCut cut :
       {EventCut{}, EventCut{.records = 1, .csrs = 2},
        EventCut{.records = UINT64_MAX, .csrs = UINT64_MAX}}) {
    const std::string text = FormatCursor(cut);
    EXPECT_LE(text.size(), kMaxCursorLength);
    const auto parsed = ParseCursor(text);
    ASSERT_THAT(parsed, IsOk()) << text;
    EXPECT_EQ(*parsed, cut);
  }
}

TEST(WatchCursorTest, WhatIsNoCursorIsRefused) {
  const std::string good = FormatCursor({.records = 4711, .csrs = 815});
  std::string other_digit = good;
  other_digit[3] = other_digit[3] == '1' ? '2' : '1';
  std::string upper = good;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  for (const std::string& text :
       {std::string("x"), std::string("w1."), std::string("w1.1.2."),
        std::string("w1.1.2.00000000"), good + "0", good + "\n", " " + good,
        good.substr(0, good.size() - 1), other_digit, upper,
        "w2" + good.substr(2), std::string(1000, '1'),
        std::string("w1.-1.2.00000000"), "w1.0" + good.substr(3)}) {
    EXPECT_THAT(ParseCursor(text).status(), ReasonIs(reason::kInvalidField))
        << text;
  }
}

}  // namespace
}  // namespace latchkey
