#include "policy/jwt_identity.h"

#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "core/reasons.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::IsOkAndHolds;
using latchkey_testing::ReasonIs;
using latchkey_testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr int64_t kNow = 1'800'000'000;

JwtRules Rules() {
  return {.name = "ci",
          .issuer = "https://ci.example",
          .audience = "latchkey",
          .attributes = {{"instance", {"compute", "instance_name"}},
                         {"team", {"teams"}}}};
}

// The claims of a good token; `more` are further members.
std::string Claims(const std::string& more = "") {
  return fmt::format(
      R"({{"iss":"https://ci.example","aud":"latchkey","sub":"job-1",)"
      R"("exp":{}{}}})",
      kNow + 600, more);
}

absl::StatusOr<TimedIdentity> Identify(const std::string& claims,
                                       const JwtRules& rules = Rules(),
                                       const std::string& type = "JWT") {
  const auto fields = ParseJsonObject(claims, 8192);
  if (!fields.ok()) return fields.status();
  return IdentityFromJwt(rules, Jws{.type = type}, *fields,
                         absl::FromUnixSeconds(kNow));
}

TEST(JwtIdentityTest, NamesTheBearerByIssuerAndSubject) {
  const auto found = Identify(Claims(
      R"(,"compute":{"instance_name":"worker-1"},"teams":["a","b c","b"])"));
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(found->expires, absl::FromUnixSeconds(kNow + 600));
  const Identity& identity = found->identity;
  EXPECT_EQ(identity.name, "jwt:ci:job-1");
  EXPECT_EQ(identity.kind, IdentityKind::kJwt);
  EXPECT_THAT(identity.attributes,
              UnorderedElementsAre(
                  Pair("issuer", ElementsAre("https://ci.example")),
                  Pair("subject", ElementsAre("job-1")),
                  Pair("instance", ElementsAre("worker-1")),
                  // What has a space is no value that a rule could be for.
                  Pair("team", ElementsAre("a", "b"))));
}

TEST(JwtIdentityTest, OnlyStringsBecomeAttributes) {
  for (const char* claim :
       {"7", "true", "null", "{}", R"({"a":"b"})", "[]", "[7]", R"(["a",7])",
        R"([["a"]])", R"("")", R"("a b")", R"("a\nb")", R"("\u0430")"}) {
    SCOPED_TRACE(claim);
    const auto found = Identify(
        Claims(fmt::format(R"(,"teams":{},"compute":{})", claim, claim)));
    ASSERT_THAT(found, IsOk());
    EXPECT_TRUE(found->identity.Values("team").empty());
    EXPECT_TRUE(found->identity.Values("instance").empty());
  }
}

