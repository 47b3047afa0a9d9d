#include "crypto/private_key.h"

#include <utility>

#include <absl/status/status.h>

#include "core/status_macros.h"
#include "crypto/der.h"
#include "crypto/openssl_error.h"
#include "crypto/openssl_ptr.h"
#include "crypto/pem.h"
#include "crypto/public_key.h"

namespace latchkey {
namespace {

constexpr std::string_view kPkcs8Label = "PRIVATE KEY";
constexpr std::string_view kSec1Label = "EC PRIVATE KEY";
constexpr std::string_view kPkcs1Label = "RSA PRIVATE KEY";

EvpPkeyPtr GenerateNative(KeyType type) {
  EVP_PKEY* key = nullptr;
  switch (type) {
    case KeyType::kP256:
      key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
      break;
    case KeyType::kP384:
      key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384");
      break;
    case KeyType::kEd25519:
      key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
      break;
    case KeyType::kRsa2048:
      key = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048});
      break;
    case KeyType::kRsa4096:
      key = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{4096});
      break;
    case KeyType::kRsaOther:
    case KeyType::kOther:
      break;
  }
  return EvpPkeyPtr(key);
}

EvpPkeyPtr DecodeNative(std::string_view label, std::string_view der) {
  const unsigned char* next = DerBytes(der);
  const auto size = static_cast<OpensslLength>(der.size());
  EvpPkeyPtr key;
  if (label == kSec1Label) {
    key.reset(d2i_PrivateKey(EVP_PKEY_EC, nullptr, &next, size));
  } else if (label == kPkcs1Label) {
    key.reset(d2i_PrivateKey(EVP_PKEY_RSA, nullptr, &next, size));
  } else {
    key.reset(d2i_AutoPrivateKey(nullptr, &next, size));
  }
  if (next != DerBytes(der) + der.size()) key.reset();
  return key;
}

}  // namespace

PrivateKey::PrivateKey(std::shared_ptr<evp_pkey_st> key, KeyType type,
                       std::string digest)
    : key_(std::move(key)), type_(type), digest_(std::move(digest)) {}

absl::StatusOr<PrivateKey> PrivateKey::Generate(KeyType type) {
  const OpensslErrorGuard guard;
  if (type == KeyType::kRsaOther || type == KeyType::kOther) {
    return absl::InvalidArgumentError(
        "only P-256, P-384, Ed25519, RSA-2048 and RSA-4096 are generated");
  }
  EvpPkeyPtr key = GenerateNative(type);
  if (key == nullptr) {
    return TakeOpensslError(absl::StatusCode::kInternal,
                            "cannot generate a key");
  }
  return Adopt(std::move(key));
}

absl::StatusOr<PrivateKey> PrivateKey::FromPem(std::string_view pem) {
  const OpensslErrorGuard guard;
  if (pem.size() > kMaxPemBytes) {
    return absl::InvalidArgumentError("a private key has at most 16 KiB");
  }
  LATCHKEY_ASSIGN_OR_RETURN(
      PemBlock block,
      DecodeOnlyPemBlock(pem, {kPkcs8Label, kSec1Label, kPkcs1Label}));
  EvpPkeyPtr key = DecodeNative(block.label, block.der);
  Wipe(block.der);
  if (key == nullptr) {
    return TakeOpensslError(absl::StatusCode::kInvalidArgument,
                            "the private key cannot be read");
  }
  return Adopt(std::move(key));
}

absl::StatusOr<PrivateKey> PrivateKey::Adopt(std::shared_ptr<evp_pkey_st> key) {
  X509_PUBKEY* public_key = nullptr;
  const int set = X509_PUBKEY_set(&public_key, key.get());
  const X509PubkeyPtr owner(public_key);
  if (set != 1) {
    return TakeOpensslError(absl::StatusCode::kInvalidArgument,
                            "the private key has no public half");
  }
  LATCHKEY_ASSIGN_OR_RETURN(PublicKeyFacts facts,
                            DescribePublicKey(public_key));
  if (facts.type == KeyType::kOther) {
    return absl::InvalidArgumentError(
        "the private key is not P-256, P-384, Ed25519 or RSA");
  }
  return PrivateKey(std::move(key), facts.type, std::move(facts.digest));
}

SecretString PrivateKey::ToPem() const {
  const OpensslErrorGuard guard;
  const char* structure =
      type_ == KeyType::kEd25519 ? "PrivateKeyInfo" : "type-specific";
  const EncoderPtr encoder(OSSL_ENCODER_CTX_new_for_pkey(
      key_.get(), EVP_PKEY_KEYPAIR, "PEM", structure, nullptr));
  unsigned char* bytes = nullptr;
  size_t size = 0;
  if (encoder == nullptr ||
      OSSL_ENCODER_to_data(encoder.get(), &bytes, &size) != 1) {
    DieOfOpensslError("cannot write a private key");
  }
  SecretString pem({reinterpret_cast<const char*>(bytes), size});
  OPENSSL_clear_free(bytes, size);
  return pem;
}

}  // namespace latchkey
