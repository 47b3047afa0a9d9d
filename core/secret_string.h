// A SecretString holds bytes that must not reach a log, an error or a dump: the
// secret half of a token, a ticket, a private key in PEM.
//
// It has no printer and no comparison: the one way to the bytes is Reveal(), a
// word to search for in review. The memory is wiped when the value dies or is
// assigned over.

#ifndef LATCHKEY_CORE_SECRET_STRING_H_
#define LATCHKEY_CORE_SECRET_STRING_H_

#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>

namespace latchkey {

// Overwrites the bytes of `text`, its spare capacity included, in a way that
// the compiler may not leave out, and empties it.
void Wipe(std::string& text);

class SecretString {
 public:
  SecretString() = default;
  // Copies `bytes`. The caller still owns, and should wipe, its own copy.
  explicit SecretString(std::string_view bytes) : bytes_(bytes) {}

  SecretString(const SecretString& other) = default;
  SecretString(SecretString&& other) noexcept;
  SecretString& operator=(const SecretString& other);
  SecretString& operator=(SecretString&& other) noexcept;
  ~SecretString() { Wipe(bytes_); }

  // The bytes, valid until this value changes or dies.
  std::string_view Reveal() const { return bytes_; }

  bool empty() const { return bytes_.empty(); }
  size_t size() const { return bytes_.size(); }

  // Secrets are compared with ConstantTimeEquals (crypto/digest.h).
  bool operator==(const SecretString&) const = delete;

 private:
  std::string bytes_;
};

std::ostream& operator<<(std::ostream&, const SecretString&) = delete;

}  // namespace latchkey

#endif  // LATCHKEY_CORE_SECRET_STRING_H_
