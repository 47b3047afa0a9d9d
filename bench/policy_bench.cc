// What a policy of 1,000 rules takes to decide. Needs no control plane.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "bench/benches.h"
#include "crypto/digest.h"
#include "policy/policy.h"

namespace latchkey_bench {
namespace {

using latchkey::Identity;
using latchkey::Policy;
using latchkey::PolicyRule;
using latchkey::ValueMatcher;

constexpr int kRules = 1000;
constexpr int kRounds = 7;
// As the issue has it.
constexpr double kGoalMicroseconds = 5;

// What a bench decides, over and over.
struct Case {
  std::string name;
  Policy policy;
  std::vector<Identity> identities;
  bool allowed = true;
};

std::string SpiffeId(int i) {
  return fmt::format("spiffe://example.org/ns/team-{}/sa/provisioner", i);
}

Identity WithSpiffeId(std::string id) {
  Identity identity;
  identity.name = id;
  identity.attributes["spiffe_id"] = {std::move(id)};
  return identity;
}

PolicyRule RuleFor(int i, ValueMatcher matcher) {
  PolicyRule rule;
  rule.name = fmt::format("rule-{}", i);
  rule.provisioners = {{{{"spiffe_id", std::move(matcher)}}}};
  rule.node_names = {fmt::format("other-{}-*", i), "worker-*"};
  rule.max_certificate_lifetime = absl::Hours(24);
  return rule;
}

// Each form of matcher in turn, for the same identities as SpiffeId().
ValueMatcher MatcherInTurn(int i) {
  switch (i % 4) {
    case 0:
      return ValueMatcher::OneOf({SpiffeId(i), SpiffeId(i) + "-2"}).value();
    case 1:
      return ValueMatcher::Prefix(
                 fmt::format("spiffe://example.org/ns/team-{}/", i))
          .value();
    case 2:
      return ValueMatcher::Glob(
                 fmt::format("spiffe://example.org/ns/team-{}/sa/*", i))
          .value();
    default:
      return SpiffeId(i);
  }
}

std::vector<Case> Cases() {
  std::vector<PolicyRule> equals;
  std::vector<PolicyRule> mixed;
  std::vector<Identity> known;
  std::vector<Identity> strangers;
  for (int i = 0; i < kRules; ++i) {
    equals.push_back(RuleFor(i, SpiffeId(i)));
    mixed.push_back(RuleFor(i, MatcherInTurn(i)));
    known.push_back(WithSpiffeId(SpiffeId(i)));
    strangers.push_back(WithSpiffeId(SpiffeId(i + kRules)));
  }
  std::vector<Case> cases;
  cases.push_back({"equals", Policy(equals), known});
  cases.push_back({"every kind of matcher", Policy(mixed), known});
  cases.push_back({"a stranger", Policy(std::move(mixed)), strangers, false});
  return cases;
}

// The mean time of one of `count` calls, in microseconds.
template <typename Call>
double Time(int count, const Call& call) {
  const absl::Time start = absl::Now();
  for (int i = 0; i < count; ++i) call(i);
  return absl::ToDoubleMicroseconds(absl::Now() - start) / count;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Both ways in turn. The error of an answer that is not the one expected: a
// policy that decides wrongly may be fast.
absl::Status Measure(const Case& c, int count, Report& report) {
  latchkey::PolicyQuestion question;
  question.scope.node_name = "worker-1";
  const size_t size = c.identities.size();
  std::vector<double> decisions;
  std::vector<double> digests;
  Figure ratio{.name = fmt::format("policy: {}, beside a SHA-256", c.name),
               .unit = "us"};
  int wrong = 0;
  size_t bytes = 0;
  for (int round = 0; round < kRounds; ++round) {
    decisions.push_back(Time(count, [&](int i) {
      const Identity& identity = c.identities[static_cast<size_t>(i) % size];
      if (c.policy.Decide(identity, question).ok() != c.allowed) ++wrong;
    }));
    digests.push_back(Time(count, [&](int i) {
      bytes +=
          latchkey::Sha256(c.identities[static_cast<size_t>(i) % size].name)
              .size();
    }));
    ratio.round_ratios.push_back(decisions.back() / digests.back());
  }
  if (wrong > 0 || bytes == 0) {
    return absl::InternalError("policy: a wrong decision");
  }
  ratio.measured = Median(decisions);
  ratio.baseline = Median(digests);
  report.Add({.name = fmt::format("policy: {}, 1,000 rules", c.name),
              .unit = "us",
              .measured = ratio.measured,
              .goal = Goal{Better::kLess, kGoalMicroseconds}});
  report.Add(std::move(ratio));
  return absl::OkStatus();
}

}  // namespace

absl::Status BenchPolicy(Effort effort, Report& report) {
  Say("policy: deciding");
  const int count = effort == Effort::kQuick ? 2'000 : 100'000;
  for (const Case& c : Cases()) {
    if (absl::Status status = Measure(c, count, report); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace latchkey_bench
