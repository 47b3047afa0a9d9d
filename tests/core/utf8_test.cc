#include "core/utf8.h"

#include <string_view>

#include <gmock/gmock.h>

namespace latchkey {
namespace {

TEST(Utf8Test, TheLengthOfTheFirstCharacter) {
  struct Case {
    const char* name;
    std::string_view text;
    size_t want;
  };
  using namespace std::string_view_literals;
  const Case cases[] = {
      {"ASCII", "ab", 1},
      {"a NUL", "\0a"sv, 1},
      {"two bytes", "\xc3\xb8x", 2},
      {"three bytes", "\xe2\x82\xacx", 3},
      {"four bytes", "\xf0\x9f\x94\x91x", 4},
      {"the last before the surrogates", "\xed\x9f\xbf", 3},
      {"the last of all", "\xf4\x8f\xbf\xbf", 4},
      {"a lone continuation", "\x80", 0},
      {"no byte of UTF-8", "\xff", 0},
      {"cut", "\xe2\x82", 0},
      {"overlong, of two", "\xc0\xaf", 0},
      {"overlong, of three", "\xe0\x9f\xbf", 0},
      {"overlong, of four", "\xf0\x8f\xbf\xbf", 0},
      {"a surrogate", "\xed\xa0\x80", 0},
      {"beyond Unicode", "\xf4\x90\x80\x80", 0},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(Utf8Length(c.text), c.want);
  }
}

TEST(Utf8Test, AWholeTextIsUtf8OrNot) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("a\xe2\x82\xac"));
  EXPECT_FALSE(IsUtf8("a\xe2\x82"));
  EXPECT_FALSE(
      IsUtf8("\xff"
             "a"));
}

}  // namespace
}  // namespace latchkey
