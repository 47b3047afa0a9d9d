#include "devcluster/bootstrap_secret.h"

#include "core/text_time.h"

namespace latchkey {

std::string_view BootstrapValueOf(const kubernetes::Secret& secret,
                                  const char* key) {
  const auto found = secret.data().find(key);
  return found == secret.data().end() ? std::string_view() : found->second;
}

absl::Time TokenExpirationOf(const kubernetes::Secret& secret) {
  const std::string_view text = BootstrapValueOf(secret, "expiration");
  if (text.empty()) return absl::InfiniteFuture();
  return ParseRfc3339(text).value_or(absl::InfinitePast());
}

}  // namespace latchkey
