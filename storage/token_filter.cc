#include "storage/token_filter.h"

#include <algorithm>

#include "core/node_name.h"

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

}  // namespace latchkey
