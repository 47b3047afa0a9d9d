#include "storage/token_filter.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/node_name.h"
#include "core/text_time.h"

namespace latchkey {

bool TokenFilter::Matches(const TokenRecord& record) const {
  const auto has_label = [&](const auto& wanted) {
    const auto label = record.labels.find(wanted.first);
    return label != record.labels.end() && label->second == wanted.second;
  };
  return (provisioner.empty() || record.provisioner == provisioner) &&
         (states.empty() || std::find(states.begin(), states.end(),
                                      record.state) != states.end()) &&
         std::all_of(labels.begin(), labels.end(), has_label) &&
         (node_name.empty() ||
          MatchesNodeNamePattern(node_name, record.scope.node_name)) &&
         (!expires_before.has_value() ||
          record.expire_time < *expires_before) &&
         (!expires_after.has_value() || record.expire_time >= *expires_after);
}

std::string FormatFilter(const TokenFilter& filter) {
  std::vector<std::string> parts;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) parts.push_back(fmt::format("{}={}", name, value));
  };
  const auto time = [](const std::optional<absl::Time>& when) {
    return when.has_value() ? FormatRfc3339(*when) : "";
  };
  std::vector<std::string_view> states;
  for (const TokenState state : filter.states) {
    states.push_back(TokenStateName(state));
  }
  add("provisioner", filter.provisioner);
  add("state", fmt::format("{}", fmt::join(states, ",")));
  add("labels", FormatLabels(filter.labels));
  add("node", filter.node_name);
  add("expires_before", time(filter.expires_before));
  add("expires_after", time(filter.expires_after));
  return parts.empty() ? "all" : fmt::format("{}", fmt::join(parts, " "));
}

}  // namespace latchkey
