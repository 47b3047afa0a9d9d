#include "core/bootstrap_token.h"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::latchkey_testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(BootstrapTokenTest, IdsAreReadToTheLetter) {
  for (const std::string_view good : {"abcdef", "012345", "a0z9b8"}) {
    SCOPED_TRACE(good);
    const auto id = TokenId::Parse(good);
    ASSERT_THAT(id, IsOk());
    EXPECT_EQ(id->text(), good);
  }
  struct Case {
    std::string_view name;
    std::string text;
  };
  const Case bad[] = {
      {"empty", ""},
      {"short", "abcde"},
      {"long", "abcdefg"},
      {"upper case", "Abcdef"},
      {"space", "abcde "},
      {"newline", "abcde\n"},
      {"dash", "abc-ef"},
      {"NUL", std::string("abc\0ef", 6)},
      {"beyond ASCII", "abcd\xC3\xA9"},
  };
  for (const Case& c : bad) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(TokenId::Parse(c.text),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(BootstrapTokenTest, AnIdNamesItsSecretAndItsUser) {
  const auto id = TokenId::Parse("abcdef");
  ASSERT_THAT(id, IsOk());
  EXPECT_EQ(id->SecretName(), "bootstrap-token-abcdef");
  EXPECT_EQ(id->Username(), "system:bootstrap:abcdef");
}

TEST(BootstrapTokenTest, TheIdOfAUsernameIsFoundAgain) {
  const auto id = TokenIdOfUsername("system:bootstrap:abcdef");
  ASSERT_THAT(id, IsOk());
  EXPECT_EQ(id->text(), "abcdef");
  for (const std::string_view bad :
       {"", "abcdef", "system:bootstrap:", "system:bootstrap:abcde",
        "system:bootstrap:ABCDEF", "system:bootstrap:abcdef ",
        "xsystem:bootstrap:abcdef", "system:node:abcdef", "system:bootstrap"}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(TokenIdOfUsername(bad), StatusIs(absl::StatusCode::kNotFound));
  }
}

TEST(BootstrapTokenTest, TokensAreReadToTheLetter) {
  const auto token = BootstrapToken::Parse("abcdef.0123456789abcdef");
  ASSERT_THAT(token, IsOk());
  EXPECT_EQ(token->id().text(), "abcdef");
  EXPECT_EQ(token->secret().Reveal(), "0123456789abcdef");
  EXPECT_EQ(token->Joined().Reveal(), "abcdef.0123456789abcdef");

  struct Case {
    std::string_view name;
    std::string text;
  };
  const Case bad[] = {
      {"empty", ""},
      {"no dot", "abcdef0123456789abcdef"},
      {"another separator", "abcdef_0123456789abcdef"},
      {"dot too early", "abcde.f0123456789abcdef"},
      {"dot too late", "abcdef0.123456789abcdef"},
      {"short secret", "abcdef.0123456789abcde"},
      {"long secret", "abcdef.0123456789abcdef0"},
      {"upper case in the id", "Abcdef.0123456789abcdef"},
      {"upper case in the secret", "abcdef.0123456789abcdeF"},
      {"newline after", "abcdef.0123456789abcdef\n"},
      {"newline inside", "abcdef.0123456789abcde\n"},
      {"space before", " abcdef.0123456789abcdef"},
      {"NUL inside", std::string("abcdef.0123456789abcd\0f", 23)},
      {"two dots", "abcdef.01234567.9abcdef"},
  };
  for (const Case& c : bad) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(BootstrapToken::Parse(c.text),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         Not(HasSubstr("0123456789"))));
  }
}

TEST(BootstrapTokenTest, PartsAreChecked) {
  const auto id = TokenId::Parse("abcdef");
  ASSERT_THAT(id, IsOk());
  EXPECT_THAT(BootstrapToken::FromParts(*id, SecretString("0123456789abcdef")),
              IsOk());
  for (const std::string_view bad : {"", "0123456789abcde", "0123456789abcdeF",
                                     "0123456789abcdef0", "0123456789.abcde"}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(BootstrapToken::FromParts(*id, SecretString(bad)),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace latchkey
