#include "policy/rule_index.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "policy/policy.h"

namespace latchkey {
namespace {

bool IsExact(const ValueMatcher& matcher) {
  return matcher.form() == ValueMatcher::Form::kEquals ||
         matcher.form() == ValueMatcher::Form::kOneOf;
}

// What a matcher is filed under: its values, or the head of a prefix or glob.
std::vector<std::string> KeysOf(const ValueMatcher& matcher) {
  if (IsExact(matcher)) return matcher.texts();
  if (matcher.texts().front().empty()) return {};
  return {matcher.texts().front()};
}

using Key = std::pair<std::string, std::string>;
using Counts = std::map<Key, size_t>;

Counts CountKeys(const std::vector<PolicyRule>& rules) {
  Counts counts;
  for (const PolicyRule& rule : rules) {
    for (const IdentityMatcher& matcher : rule.provisioners) {
      for (const auto& [attribute, value] : matcher.attributes) {
        for (std::string& key : KeysOf(value)) {
          ++counts[{attribute, std::move(key)}];
        }
      }
    }
  }
  return counts;
}

// The attribute whose keys the fewest share; null if none can be filed.
const std::pair<const std::string, ValueMatcher>* MostTelling(
    const IdentityMatcher& matcher, const Counts& counts) {
  const std::pair<const std::string, ValueMatcher>* best = nullptr;
  size_t best_shared = std::numeric_limits<size_t>::max();
  for (const auto& condition : matcher.attributes) {
    const std::vector<std::string> keys = KeysOf(condition.second);
    if (keys.empty()) continue;
    size_t shared = 0;
    for (const std::string& key : keys) {
      shared = std::max(shared, counts.at({condition.first, key}));
    }
    // Half a step behind: a head tells less than a value.
    shared = 2 * shared + (IsExact(condition.second) ? 0 : 1);
    if (shared < best_shared) {
      best = &condition;
      best_shared = shared;
    }
  }
  return best;
}

}  // namespace

RuleIndex::RuleIndex(const std::vector<PolicyRule>& rules) {
  const Counts counts = CountKeys(rules);
  for (uint32_t place = 0; place < rules.size(); ++place) {
    for (const IdentityMatcher& matcher : rules[place].provisioners) {
      const auto* condition = MostTelling(matcher, counts);
      if (condition == nullptr) {
        // Without an attribute it matches nobody.
        if (!matcher.attributes.empty()) always_.push_back(place);
        continue;
      }
      ByAttribute& filed = by_attribute_[condition->first];
      Places& places =
          IsExact(condition->second) ? filed.by_value : filed.by_head;
      for (std::string& key : KeysOf(condition->second)) {
        places[std::move(key)].push_back(place);
      }
    }
  }
  for (auto& [attribute, filed] : by_attribute_) {
    std::set<size_t> lengths;
    for (const auto& [head, places] : filed.by_head) {
      lengths.insert(head.size());
    }
    filed.head_lengths.assign(lengths.begin(), lengths.end());
  }
}

std::vector<uint32_t> RuleIndex::CandidatesFor(const Identity& identity) const {
  std::vector<uint32_t> found = always_;
  const auto add = [&found](const Places& places, std::string_view key) {
    if (const auto it = places.find(key); it != places.end()) {
      found.insert(found.end(), it->second.begin(), it->second.end());
    }
  };
  for (const auto& [attribute, values] : identity.attributes) {
    const auto filed = by_attribute_.find(attribute);
    if (filed == by_attribute_.end()) continue;
    for (const std::string& value : values) {
      add(filed->second.by_value, value);
      for (const size_t length : filed->second.head_lengths) {
        if (length > value.size()) break;
        add(filed->second.by_head, std::string_view(value).substr(0, length));
      }
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace latchkey
