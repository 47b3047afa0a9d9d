#include "tests/testing/jwt_issuer.h"

#include <stdexcept>

#include <absl/strings/escaping.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

namespace latchkey_testing {
namespace {

void Check(bool ok) {
  if (!ok) throw std::runtime_error("OpenSSL fails");
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

EVP_PKEY* Generate(std::string_view kind) {
  if (kind == "RS256") {
    return EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048});
  }
  if (kind == "RS1024") {
    return EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{1024});
  }
  if (kind == "ES256") {
    return EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
  }
  if (kind == "ES384") {
    return EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384");
  }
  return EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
}

// A number of the key, base64url, padded to `width` bytes.
std::string Number(const EVP_PKEY* key, const char* name, int width = 0) {
  BIGNUM* number = nullptr;
  Check(EVP_PKEY_get_bn_param(key, name, &number) == 1);
  const int size = width > 0 ? width : BN_num_bytes(number);
  std::string bytes(static_cast<size_t>(size), '\0');
  BN_bn2binpad(number, reinterpret_cast<unsigned char*>(bytes.data()), size);
  BN_free(number);
  return Base64Url(bytes);
}

// r and s side by side, of the DER of a signature.
std::string RawEcdsa(const std::string& der, int width) {
  const unsigned char* next = Bytes(der);
  ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &next, static_cast<int>(der.size()));
  Check(pair != nullptr);
  std::string raw(static_cast<size_t>(2 * width), '\0');
  auto* out = reinterpret_cast<unsigned char*>(raw.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, width);
  BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + width, width);
  ECDSA_SIG_free(pair);
  return raw;
}

}  // namespace

JwtKey::JwtKey(std::string_view kind, std::string key_id)
    : kind_(kind),
      key_id_(std::move(key_id)),
      key_(Generate(kind), EVP_PKEY_free) {
  Check(key_ != nullptr);
}

std::string JwtKey::Jwk(std::string_view more) const {
  std::string members;
  if (kind_.starts_with("RS")) {
    members = fmt::format(R"("kty":"RSA","n":"{}","e":"{}")",
                          Number(key_.get(), OSSL_PKEY_PARAM_RSA_N),
                          Number(key_.get(), OSSL_PKEY_PARAM_RSA_E));
  } else if (kind_.starts_with("ES")) {
    const int width = kind_ == "ES256" ? 32 : 48;
    members = fmt::format(R"("kty":"EC","crv":"P-{}","x":"{}","y":"{}")",
                          kind_.substr(2),
                          Number(key_.get(), OSSL_PKEY_PARAM_EC_PUB_X, width),
                          Number(key_.get(), OSSL_PKEY_PARAM_EC_PUB_Y, width));
  } else {
    std::string raw(32, '\0');
    size_t size = raw.size();
    Check(EVP_PKEY_get_raw_public_key(
              key_.get(), reinterpret_cast<unsigned char*>(raw.data()),
              &size) == 1);
    members =
        fmt::format(R"("kty":"OKP","crv":"Ed25519","x":"{}")", Base64Url(raw));
  }
  return fmt::format(R"({{"kid":"{}",{}{}}})", key_id_, members, more);
}

std::string JwtKey::Signature(std::string_view text) const {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const EVP_MD* digest = kind_ == "EdDSA"   ? nullptr
                         : kind_ == "ES384" ? EVP_sha384()
                                            : EVP_sha256();
  size_t size = 0;
  Check(EVP_DigestSignInit(context, nullptr, digest, nullptr, key_.get()) == 1);
  Check(EVP_DigestSign(context, nullptr, &size, Bytes(text), text.size()) == 1);
  std::string signature(size, '\0');
  Check(EVP_DigestSign(context,
                       reinterpret_cast<unsigned char*>(signature.data()),
                       &size, Bytes(text), text.size()) == 1);
  EVP_MD_CTX_free(context);
  signature.resize(size);
  if (kind_ == "ES256") return RawEcdsa(signature, 32);
  if (kind_ == "ES384") return RawEcdsa(signature, 48);
  return signature;
}

std::string JwtKey::PublicPem() const {
  BIO* memory = BIO_new(BIO_s_mem());
  Check(PEM_write_bio_PUBKEY(memory, key_.get()) == 1);
  char* data = nullptr;
  const auto size = BIO_get_mem_data(memory, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(memory);
  return pem;
}

std::string JwkSetOf(const std::vector<std::string>& jwks) {
  return fmt::format(R"({{"keys":[{}]}})", fmt::join(jwks, ","));
}

std::string Base64Url(std::string_view bytes) {
  return absl::WebSafeBase64Escape(std::string(bytes));
}

std::string SignJwt(const JwtKey& key, std::string_view header,
                    std::string_view claims) {
  const std::string input = Base64Url(header) + "." + Base64Url(claims);
  return input + "." + Base64Url(key.Signature(input));
}

std::string SignJwt(const JwtKey& key, std::string_view claims) {
  return SignJwt(key,
                 fmt::format(R"({{"alg":"{}","kid":"{}","typ":"JWT"}})",
                             key.kind(), key.key_id()),
                 claims);
}

}  // namespace latchkey_testing
