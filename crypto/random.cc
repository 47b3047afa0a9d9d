#include "crypto/random.h"

#include <array>
#include <cstdint>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "core/base36.h"
#include "crypto/openssl_error.h"
#include "crypto/sha256_stream.h"

namespace latchkey {
namespace {

// The private generator: its state is apart from the one whose output goes out
// in the clear (nonces of TLS).
void FillWithRandomBytes(unsigned char* bytes, size_t count) {
  if (RAND_priv_bytes_ex(nullptr, bytes, count, 0) != 1) {
    DieOfOpensslError("the random generator failed");
  }
}

// For any of our secrets at once: the generator costs by the call.
using RandomBlock = std::array<unsigned char, 128>;

// `length` characters from the bytes of blocks that `next_block` makes.
template <typename NextBlock>
SecretString SampleFromBlocks(size_t length, NextBlock next_block) {
  decltype(next_block()) block;
  size_t used = block.size();
  std::string text = SampleBase36(length, [&]() -> uint8_t {
    if (used == block.size()) {
      block = next_block();
      used = 0;
    }
    return block[used++];
  });
  OPENSSL_cleanse(block.data(), block.size());
  SecretString secret(text);
  Wipe(text);
  return secret;
}

}  // namespace

std::string RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  FillWithRandomBytes(reinterpret_cast<unsigned char*>(bytes.data()), count);
  return bytes;
}

SecretString RandomBase36(size_t length) {
  return SampleFromBlocks(length, [] {
    RandomBlock block;
    FillWithRandomBytes(block.data(), block.size());
    return block;
  });
}

SecretString DeriveBase36(std::string_view domain,
                          std::initializer_list<std::string_view> parts,
                          size_t length) {
  return SampleFromBlocks(length, [&, counter = uint64_t{0}]() mutable {
    Sha256Stream stream;
    stream.AddFramed(domain);
    stream.AddNumber(counter++);
    for (const std::string_view part : parts) stream.AddFramed(part);
    return stream.Finish();
  });
}

}  // namespace latchkey
