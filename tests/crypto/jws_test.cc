#include "crypto/jws.h"

#include <string>

#include <gmock/gmock.h>

#include "tests/testing/jwt_issuer.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::Base64Url;
using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;

// A token of this header, with a payload and a signature of sorts.
std::string TokenOf(const std::string& header) {
  return Base64Url(header) + "." + Base64Url("{}") + "." + Base64Url("sig");
}

TEST(JwsTest, ReadsTheThreeParts) {
  const std::string text =
      TokenOf(R"({"alg":"ES256","kid":"k","typ":"JWT","jwk":{"kty":"oct"}})");
  const auto token = Jws::Parse(text);
  ASSERT_THAT(token, IsOk());
  EXPECT_EQ(token->algorithm, "ES256");
  EXPECT_EQ(token->key_id, "k");
  EXPECT_EQ(token->type, "JWT");
  EXPECT_EQ(token->payload, "{}");
  EXPECT_EQ(token->signature, "sig");
  EXPECT_EQ(token->signing_input, text.substr(0, text.rfind('.')));
  EXPECT_EQ(Jws::Parse(TokenOf(R"({"alg":"ES256"})"))->key_id, std::nullopt);
}

TEST(JwsTest, RefusesWhatIsNoTokenInOneForm) {
  const std::string good = TokenOf(R"({"alg":"ES256"})");
  const std::string header = good.substr(0, good.find('.'));
  const std::string cases[] = {
      "",
      ".",
      "..",
      "...",
      "a.b.c",
      header,
      header + ".e30",
      good + ".",
      "." + good,
      good + ".AA.AA",  // as a JWE has it
      good + "=",
      good + "\n",
      " " + good,
      header + "=.e30.AA",
      header + ".e31.AA",  // bits that belong to no byte
      header + ".e3+.AA",
      std::string(Jws::kMaxBytes, 'A') + "." + good,
      TokenOf(""),
      TokenOf("7"),
      TokenOf("[]"),
      TokenOf("{}"),
      TokenOf(R"({"alg":7})"),
      TokenOf(R"({"alg":null})"),
      TokenOf(R"({"alg":["ES256"]})"),
      TokenOf(R"({"alg":"ES256","alg":"none"})"),
      TokenOf(R"({"alg":"ES256","kid":7})"),
      TokenOf(R"({"alg":"ES256","kid":["a"]})"),
      TokenOf(R"({"alg":"ES256","typ":{}})"),
      TokenOf(R"({"alg":"ES256","crit":["exp"],"exp":1})"),
      TokenOf(R"({"alg":"ES256","crit":[]})"),
      TokenOf(R"({"alg":"ES256","b64":false,"crit":["b64"]})"),
      TokenOf(std::string(R"({"alg":"ES256","x":)") + std::string(500, '[') +
              std::string(500, ']') + "}"),
  };
  for (const std::string& text : cases) {
    SCOPED_TRACE(text.substr(0, 200));
    EXPECT_THAT(Jws::Parse(text), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace latchkey
