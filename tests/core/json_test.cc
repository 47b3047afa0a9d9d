#include "core/json.h"

#include <string>

#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;

std::string Nested(int depth) {
  std::string text;
  for (int i = 0; i < depth; ++i) text += "{\"a\":";
  return text + "1" + std::string(static_cast<size_t>(depth), '}');
}

TEST(JsonTest, FindsMembersByNameAndForm) {
  const auto object = ParseJsonObject(R"({"a": "x", "b": 1, "c": null})", 100);
  ASSERT_THAT(object, IsOk());
  EXPECT_EQ(*FindString(*object, "a"), "x");
  EXPECT_EQ(FindString(*object, "b"), nullptr);
  EXPECT_EQ(FindMember(*object, "b")->number_value(), 1);
  EXPECT_NE(FindMember(*object, "c"), nullptr);
  EXPECT_EQ(FindMember(*object, "d"), nullptr);
}

TEST(JsonTest, RefusesWhatTwoReadersCouldUnderstandDifferently) {
  for (const std::string& text :
       {std::string(R"({"a":1,"a":2})"), std::string(R"({"b":{"a":1,"a":1}})"),
        std::string(R"({"a":1,"\u0061":2})"), std::string(R"({"a":1}{})"),
        std::string("{\"a\":\"\xff\"}"), std::string(R"({"a":"\ud800"})"),
        std::string(R"({"a":1e999})"), std::string(R"([1])"),
        std::string("\"a\""), std::string(""), std::string("{"),
        std::string("{\"a\":1}\0", 8), std::string("null"), Nested(60),
        std::string(5000, '['), Nested(2000)}) {
    EXPECT_THAT(ParseJsonObject(text, 20'000),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(JsonTest, RefusesWhatIsTooLongUnread) {
  EXPECT_THAT(ParseJsonObject(R"({"a":1})", 7), IsOk());
  EXPECT_THAT(ParseJsonObject(R"({"a":1})", 6),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace latchkey
