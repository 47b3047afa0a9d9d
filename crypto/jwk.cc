#include "crypto/jwk.h"

#include <algorithm>
#include <array>
#include <utility>

#include <absl/status/status.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>

#include "core/base64url.h"
#include "core/status_macros.h"
#include "crypto/der.h"
#include "crypto/openssl_error.h"
#include "crypto/openssl_ptr.h"

namespace latchkey {
namespace {

using ::google::protobuf::Value;
using EcdsaSigPtr = OpensslPtr<ECDSA_SIG, ECDSA_SIG_free>;
using ParamBuilderPtr = OpensslPtr<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using ParamsPtr = OpensslPtr<OSSL_PARAM, OSSL_PARAM_free>;
using PkeyContextPtr = OpensslPtr<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

constexpr int kLeastRsaBits = 2048;
constexpr int kMostRsaBits = 8192;
constexpr size_t kCoordinateBytes = 32;  // RFC 7518, 6.2.1.2, of P-256
constexpr size_t kMaxKeyIdBytes = 256;

absl::Status Malformed(std::string_view what) {
  return TakeOpensslError(absl::StatusCode::kInvalidArgument, what);
}

// The bytes of a base64url member; kInvalidArgument if it is none.
absl::StatusOr<std::string> BytesOf(const JsonFields& fields,
                                    std::string_view name) {
  const std::string* text = FindString(fields, name);
  auto bytes = text == nullptr ? std::nullopt : DecodeBase64Url(*text);
  if (!bytes.has_value() || bytes->empty()) {
    return Malformed("a JWK lacks a number or coordinate of its key");
  }
  return *std::move(bytes);
}

BignumPtr NumberOf(std::string_view bytes) {
  return BignumPtr(
      BN_bin2bn(DerBytes(bytes), static_cast<int>(bytes.size()), nullptr));
}

// The public key of `type` with these parameters, checked as far as OpenSSL
// checks one: on its curve, no small factors.
absl::StatusOr<EvpPkeyPtr> MakeKey(const char* type, OSSL_PARAM_BLD* builder) {
  const ParamsPtr params(OSSL_PARAM_BLD_to_param(builder));
  const PkeyContextPtr context(
      EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (params == nullptr || context == nullptr ||
      EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY,
                        params.get()) != 1) {
    return Malformed("a JWK holds no public key");
  }
  EvpPkeyPtr owner(key);
  const PkeyContextPtr check(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  if (check == nullptr || EVP_PKEY_public_check(check.get()) != 1) {
    return Malformed("a JWK holds a bad public key");
  }
  return owner;
}

absl::StatusOr<EvpPkeyPtr> RsaKey(const JsonFields& fields) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::string modulus, BytesOf(fields, "n"));
  LATCHKEY_ASSIGN_OR_RETURN(const std::string exponent, BytesOf(fields, "e"));
  const BignumPtr n = NumberOf(modulus);
  const BignumPtr e = NumberOf(exponent);
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  // Before the checks, which take the longer the larger it is.
  const int bits = n == nullptr ? 0 : BN_num_bits(n.get());
  if (bits < kLeastRsaBits || bits > kMostRsaBits) {
    return absl::UnimplementedError("RSA keys have 2048 to 8192 bits");
  }
  if (e == nullptr || builder == nullptr ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) !=
          1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) !=
          1) {
    return Malformed("a JWK holds no RSA key");
  }
  return MakeKey("RSA", builder.get());
}

absl::StatusOr<EvpPkeyPtr> EcKey(const JsonFields& fields) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::string x, BytesOf(fields, "x"));
  LATCHKEY_ASSIGN_OR_RETURN(const std::string y, BytesOf(fields, "y"));
  if (x.size() != kCoordinateBytes || y.size() != kCoordinateBytes) {
    return Malformed("a JWK's coordinates are not of its curve");
  }
  const std::string point = "\x04" + x + y;  // SEC 1, 2.3.3: uncompressed
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  if (builder == nullptr ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                      "P-256", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY,
                                       point.data(), point.size()) != 1) {
    return Malformed("a JWK holds no EC key");
  }
  return MakeKey("EC", builder.get());
}

absl::StatusOr<EvpPkeyPtr> Ed25519Key(const JsonFields& fields) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::string x, BytesOf(fields, "x"));
  EvpPkeyPtr key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                             DerBytes(x), x.size()));
  if (key == nullptr) return Malformed("a JWK holds no Ed25519 key");
  return key;
}

