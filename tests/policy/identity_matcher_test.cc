#include "policy/identity_matcher.h"

#include <string>

#include <absl/time/clock.h>
#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;

bool Glob(std::string_view pattern, std::string_view value) {
  const auto matcher = ValueMatcher::Glob(pattern);
  EXPECT_THAT(matcher, IsOk());
  return matcher.ok() && matcher->Matches(value);
}

TEST(ValueMatcherTest, ComparesByteForByte) {
  const ValueMatcher equals("a*b");
  EXPECT_TRUE(equals.Matches("a*b"));
  EXPECT_FALSE(equals.Matches("axb"));
  EXPECT_FALSE(equals.Matches("a*b "));
  EXPECT_FALSE(equals.Matches(""));
  EXPECT_FALSE(ValueMatcher("").Matches("a"));

  const auto one_of = ValueMatcher::OneOf({"b", "a*", "c"});
  ASSERT_THAT(one_of, IsOk());
  EXPECT_TRUE(one_of->Matches("a*"));
  EXPECT_TRUE(one_of->Matches("c"));
  EXPECT_FALSE(one_of->Matches("ab"));
  EXPECT_FALSE(one_of->Matches(""));

  const auto prefix = ValueMatcher::Prefix("ab/");
  ASSERT_THAT(prefix, IsOk());
  EXPECT_TRUE(prefix->Matches("ab/"));
  EXPECT_TRUE(prefix->Matches("ab/c/d"));
  EXPECT_FALSE(prefix->Matches("ab"));
  EXPECT_FALSE(prefix->Matches("xab/c"));
}

TEST(ValueMatcherTest, AStarStandsForWhatHasNoStructure) {
  struct Case {
    const char* pattern;
    const char* value;
    bool matches;
  };
  const Case cases[] = {
      {"ci-*", "ci-1", true},
      {"ci-*", "ci-", true},
      {"ci-*", "ci-a_B-9", true},
      {"ci-*", "xci-1", false},
      {"ci-*", "ci", false},
      {"*-runner", "a-runner", true},
      {"*-runner", "-runner", true},
      {"*-runner", "a-runner2", false},
      {"ns/*/sa/*", "ns/a/sa/b", true},
      {"ns/*/sa/*", "ns/a/b/sa/c", false},
      {"ns/*/sa/*", "ns/a/sa/b/c", false},
      {"*.pool.example", "a.pool.example", true},
      {"*.pool.example", "a.b.pool.example", false},
      {"*a*a*", "aa", true},
      {"*a*a*", "a", false},
      {"*ab*ab*", "xabxabx", true},
      {"*ab*ab*", "xab", false},
      {"a**b", "a-b", true},
      {"ab*ba", "aba", false},  // head and tail may not overlap
      {"a*/b*", "a/b", true},
      {"*.a*b", "x.ab", true},
      {"*.a*b", "x.a.ab", false},
      {"literal", "literal", true},
      {"literal", "literals", false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.pattern) + " over " + c.value);
    EXPECT_EQ(Glob(c.pattern, c.value), c.matches);
  }
  for (const char* mark :
       {"/", ".", ":", "@",  "%2f", "*", "?", "\\", "'",        "\"",  "{",
        "}", "$", " ", "\n", ",",   "=", "+", "~",  "\xd0\xb0", "\x7f"}) {
    SCOPED_TRACE(mark);
    EXPECT_FALSE(Glob("a*", std::string("a") + mark));
    EXPECT_FALSE(Glob("a*b*", std::string("ax") + mark + "b"));
  }
  EXPECT_FALSE(Glob("a*", std::string("a\0b", 3)));
}

TEST(ValueMatcherTest, WhatCanMatchNothingOrAnythingIsRefused) {
  using Code = absl::StatusCode;
  for (const std::string text : {"", " ", "a b", "a\nb", "\xd0\xb0", "a\x7f"}) {
    SCOPED_TRACE(text);
    EXPECT_THAT(ValueMatcher::Prefix(text), StatusIs(Code::kInvalidArgument));
    EXPECT_THAT(ValueMatcher::OneOf({"a", text}),
                StatusIs(Code::kInvalidArgument));
    EXPECT_THAT(ValueMatcher::Glob(text), StatusIs(Code::kInvalidArgument));
  }
  EXPECT_THAT(ValueMatcher::OneOf({}), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(ValueMatcher::Glob("*"), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(ValueMatcher::Glob("**"), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(ValueMatcher::Glob(std::string(257, 'a')),
              StatusIs(Code::kInvalidArgument));
}

// A matcher that tried every way would take years.
TEST(ValueMatcherTest, AGlobTakesLinearTime) {
  std::string pattern;
  while (pattern.size() < ValueMatcher::kMaxGlobLength - 4) pattern += "*aa";
  const auto matcher = ValueMatcher::Glob(pattern + "*b");
  ASSERT_THAT(matcher, IsOk());
  const std::string value(1 << 20, 'a');
  const absl::Time start = absl::Now();
  EXPECT_FALSE(matcher->Matches(value));
  EXPECT_FALSE(matcher->Matches(value + "/b"));
  EXPECT_TRUE(matcher->Matches(value + "b"));
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
}

TEST(IdentityMatcherTest, TheKindMustBeTheOneThatIsSet) {
  IdentityMatcher matcher{{{"issuer", "cloud"}}, IdentityKind::kJwt};
  Identity identity{.name = "x",
                    .kind = IdentityKind::kJwt,
                    .attributes = {{"issuer", {"cloud"}}}};
  EXPECT_TRUE(matcher.Matches(identity));
  identity.kind = IdentityKind::kCertificate;
  EXPECT_FALSE(matcher.Matches(identity));
  matcher.kind.reset();
  EXPECT_TRUE(matcher.Matches(identity));
  matcher.attributes.clear();
  matcher.kind = IdentityKind::kCertificate;
  EXPECT_FALSE(matcher.Matches(identity)) << "a kind alone is nobody";
}

}  // namespace
}  // namespace latchkey
