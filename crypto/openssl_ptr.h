// Owners for OpenSSL's reference-counted and allocated types. For this folder
// only.

#ifndef LATCHKEY_CRYPTO_OPENSSL_PTR_H_
#define LATCHKEY_CRYPTO_OPENSSL_PTR_H_

#include <memory>

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/encoder.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace latchkey {

template <auto Free>
struct OpensslDeleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

template <typename T, auto Free>
using OpensslPtr = std::unique_ptr<T, OpensslDeleter<Free>>;

// OPENSSL_free is a macro. For bytes that are no secret.
inline void FreeOpensslBytes(unsigned char* bytes) { OPENSSL_free(bytes); }
inline void FreeExtensions(X509_EXTENSIONS* extensions) {
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

using OpensslBytes = OpensslPtr<unsigned char, FreeOpensslBytes>;

using Asn1IntegerPtr = OpensslPtr<ASN1_INTEGER, ASN1_INTEGER_free>;
using Asn1ObjectPtr = OpensslPtr<ASN1_OBJECT, ASN1_OBJECT_free>;
using Asn1StringPtr = OpensslPtr<ASN1_STRING, ASN1_STRING_free>;
using Asn1TimePtr = OpensslPtr<ASN1_TIME, ASN1_TIME_free>;
using BignumPtr = OpensslPtr<BIGNUM, BN_free>;
using EncoderPtr = OpensslPtr<OSSL_ENCODER_CTX, OSSL_ENCODER_CTX_free>;
using EvpMdCtxPtr = OpensslPtr<EVP_MD_CTX, EVP_MD_CTX_free>;
using EvpPkeyPtr = OpensslPtr<EVP_PKEY, EVP_PKEY_free>;
using ExtendedKeyUsagePtr =
    OpensslPtr<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free>;
using ExtensionsPtr = OpensslPtr<X509_EXTENSIONS, FreeExtensions>;
using GeneralNamePtr = OpensslPtr<GENERAL_NAME, GENERAL_NAME_free>;
using GeneralNamesPtr = OpensslPtr<GENERAL_NAMES, GENERAL_NAMES_free>;
using X509Ptr = OpensslPtr<X509, X509_free>;
using X509PubkeyPtr = OpensslPtr<X509_PUBKEY, X509_PUBKEY_free>;
using X509ReqPtr = OpensslPtr<X509_REQ, X509_REQ_free>;

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_OPENSSL_PTR_H_