// RFC 7517, 4.2 to 4.4: what the key is for, if it says.
bool IsForSignatures(const JsonFields& fields, JwsAlgorithm algorithm) {
  const Value* use = FindMember(fields, "use");
  if (use != nullptr && use->string_value() != "sig") return false;
  const Value* alg = FindMember(fields, "alg");
  if (alg != nullptr && alg->string_value() != JwsAlgorithmName(algorithm)) {
    return false;
  }
  const Value* operations = FindMember(fields, "key_ops");
  if (operations == nullptr) return true;
  const auto& list = operations->list_value().values();
  return std::any_of(list.begin(), list.end(), [](const Value& operation) {
    return operation.string_value() == "verify";
  });
}

// What decides the algorithm: type and curve.
absl::StatusOr<JwsAlgorithm> AlgorithmOf(const JsonFields& fields) {
  const std::string* type = FindString(fields, "kty");
  if (type == nullptr) return Malformed("a JWK has no type");
  const std::string* curve = FindString(fields, "crv");
  if (*type == "RSA") return JwsAlgorithm::kRs256;
  if (*type == "EC" && curve != nullptr && *curve == "P-256") {
    return JwsAlgorithm::kEs256;
  }
  if (*type == "OKP" && curve != nullptr && *curve == "Ed25519") {
    return JwsAlgorithm::kEdDsa;
  }
  return absl::UnimplementedError("a JWK of another kind");
}

absl::StatusOr<EvpPkeyPtr> KeyOf(const JsonFields& fields,
                                 JwsAlgorithm algorithm) {
  switch (algorithm) {
    case JwsAlgorithm::kRs256:
      return RsaKey(fields);
    case JwsAlgorithm::kEs256:
      return EcKey(fields);
    case JwsAlgorithm::kEdDsa:
      return Ed25519Key(fields);
  }
  return absl::InternalError("no such algorithm");
}

// RFC 7518, 3.4: r and s side by side, where OpenSSL wants DER. Empty if it is
// not that.
std::string EcdsaDer(std::string_view signature) {
  if (signature.size() != 2 * kCoordinateBytes) return "";
  BignumPtr r = NumberOf(signature.substr(0, kCoordinateBytes));
  BignumPtr s = NumberOf(signature.substr(kCoordinateBytes));
  const EcdsaSigPtr pair(ECDSA_SIG_new());
  if (r == nullptr || s == nullptr || pair == nullptr ||
      ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) {
    return "";
  }
  // They are the pair's now.
  static_cast<void>(r.release());
  static_cast<void>(s.release());
  return ToDer(i2d_ECDSA_SIG, pair.get()).value_or("");
}

}  // namespace

std::string_view JwsAlgorithmName(JwsAlgorithm algorithm) {
  constexpr std::array<std::string_view, 3> kNames = {"RS256", "ES256",
                                                      "EdDSA"};
  return kNames[static_cast<size_t>(algorithm)];
}

absl::StatusOr<Jwk> Jwk::Parse(const JsonFields& fields) {
  const OpensslErrorGuard guard;
  LATCHKEY_ASSIGN_OR_RETURN(const JwsAlgorithm algorithm, AlgorithmOf(fields));
  // Whoever can read this can sign with it.
  if (FindMember(fields, "d") != nullptr) {
    return Malformed("a JWK holds a private key");
  }
  if (!IsForSignatures(fields, algorithm)) {
    return absl::UnimplementedError("a JWK for another use");
  }
  LATCHKEY_ASSIGN_OR_RETURN(EvpPkeyPtr key, KeyOf(fields, algorithm));
  Jwk jwk(std::move(key), algorithm);
  if (FindMember(fields, "kid") != nullptr) {
    const std::string* key_id = FindString(fields, "kid");
    if (key_id == nullptr || key_id->size() > kMaxKeyIdBytes) {
      return Malformed("a JWK's kid is no short string");
    }
    jwk.key_id_ = *key_id;
  }
  return jwk;
}

bool Jwk::Verifies(std::string_view signing_input,
                   std::string_view signature) const {
  const OpensslErrorGuard guard;
  const bool ecdsa = algorithm_ == JwsAlgorithm::kEs256;
  const std::string raw = ecdsa ? EcdsaDer(signature) : std::string(signature);
  const EVP_MD* digest =
      algorithm_ == JwsAlgorithm::kEdDsa ? nullptr : EVP_sha256();
  const EvpMdCtxPtr context(EVP_MD_CTX_new());
  return context != nullptr && !raw.empty() &&
         EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr,
                              key_.get()) == 1 &&
         EVP_DigestVerify(context.get(), DerBytes(raw), raw.size(),
                          DerBytes(signing_input), signing_input.size()) == 1;
}

}  // namespace latchkey
