// Owners for OpenSSL's reference-counted and allocated types.

#ifndef LATCHKEY_CRYPTO_OPENSSL_PTR_H_
#define LATCHKEY_CRYPTO_OPENSSL_PTR_H_

#include <memory>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

namespace latchkey {

template <auto Free>
struct OpensslDeleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

using BioPtr = std::unique_ptr<BIO, OpensslDeleter<BIO_free_all>>;
using EvpPkeyPtr = std::unique_ptr<EVP_PKEY, OpensslDeleter<EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, OpensslDeleter<X509_free>>;
using X509ReqPtr = std::unique_ptr<X509_REQ, OpensslDeleter<X509_REQ_free>>;

// Shared: a key is immutable, and a copy of it is a reference.
using SharedEvpPkey = std::shared_ptr<EVP_PKEY>;

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_OPENSSL_PTR_H_
