#include "crypto/jwk.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "core/base64url.h"
#include "crypto/jwk_set.h"
#include "tests/testing/jwt_issuer.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::JwkSetOf;
using latchkey_testing::JwtKey;
using latchkey_testing::SignJwt;
using latchkey_testing::StatusIs;

// RFC 7515, A.2: the key of the example with RS256.
constexpr char kRfcRsa[] =
    R"("kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mP)"
    R"(ddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwO)"
    R"(WvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB)"
    R"(dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGh)"
    R"(yxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ")"
    R"(,"e":"AQAB")";
// RFC 7515, A.3.
constexpr char kRfcEc[] =
    R"("kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVE)"
    R"(U","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")";
// RFC 8037, A.2.
constexpr char kRfcOkp[] =
    R"("kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPc)"
    R"(HURo")";

absl::StatusOr<Jwk> ParseJwk(const std::string& members) {
  return Jwk::Parse(*ParseJsonObject("{" + members + "}", 10'000));
}

TEST(JwkTest, VerifiesTheExamplesOfTheStandards) {
  struct Case {
    const char* name;
    const char* key;
    JwsAlgorithm algorithm;
    const char* input;
    const char* signature;
  };
  const char* claims =
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv"
      "bS9pc19yb290Ijp0cnVlfQ";
  const std::string rsa_input = std::string("eyJhbGciOiJSUzI1NiJ9.") + claims;
  const std::string ec_input = std::string("eyJhbGciOiJFUzI1NiJ9.") + claims;
  const Case cases[] = {
      {"RFC 7515, A.2", kRfcRsa, JwsAlgorithm::kRs256, rsa_input.c_str(),
       "cC4hiUPoj9Eetdgtv3hF80EGrhuB__"
       "dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4B"
       "h-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
       "nZ"
       "LgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_"
       "d"
       "O--xi12jzDwusC-"
       "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6"
       "LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
      {"RFC 7515, A.3", kRfcEc, JwsAlgorithm::kEs256, ec_input.c_str(),
       "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
       "F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKT"
       "UJqPP3-Kg6NU1Q"},
      {"RFC 8037, A.4", kRfcOkp, JwsAlgorithm::kEdDsa,
       "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
       "hgyY0il_MGCjP0JzlnLWG1PPOt7-"
       "09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7"
       "sVvpAr_MuM0KAg"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto key = ParseJwk(c.key);
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(key->algorithm(), c.algorithm);
    const std::string signature = *DecodeBase64Url(c.signature);
    EXPECT_TRUE(key->Verifies(c.input, signature));
    EXPECT_FALSE(key->Verifies(std::string(c.input) + "A", signature));
    EXPECT_FALSE(key->Verifies(c.input, ""));
    EXPECT_FALSE(key->Verifies(c.input, signature + "x"));
    EXPECT_FALSE(key->Verifies(c.input, signature.substr(1)));
    EXPECT_FALSE(key->Verifies(c.input, std::string(signature.size(), '\0')));
  }
}

TEST(JwkTest, SkipsWhatItDoesNotKnow) {
  const std::string ed(kRfcOkp);
  const std::string cases[] = {
      R"("kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ")",
      R"("kty":"new","x":1)",
      R"("kty":"OKP","crv":"X25519","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08")",
      R"("kty":"EC","crv":"P-384","x":"AA","y":"AA")",
      ed + R"(,"use":"enc")",
      ed + R"(,"use":7)",
      ed + R"(,"key_ops":["sign"])",
      ed + R"(,"alg":"HS256")",
      ed + R"(,"alg":"none")",
      std::string(kRfcRsa) + R"(,"alg":"PS256")",
      std::string(kRfcRsa) + R"(,"alg":"RS512")",
      JwtKey("RS1024", "weak").Jwk().substr(1, 300),
  };
  for (const std::string& members : cases) {
    SCOPED_TRACE(members);
    const auto trimmed = members.substr(0, members.find('}'));
    EXPECT_THAT(ParseJwk(trimmed), StatusIs(absl::StatusCode::kUnimplemented));
  }
  EXPECT_THAT(
      ParseJwk(ed + R"(,"use":"sig","alg":"EdDSA","key_ops":["verify"])"),
      IsOk());
}

TEST(JwkTest, RefusesMalformedKeys) {
  const std::string cases[] = {
      R"("x":"AA")",
      R"("kty":7)",
      R"("kty":"OKP","crv":"Ed25519")",
      R"("kty":"OKP","crv":"Ed25519","x":"AAAA")",
      R"("kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")",
      // Private.
      std::string(kRfcOkp) +
          R"(,"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")",
      // Not on the curve: the other half of another key.
      R"("kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")",
      R"("kty":"EC","crv":"P-256","x":"AA","y":"AA")",
      // An exponent of 1, with which everybody signs.
      std::string(kRfcRsa, sizeof(kRfcRsa) - 12) + R"(,"e":"AQ")",
      std::string(kRfcOkp) + R"(,"kid":7)",
      std::string(kRfcOkp) + R"(,"kid":")" + std::string(300, 'k') + "\"",
  };
  for (const std::string& members : cases) {
    SCOPED_TRACE(members);
    EXPECT_THAT(ParseJwk(members),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(JwkSetTest, FindsTheKeyThatATokenNames) {
  const JwtKey first("ES256", "one");
  const JwtKey second("ES256", "two");
  const JwtKey third("EdDSA", "three");
  const auto set =
      JwkSet::Parse(JwkSetOf({first.Jwk(), second.Jwk(), third.Jwk()}));
  ASSERT_THAT(set, IsOk());
  const auto find = [&](const std::string& header) -> std::string {
    const Jwk* key = set->Find(*Jws::Parse(SignJwt(first, header, "{}")));
    return key == nullptr ? "" : key->key_id().value_or("?");
  };
  EXPECT_EQ(find(R"({"alg":"ES256","kid":"two"})"), "two");
  EXPECT_EQ(find(R"({"alg":"EdDSA","kid":"three"})"), "three");
  EXPECT_EQ(find(R"({"alg":"EdDSA"})"), "three") << "there is one such key";
  EXPECT_EQ(find(R"({"alg":"ES256"})"), "") << "there are two";
  EXPECT_EQ(find(R"({"alg":"ES256","kid":"four"})"), "");
  EXPECT_EQ(find(R"({"alg":"ES256","kid":""})"), "");
  // Neither the token nor its sender chooses the algorithm of a key.
  for (const char* algorithm :
       {"EdDSA", "RS256", "HS256", "none", "None", "es256", "ES256K", ""}) {
    EXPECT_EQ(find(fmt::format(R"({{"alg":"{}","kid":"two"}})", algorithm)), "")
        << algorithm;
  }
}

TEST(JwkSetTest, RefusesASetThatIsNotWhole) {
  const JwtKey key("ES256", "one");
  std::vector<std::string> many;
  for (size_t i = 0; i <= JwkSet::kMaxKeys; ++i) {
    many.push_back(fmt::format(R"({{"kty":"oct","kid":"{}"}})", i));
  }
  const std::string cases[] = {
      "",
      "[]",
      "{}",
      R"({"keys":{}})",
      R"({"keys":[]})",
      R"({"keys":[7]})",
      JwkSetOf({R"({"kty":"oct","k":"AA"})"}),
      JwkSetOf({key.Jwk(), key.Jwk()}),
      JwkSetOf({key.Jwk(), R"({"kty":"OKP","crv":"Ed25519","x":"AA"})"}),
      JwkSetOf({key.Jwk(R"(,"d":"AA")")}),
      JwkSetOf({key.Jwk(R"(,"kid":"twice")")}),
      JwkSetOf(many),
      JwkSetOf({key.Jwk()}) + std::string(JwkSet::kMaxBytes, ' '),
  };
  for (const std::string& text : cases) {
    SCOPED_TRACE(text.substr(0, 200));
    EXPECT_THAT(JwkSet::Parse(text),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
  // What is only unknown is skipped.
  EXPECT_THAT(JwkSet::Parse(JwkSetOf({R"({"kty":"oct","k":"AA"})", key.Jwk()})),
              IsOk());
}

}  // namespace
}  // namespace latchkey
