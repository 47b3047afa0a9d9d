#include "policy/rule_index.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "policy/policy.h"

namespace latchkey {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Few attributes and few letters, so that much matches.
class RandomPolicies {
 public:
  explicit RandomPolicies(unsigned seed) : random_(seed) {}

  size_t Below(size_t limit) {
    return std::uniform_int_distribution<size_t>(0, limit - 1)(random_);
  }
  std::string Word() {
    std::string word;
    for (size_t i = 0; i <= Below(3); ++i) word += "ab/"[Below(3)];
    return word;
  }
  std::string Attribute() { return std::string(1, "xyz"[Below(3)]); }
  ValueMatcher Value() {
    switch (Below(4)) {
      case 0:
        return ValueMatcher::Prefix(Word()).value();
      case 1:
        return ValueMatcher::OneOf({Word(), Word()}).value();
      case 2:
        return ValueMatcher::Glob(Below(2) == 0 ? Word() + "*" : "*" + Word())
            .value();
      default:
        return Word();
    }
  }
  std::vector<PolicyRule> Rules() {
    std::vector<PolicyRule> rules(1 + Below(30));
    for (PolicyRule& rule : rules) {
      rule.provisioners.resize(Below(3));
      for (IdentityMatcher& matcher : rule.provisioners) {
        for (size_t i = Below(3); i > 0; --i) {
          matcher.attributes.emplace(Attribute(), Value());
        }
      }
    }
    return rules;
  }
  Identity Someone() {
    Identity identity;
    for (size_t i = Below(4); i > 0; --i) {
      identity.attributes[Attribute()].push_back(Word());
    }
    return identity;
  }

 private:
  std::mt19937 random_;
};

bool IsFor(const PolicyRule& rule, const Identity& identity) {
  return std::any_of(rule.provisioners.begin(), rule.provisioners.end(),
                     [&](const auto& one) { return one.Matches(identity); });
}

TEST(RuleIndexTest, MissesNoRuleAndKeepsTheOrder) {
  size_t found = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    RandomPolicies random(seed);
    const std::vector<PolicyRule> rules = random.Rules();
    const RuleIndex index(rules);
    for (int i = 0; i < 30; ++i) {
      const Identity identity = random.Someone();
      const std::vector<uint32_t> places = index.CandidatesFor(identity);
      EXPECT_EQ(std::adjacent_find(places.begin(), places.end(),
                                   std::greater_equal<>()),
                places.end())
          << "ascending, and once each";
      for (uint32_t place = 0; place < rules.size(); ++place) {
        if (!IsFor(rules[place], identity)) continue;
        ++found;
        ASSERT_TRUE(std::binary_search(places.begin(), places.end(), place));
      }
    }
  }
  EXPECT_GT(found, 1000U) << "the policies are for somebody";
}

TEST(RuleIndexTest, LooksAtNoRuleOfSomebodyElse) {
  const auto rule = [](IdentityMatcher matcher) {
    return PolicyRule{.name = "r", .provisioners = {std::move(matcher)}};
  };
  const std::vector<PolicyRule> rules = {
      // Filed under the name: all share the namespace.
      rule({{{"namespace", "ci"}, {"service_account", "ci/a"}}}),
      rule({{{"namespace", "ci"}, {"service_account", "ci/b"}}}),
      rule({{{"spiffe_id", ValueMatcher::Prefix("spiffe://e/a/").value()}}}),
      rule({{{"spiffe_id", ValueMatcher::Glob("spiffe://e/b/*").value()}}}),
      rule({{{"dns_name", ValueMatcher::Glob("*.e").value()}}}),
      rule({}),
  };
  const RuleIndex index(rules);
  const auto of = [&](std::string attribute, std::string value) {
    return index.CandidatesFor(
        {.attributes = {{"namespace", {"ci"}},
                        {std::move(attribute), {std::move(value)}}}});
  };
  EXPECT_THAT(of("service_account", "ci/b"), ElementsAre(1, 4));
  EXPECT_THAT(of("spiffe_id", "spiffe://e/a/x"), ElementsAre(2, 4));
  EXPECT_THAT(of("spiffe_id", "spiffe://e/b/x"), ElementsAre(3, 4));
  EXPECT_THAT(of("common_name", "x"), ElementsAre(4));
  EXPECT_THAT(RuleIndex({}).CandidatesFor({}), IsEmpty());
}

}  // namespace
}  // namespace latchkey
