// The flags that select tokens: the same for list, watch and revoke.

#ifndef LATCHKEY_CLIENTS_CTL_FILTER_FLAGS_H_
#define LATCHKEY_CLIENTS_CTL_FILTER_FLAGS_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "latchkey/v1/token.pb.h"

namespace CLI {
class App;
}  // namespace CLI

namespace latchkey {

// As typed.
struct FilterFlags {
  std::vector<std::string> states;
  std::string node;
  std::string provisioner;
  std::vector<std::string> labels;
  std::string expires_before;
  std::string expires_after;
};

// `flags` must outlive the parsing.
void AddFilterFlags(CLI::App& command, FilterFlags& flags);

// kInvalidArgument, naming the flag.
absl::StatusOr<v1::TokenFilter> FilterOf(const FilterFlags& flags,
                                         absl::Time now);

// True if no field is set.
bool IsEmpty(const v1::TokenFilter& filter);

// An RFC 3339 time, or a duration from `now` on. kInvalidArgument, naming
// `flag`.
absl::StatusOr<absl::Time> TimeOfFlag(std::string_view flag,
                                      const std::string& text, absl::Time now);

// "key=value" each, no key twice. kInvalidArgument, naming the label that is
// none.
absl::StatusOr<std::map<std::string, std::string>> LabelsOfFlags(
    const std::vector<std::string>& labels);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_FILTER_FLAGS_H_
