// Unpredictable bytes from OpenSSL's CSPRNG, and strings of [a-z0-9] that are
// drawn or derived without bias.

#ifndef LATCHKEY_CRYPTO_RANDOM_H_
#define LATCHKEY_CRYPTO_RANDOM_H_

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

#include "core/secret_string.h"

namespace latchkey {

// `count` bytes that may be secrets. Aborts if the generator fails: nothing
// safe can be done without it.
std::string RandomBytes(size_t count);

// `length` uniform characters of [a-z0-9].
SecretString RandomBase36(size_t length);

// `length` characters of [a-z0-9] that depend on nothing but the arguments:
// the bytes of SHA-256(domain, counter, parts...) for the counters 0, 1 and so
// on, rejection-sampled. Parts are told apart as in DigestOfParts. The result
// is as secret, and as strong, as the parts are.
SecretString DeriveBase36(std::string_view domain,
                          std::initializer_list<std::string_view> parts,
                          size_t length);

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_RANDOM_H_
