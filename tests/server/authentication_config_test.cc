#include "server/authentication_config.h"

#include <string>

#include <gmock/gmock.h>

#include "tests/testing/fake_clock.h"
#include "tests/testing/jwt_issuer.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::IsOk;
using latchkey_testing::JwkSetOf;
using latchkey_testing::JwtKey;
using latchkey_testing::StatusIs;
using latchkey_testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

absl::StatusOr<AuthenticationConfig> Parse(const std::string& text) {
  auto document = ConfigDocument::Parse("broker.yaml", text);
  if (!document.ok()) return document.status();
  AuthenticationConfig config =
      ReadAuthentication((*document)->root().Section("authentication"));
  if (absl::Status status = (*document)->Finish(); !status.ok()) return status;
  return config;
}

TEST(AuthenticationConfigTest, ReadsEveryField) {
  const auto config = Parse(R"(
authentication:
  service_accounts: {audience: latchkey}
  jwt:
    - name: ci
      issuer: https://ci.example
      audience: lk
      jwks_url: https://ci.example:8443/keys?v=1
      ca_file: /etc/ca.crt
      refresh: 5m
      max_age: 1h
      attributes:
        instance: compute.instance_name
        team: /example.org~1team
    - name: cloud
      issuer: cloud
      audience: lk
      jwks_file: /etc/keys.json
)");
  ASSERT_THAT(config, IsOk());
  EXPECT_TRUE(config->TakesBearerTokens());
  EXPECT_EQ(config->service_account_audience, "latchkey");
  ASSERT_EQ(config->jwt.size(), 2U);
  const JwtIssuerConfig& ci = config->jwt[0];
  EXPECT_EQ(ci.rules.name, "ci");
  EXPECT_EQ(ci.rules.issuer, "https://ci.example");
  EXPECT_EQ(ci.rules.audience, "lk");
  EXPECT_EQ(ci.rules.max_age, absl::Hours(1));
  EXPECT_THAT(
      ci.rules.attributes,
      ElementsAre(Pair("instance", ElementsAre("compute", "instance_name")),
                  Pair("team", ElementsAre("example.org/team"))));
  EXPECT_EQ(ci.jwks_url, "https://ci.example:8443/keys?v=1");
  EXPECT_EQ(ci.ca_file, "/etc/ca.crt");
  EXPECT_EQ(ci.refresh, absl::Minutes(5));
  EXPECT_EQ(config->jwt[1].jwks_file, "/etc/keys.json");
  EXPECT_EQ(config->jwt[1].rules.max_age, std::nullopt);
}

TEST(AuthenticationConfigTest, WithoutTheSectionThereAreOnlyCertificates) {
  const auto config = Parse("{}");
  ASSERT_THAT(config, IsOk());
  EXPECT_FALSE(config->TakesBearerTokens());
}

TEST(AuthenticationConfigTest, NamesEveryMistakeAtOnce) {
  const auto config = Parse(R"(
authentication:
  service_accounts: {}
  jwt:
    - name: C:I
      issuer: "a b"
      audience: ""
      jwks_url: http://ci.example/keys
      attributes:
        subject: a
        Team: a
        good: a..b
        none: ""
    - name: two
      issuer: i
      audience: lk
      refresh: 5m
    - name: two
      issuer: i
      audience: lk
      jwks_file: a
      jwks_url: https://b/c
      max_age: 5s
    - name: three
      issuer: j
      audience: lk
      jwks_file: a
      ca_file: b
)");
  ASSERT_THAT(config, StatusIs(absl::StatusCode::kInvalidArgument));
  const std::string message(config.status().message());
  for (const char* mistake :
       {"authentication.service_accounts.audience: is missing",
        "jwt[0].name: must match", "jwt[0].issuer: must be printable",
        "jwt[0].audience: must not be empty", "jwt[0].jwks_url: not an https",
        "attributes.subject: this name is reserved",
        "attributes.Team: the name", "attributes.good: not the path",
        "attributes.none: not the path",
        "jwt[1]: needs either jwks_file or jwks_url",
        "jwt[1].refresh: is for jwks_url",
        "jwt[2]: needs either jwks_file or jwks_url",
        "jwt[2].name: another issuer", "jwt[2].issuer: stands twice",
        "jwt[2].max_age: must be a duration",
        "jwt[3].ca_file: is for jwks_url"}) {
    EXPECT_THAT(message, HasSubstr(mistake));
  }
}

TEST(AuthenticationConfigTest, OnlyHttpsUrlsWithAPathAreFetched) {
  for (const char* url :
       {"https://", "https:///x", "https://ci.example", "http://ci.example/x",
        "HTTPS://ci.example/x", "https://u@ci.example/x", "file:///etc/passwd",
        "https://ci.example/x#y", "https://ci.example/x y",
        "https://ci.example\\\\@evil/x"}) {
    const auto config = Parse(
        std::string("authentication: {jwt: [{name: a, issuer: i, audience: l, "
                    "jwks_url: \"") +
        url + "\"}]}");
    EXPECT_THAT(config, StatusIs(absl::StatusCode::kInvalidArgument,
                                 HasSubstr("jwks_url: not an https URL")))
        << url;
  }
}

TEST(AuthenticationConfigTest, FilesMustBeUsableAtTheStart) {
  const FakeClock clock;
  const TempDir dir;
  const std::string keys =
      dir.Write("keys", JwkSetOf({JwtKey("ES256", "k").Jwk()}));
  JwtIssuerConfig issuer{.rules = {.name = "ci", .issuer = "i"}};
  issuer.jwks_file = keys;
  EXPECT_THAT(MakeJwtVerifiers({.jwt = {issuer}}, clock), IsOk());
  issuer.jwks_file = dir.File("none");
  EXPECT_THAT(MakeJwtVerifiers({.jwt = {issuer}}, clock),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ci: ")));
  issuer.jwks_file.clear();
  issuer.jwks_url = "https://127.0.0.1:1/keys";
  EXPECT_THAT(MakeJwtVerifiers({.jwt = {issuer}}, clock), IsOk())
      << "nobody is asked yet";
  issuer.ca_file = keys;
  EXPECT_THAT(MakeJwtVerifiers({.jwt = {issuer}}, clock),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace latchkey