TEST(JwtIdentityTest, AMappedClaimCannotStandInForAReservedAttribute) {
  JwtRules rules = Rules();
  rules.attributes = {{"subject", {"teams"}}, {"issuer", {"teams"}}};
  const auto found = Identify(Claims(R"(,"teams":"root")"), rules);
  ASSERT_THAT(found, IsOk());
  EXPECT_THAT(found->identity.Values("subject"), ElementsAre("job-1"));
  EXPECT_THAT(found->identity.Values("issuer"),
              ElementsAre("https://ci.example"));
  for (const char* name :
       {"subject", "issuer", "spiffe_id", "service_account", "namespace",
        "group", "dns_name", "common_name", "", "A", "a-b", "1a", "_a"}) {
    EXPECT_THAT(ValidateMappedAttribute(name),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << name;
  }
  EXPECT_THAT(ValidateMappedAttribute("instance_name2"), IsOk());
}

TEST(JwtIdentityTest, RefusesClaimsThatAreNotForUsNow) {
  const auto with = [](const std::string& iss, const std::string& aud,
                       const std::string& sub, const std::string& exp) {
    return fmt::format(R"({{"iss":{},"aud":{},"sub":{},"exp":{}}})", iss, aud,
                       sub, exp);
  };
  const std::string iss = R"("https://ci.example")";
  const std::string aud = R"("latchkey")";
  const std::string sub = R"("job-1")";
  const std::string exp = std::to_string(kNow + 600);
  ASSERT_THAT(Identify(with(iss, aud, sub, exp)), IsOk());
  ASSERT_THAT(Identify(with(iss, R"(["other","latchkey"])", sub, exp)), IsOk());
  struct Case {
    const char* name;
    std::string claims;
  };
  const Case cases[] = {
      {"nothing", "{}"},
      {"another issuer", with(R"("https://ci.example/")", aud, sub, exp)},
      {"an issuer in capitals", with(R"("https://CI.example")", aud, sub, exp)},
      {"an issuer that is a list", with("[" + iss + "]", aud, sub, exp)},
      {"another audience", with(iss, R"("latchkey2")", sub, exp)},
      {"other audiences", with(iss, R"(["a","b"])", sub, exp)},
      {"no audience", with(iss, "[]", sub, exp)},
      {"an audience that is null", with(iss, "null", sub, exp)},
      {"an audience among others that are none",
       with(iss, R"(["latchkey",7])", sub, exp)},
      {"no subject", with(iss, aud, "null", exp)},
      {"an empty subject", with(iss, aud, R"("")", exp)},
      {"a subject with a space", with(iss, aud, R"("job 1")", exp)},
      {"a subject with a newline", with(iss, aud, R"("job\n1")", exp)},
      {"a subject beyond ASCII", with(iss, aud, R"("j\u043eb")", exp)},
      {"a subject that is a number", with(iss, aud, "7", exp)},
      {"a subject that is too long",
       with(iss, aud, "\"" + std::string(2049, 'a') + "\"", exp)},
      {"no expiration", with(iss, aud, sub, "null")},
      {"an expiration that is text", with(iss, aud, sub, "\"" + exp + "\"")},
      {"one that is over", with(iss, aud, sub, std::to_string(kNow))},
      {"one long over", with(iss, aud, sub, "0")},
      {"one before time", with(iss, aud, sub, "-1")},
      {"one after time", with(iss, aud, sub, "1e300")},
      {"not yet valid", Claims(fmt::format(R"(,"nbf":{})", kNow + 61))},
      {"made tomorrow", Claims(fmt::format(R"(,"iat":{})", kNow + 61))},
      {"a beginning that is text", Claims(R"(,"nbf":"now")")},
      {"made at no time", Claims(R"(,"iat":{})")},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(Identify(c.claims), ReasonIs(reason::kUnauthenticated));
  }
  // Clocks differ by up to a minute.
  EXPECT_THAT(
      Identify(Claims(fmt::format(R"(,"nbf":{0},"iat":{0})", kNow + 60))),
      IsOk());
}

TEST(JwtIdentityTest, AnIssuersTokensMayOnlyBeSoOld) {
  JwtRules rules = Rules();
  rules.max_age = absl::Hours(1);
  const auto made = [](int64_t ago) {
    return Claims(fmt::format(R"(,"iat":{})", kNow - ago));
  };
  EXPECT_THAT(Identify(made(3600), rules), IsOk());
  EXPECT_EQ(Identify(made(3600), rules)->expires,
            absl::FromUnixSeconds(kNow + 60));
  EXPECT_THAT(Identify(made(3660), rules), ReasonIs(reason::kUnauthenticated));
  EXPECT_THAT(Identify(Claims(), rules), ReasonIs(reason::kUnauthenticated));
}

TEST(JwtIdentityTest, ATokenThatWasMadeForSomethingElseIsRefused) {
  for (const char* type : {"JWT", "jwt", "at+jwt", "application/at+JWT"}) {
    EXPECT_THAT(Identify(Claims(), Rules(), type), IsOk()) << type;
  }
  for (const char* type : {"dpop+jwt", "logout+jwt", "JOSE", "", "JWTx"}) {
    EXPECT_THAT(Identify(Claims(), Rules(), type),
                ReasonIs(reason::kUnauthenticated))
        << type;
  }
}

TEST(ClaimPathTest, IsNamesBetweenDotsOrAPointer) {
  EXPECT_THAT(ParseClaimPath("sub"), IsOkAndHolds(ElementsAre("sub")));
  EXPECT_THAT(ParseClaimPath("a.b_c"), IsOkAndHolds(ElementsAre("a", "b_c")));
  EXPECT_THAT(ParseClaimPath("/kubernetes.io/namespace"),
              IsOkAndHolds(ElementsAre("kubernetes.io", "namespace")));
  EXPECT_THAT(ParseClaimPath("/https:~1~1e.example~1~0roles"),
              IsOkAndHolds(ElementsAre("https://e.example/~roles")));
  for (const char* text : {"", ".", "a.", ".a", "a..b", "/", "//", "/a/"}) {
    EXPECT_THAT(ParseClaimPath(text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

}  // namespace
}  // namespace latchkey
