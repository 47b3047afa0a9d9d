// An issuer of JWTs for tests: makes keys, and signs whatever it is told to.

#ifndef LATCHKEY_TESTS_TESTING_JWT_ISSUER_H_
#define LATCHKEY_TESTS_TESTING_JWT_ISSUER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct evp_pkey_st;

namespace latchkey_testing {

// "RS256", "ES256", "EdDSA"; "ES384" and "RS1024" for keys that are refused.
class JwtKey {
 public:
  JwtKey(std::string_view kind, std::string key_id);

  const std::string& kind() const { return kind_; }
  const std::string& key_id() const { return key_id_; }
  // The public key as a JWK; `more` are members such as R"(,"use":"sig")".
  std::string Jwk(std::string_view more = "") const;
  // RS256 and the like over `text`, as a JWS has it.
  std::string Signature(std::string_view text) const;
  // The public key in PEM: what algorithm confusion takes for an HMAC key.
  std::string PublicPem() const;

 private:
  std::string kind_;
  std::string key_id_;
  std::shared_ptr<evp_pkey_st> key_;
};

// {"keys": [...]} of JWKs.
std::string JwkSetOf(const std::vector<std::string>& jwks);

std::string Base64Url(std::string_view bytes);
// header.payload.signature, of JSON texts, signed by `key`.
std::string SignJwt(const JwtKey& key, std::string_view header,
                    std::string_view claims);
// The same with the usual header: the key's own algorithm and id.
std::string SignJwt(const JwtKey& key, std::string_view claims);

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_JWT_ISSUER_H_
