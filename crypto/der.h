// DER in and out of OpenSSL's structures. For this folder only.

#ifndef LATCHKEY_CRYPTO_DER_H_
#define LATCHKEY_CRYPTO_DER_H_

#include <string>
#include <string_view>
#include <type_traits>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "crypto/openssl_error.h"
#include "crypto/openssl_ptr.h"

namespace latchkey {

using OpensslLength = long;  // NOLINT(google-runtime-int): OpenSSL's choice

inline const unsigned char* DerBytes(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

// `object` in DER by one of OpenSSL's i2d functions. kInternal if it fails.
template <typename T>
absl::StatusOr<std::string> ToDer(int (*encode)(T*, unsigned char**),
                                  std::type_identity_t<T>* object) {
  unsigned char* bytes = nullptr;
  const int size = encode(object, &bytes);
  const OpensslBytes owner(bytes);
  if (size < 0) {
    return TakeOpensslError(absl::StatusCode::kInternal, "cannot write DER");
  }
  return std::string(reinterpret_cast<const char*>(bytes),
                     static_cast<size_t>(size));
}

// The structure that all of `der` is, by one of OpenSSL's d2i functions; null
// if it is none, or if bytes are left over.
template <typename Owner, typename T>
Owner FromDer(T* (*decode)(T**, const unsigned char**, OpensslLength),
              std::string_view der) {
  const unsigned char* next = DerBytes(der);
  Owner object(decode(nullptr, &next, static_cast<OpensslLength>(der.size())));
  if (next != DerBytes(der) + der.size()) object.reset();
  return object;
}

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_DER_H_
