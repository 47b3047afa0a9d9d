#include "devcluster/token_cleaner.h"

#include "devcluster/bootstrap_secret.h"

namespace latchkey {

void TokenCleaner::Note(const kubernetes::Secret& secret) {
  const absl::Time expiration = TokenExpirationOf(secret);
  if (expiration == absl::InfiniteFuture()) return;
  expirations_.emplace(expiration, secret.metadata().name());
}

std::set<std::string> TokenCleaner::TakeDue(absl::Time now) {
  std::set<std::string> due;
  while (!expirations_.empty() && expirations_.begin()->first <= now) {
    due.insert(expirations_.begin()->second);
    expirations_.erase(expirations_.begin());
  }
  return due;
}

absl::Time TokenCleaner::NextDue() const {
  return expirations_.empty() ? absl::InfiniteFuture()
                              : expirations_.begin()->first;
}

absl::Status TokenCleaner::Handle(const kubernetes::Secret& secret,
                                  absl::Time now) {
  if (TokenExpirationOf(secret) > now) return absl::OkStatus();
  return client_.Delete<kubernetes::Secret>(
      {secret.metadata().namespace_(), secret.metadata().name()},
      {.uid = secret.metadata().uid()});
}

}  // namespace latchkey
