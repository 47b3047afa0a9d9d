// Finds, among many policy rules, the few that can be for an identity.

#ifndef LATCHKEY_POLICY_RULE_INDEX_H_
#define LATCHKEY_POLICY_RULE_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/identity.h"

namespace latchkey {

struct PolicyRule;

// Immutable, safe for concurrent use. Each matcher of a rule is filed under one
// of its attributes, the one that tells most: by the values that it wants, or
// by the text that they begin with. What begins with a star is looked at every
// time.
class RuleIndex {
 public:
  explicit RuleIndex(const std::vector<PolicyRule>& rules);

  // The places, in ascending order and once each, of all rules that are for
  // `identity`, and perhaps of some that are not.
  std::vector<uint32_t> CandidatesFor(const Identity& identity) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  using Places = std::unordered_map<std::string, std::vector<uint32_t>, Hash,
                                    std::equal_to<>>;
  struct ByAttribute {
    Places by_value;
    Places by_head;
    // The lengths of the heads, each once.
    std::vector<size_t> head_lengths;
  };

  std::map<std::string, ByAttribute, std::less<>> by_attribute_;
  std::vector<uint32_t> always_;
};

}  // namespace latchkey

#endif  // LATCHKEY_POLICY_RULE_INDEX_H_
