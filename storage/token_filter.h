// Which tokens are meant, where not one is named.

#ifndef LATCHKEY_STORAGE_TOKEN_FILTER_H_
#define LATCHKEY_STORAGE_TOKEN_FILTER_H_

#include <optional>
#include <string>
#include <vector>

#include <absl/time/time.h>

#include "storage/token_record.h"

namespace latchkey {

// Selects the records that fit every field that is set; without any, all.
struct TokenFilter {
  // The exact name of the issuing identity; empty: everybody's.
  std::string provisioner;
  // Any of these; empty: every state.
  std::vector<TokenState> states;
  // With these values. Valid by ValidateLabels (core/token_labels.h).
  TokenLabels labels;
  // A pattern of core/node_name.h; empty: every name.
  std::string node_name;
  // expire_time before, and not before, this instant.
  std::optional<absl::Time> expires_before;
  std::optional<absl::Time> expires_after;

  bool operator==(const TokenFilter&) const = default;

  bool Matches(const TokenRecord& record) const;
};

// "node=gpu-* state=issued,claimed": what is asked for, for people; "all" of a
// filter that asks for nothing.
std::string FormatFilter(const TokenFilter& filter);

}  // namespace latchkey

#endif  // LATCHKEY_STORAGE_TOKEN_FILTER_H_
