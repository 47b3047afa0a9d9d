// What the flags are for which the broker has the names of fields.

#ifndef LATCHKEY_CLIENTS_CTL_FIELD_FLAGS_H_
#define LATCHKEY_CLIENTS_CTL_FIELD_FLAGS_H_

#include <string_view>

#include <absl/status/status.h>

namespace latchkey {

// Of an INVALID_FIELD, what was typed as the field that it names: "--node", or
// in words. Empty for any other status, and for a field that nobody types.
std::string_view FlagOf(const absl::Status& status);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_FIELD_FLAGS_H_
