// SHA-256 over bytes that arrive in pieces. For this folder only.

#ifndef LATCHKEY_CRYPTO_SHA256_STREAM_H_
#define LATCHKEY_CRYPTO_SHA256_STREAM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "crypto/openssl_error.h"
#include "crypto/openssl_ptr.h"

namespace latchkey {

class Sha256Stream {
 public:
  static constexpr size_t kDigestBytes = 32;
  using Digest = std::array<unsigned char, kDigestBytes>;

  Sha256Stream() : context_(EVP_MD_CTX_new()) {
    Check(context_ != nullptr &&
          EVP_DigestInit_ex(context_.get(), Algorithm(), nullptr) == 1);
  }

  void Add(std::string_view bytes) {
    Check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }

  // The length of `part` as eight bytes, big-endian, then `part`: a sequence of
  // parts then hashes differently from any other sequence.
  void AddFramed(std::string_view part) {
    AddNumber(part.size());
    Add(part);
  }

  // Eight bytes, big-endian.
  void AddNumber(uint64_t number) {
    std::array<char, 8> bytes;
    for (size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<char>(number >> (8 * (bytes.size() - 1 - i)));
    }
    Add({bytes.data(), bytes.size()});
  }

  // The digest of all that was added. The stream ends here.
  Digest Finish() {
    Digest digest;
    Check(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1);
    return digest;
  }

 private:
  // Looked up once: EVP_sha256() makes OpenSSL search its providers at each
  // digest.
  static const EVP_MD* Algorithm() {
    static const EVP_MD* const algorithm =
        EVP_MD_fetch(nullptr, "SHA256", nullptr);
    Check(algorithm != nullptr);
    return algorithm;
  }
  static void Check(bool ok) {
    if (!ok) DieOfOpensslError("SHA-256 failed");
  }

  EvpMdCtxPtr context_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_SHA256_STREAM_H_
