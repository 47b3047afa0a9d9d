#include "crypto/public_key.h"

#include <absl/status/status.h>
#include <openssl/objects.h>

#include "core/status_macros.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/openssl_error.h"

namespace latchkey {
namespace {

struct Algorithm {
  int nid = NID_undef;
  int curve = NID_undef;  // of an EC key
};

absl::StatusOr<Algorithm> AlgorithmOf(const X509_PUBKEY* key) {
  X509_ALGOR* algorithm = nullptr;
  const unsigned char* bytes = nullptr;
  int size = 0;
  const ASN1_OBJECT* object = nullptr;
  int parameter_type = V_ASN1_UNDEF;
  const void* parameter = nullptr;
  X509_PUBKEY_get0_param(nullptr, &bytes, &size, &algorithm, key);
  X509_ALGOR_get0(&object, &parameter_type, &parameter, algorithm);

  Algorithm result{.nid = OBJ_obj2nid(object)};
  if (result.nid != NID_X9_62_id_ecPublicKey) return result;
  // RFC 5480, 2.1.1: only named curves. With explicit parameters the sender
  // makes up a group in which other people's signatures verify.
  if (parameter_type != V_ASN1_OBJECT) {
    return absl::InvalidArgumentError("the EC key does not name its curve");
  }
  constexpr unsigned char kUncompressed = 4;  // SEC 1, 2.3.3
  if (size < 1 || bytes[0] != kUncompressed) {
    return absl::InvalidArgumentError("the EC key's point is compressed");
  }
  result.curve = OBJ_obj2nid(static_cast<const ASN1_OBJECT*>(parameter));
  return result;
}

KeyType TypeOf(const Algorithm& algorithm, int bits) {
  switch (algorithm.nid) {
    case NID_X9_62_id_ecPublicKey:
      if (algorithm.curve == NID_X9_62_prime256v1) return KeyType::kP256;
      if (algorithm.curve == NID_secp384r1) return KeyType::kP384;
      return KeyType::kOther;
    case NID_ED25519:
      return KeyType::kEd25519;
    case NID_rsaEncryption:
      if (bits == 2048) return KeyType::kRsa2048;
      if (bits == 4096) return KeyType::kRsa4096;
      return KeyType::kRsaOther;
    default:
      return KeyType::kOther;
  }
}

}  // namespace

absl::StatusOr<std::string> DigestOfPublicKey(const X509_PUBKEY* key) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::string der, ToDer(i2d_X509_PUBKEY, key));
  return Sha256Hex(der);
}

absl::StatusOr<PublicKeyFacts> DescribePublicKey(const X509_PUBKEY* key) {
  LATCHKEY_ASSIGN_OR_RETURN(const Algorithm algorithm, AlgorithmOf(key));
  const EVP_PKEY* native = X509_PUBKEY_get0(key);
  if (native == nullptr) {
    return TakeOpensslError(absl::StatusCode::kInvalidArgument,
                            "the public key cannot be read");
  }
  PublicKeyFacts facts;
  facts.bits = EVP_PKEY_get_bits(native);
  facts.type = TypeOf(algorithm, facts.bits);
  LATCHKEY_ASSIGN_OR_RETURN(const std::string der, ToDer(i2d_X509_PUBKEY, key));
  // One key, one digest: left-out parameters or long-winded lengths would give
  // the same key another one.
  LATCHKEY_ASSIGN_OR_RETURN(const std::string usual_der,
                            ToDer(i2d_PUBKEY, native));
  if (der != usual_der) {
    return absl::InvalidArgumentError(
        "the public key is not encoded in the usual way");
  }
  facts.digest = Sha256Hex(der);
  return facts;
}

}  // namespace latchkey
