#include "core/secret_string.h"

#include <string.h>

namespace latchkey {

void Wipe(std::string& text) {
  // The whole capacity: an earlier, longer value may have left bytes there.
  text.resize(text.capacity());
  explicit_bzero(text.data(), text.size());
  text.clear();
}

SecretString::SecretString(SecretString&& other) noexcept
    : bytes_(other.bytes_) {
  // A copy and a wipe, not a move: a moved-from short string keeps its bytes.
  Wipe(other.bytes_);
}

SecretString& SecretString::operator=(const SecretString& other) {
  if (this == &other) return *this;
  Wipe(bytes_);
  bytes_ = other.bytes_;
  return *this;
}

SecretString& SecretString::operator=(SecretString&& other) noexcept {
  if (this == &other) return *this;
  Wipe(bytes_);
  bytes_ = other.bytes_;
  Wipe(other.bytes_);
  return *this;
}

}  // namespace latchkey
