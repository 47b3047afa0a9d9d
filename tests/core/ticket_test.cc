#include "core/ticket.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::latchkey_testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kSecret = "0123456789abcdefghijklmnopqrstuv";
// The checksum by another CRC-32 than ours: Python's zlib.crc32 of what stands
// before it is 0x4FF152B4.
constexpr std::string_view kTicket =
    "lk1_abcdef_0123456789abcdefghijklmnopqrstuv_0m6iwfo";

TEST(TicketTest, SaysItsIdAndText) {
  const auto ticket = Ticket::Parse(kTicket);
  ASSERT_THAT(ticket, IsOk());
  EXPECT_EQ(ticket->id().text(), "abcdef");
  EXPECT_EQ(ticket->text().Reveal(), kTicket);
}

TEST(TicketTest, IsMadeOfAnIdAndASecret) {
  const auto id = TokenId::Parse("abcdef");
  ASSERT_THAT(id, IsOk());
  const auto ticket = Ticket::FromSecret(*id, SecretString(kSecret));
  ASSERT_THAT(ticket, IsOk());
  EXPECT_EQ(ticket->text().Reveal(), kTicket);
  EXPECT_EQ(ticket->id().text(), "abcdef");

  for (const std::string& bad :
       {std::string(), std::string(kSecret.substr(1)),
        std::string(kSecret) + "x", std::string(32, 'A'), std::string(32, '\0'),
        std::string(32, '_')}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(Ticket::FromSecret(*id, SecretString(bad)),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(TicketTest, RefusesEverythingElseAndSaysWhy) {
  const std::string good(kTicket);
  const auto with = [&](size_t at, char c) {
    std::string text = good;
    text[at] = c;
    return text;
  };
  std::string upper = good;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  struct Case {
    std::string_view name;
    std::string text;
    std::string_view message;
  };
  const Case cases[] = {
      {"empty", "", "begins with"},
      {"only the prefix", "lk1_", "characters"},
      {"another version", "lk2" + good.substr(3), "begins with"},
      {"upper case", upper, "begins with"},
      {"space before", " " + good, "begins with"},
      {"newline before", "\n" + good, "begins with"},
      {"newline after", good + "\n", "characters"},
      {"space after", good + " ", "characters"},
      {"NUL after", good + std::string(1, '\0'), "characters"},
      {"padded", good + "=", "characters"},
      {"truncated", good.substr(0, good.size() - 1), "characters"},
      {"without its checksum", good.substr(0, good.size() - 8), "characters"},
      {"upper case in the id", with(4, 'A'), "lower-case"},
      {"upper case in the secret", with(24, 'D'), "lower-case"},
      {"upper case in the checksum", with(good.size() - 1, 'A'), "lower-case"},
      {"NUL in the secret", with(24, '\0'), "lower-case"},
      {"newline for the last", with(good.size() - 1, '\n'), "lower-case"},
      {"another separator", with(10, '-'), "lower-case"},
      {"letter for the second separator", with(43, 'a'), "lower-case"},
      {"wrong id", with(4, 'b'), "checksum"},
      {"wrong secret", with(11, '1'), "checksum"},
      {"wrong checksum", with(good.size() - 1, good.back() == '0' ? '1' : '0'),
       "checksum"},
      {"two letters swapped",
       "lk1_abcdef_1023456789abcdefghijklmnopqrstuv" + good.substr(43),
       "checksum"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(Ticket::Parse(c.text),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(std::string(c.message)),
                               Not(HasSubstr("abcdef")))));
  }
}

// One wrong character is always noticed.
TEST(TicketTest, EveryChangedCharacterIsNoticed) {
  for (size_t i = 0; i < kTicket.size(); ++i) {
    SCOPED_TRACE(i);
    std::string text(kTicket);
    text[i] = text[i] == 'x' ? 'y' : 'x';
    EXPECT_THAT(Ticket::Parse(text),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace latchkey
