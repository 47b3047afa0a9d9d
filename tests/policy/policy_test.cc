#include "policy/policy.h"

#include <gmock/gmock.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::ReasonIs;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Pair;

Identity Spiffe(std::string id) {
  return {.name = id, .attributes = {{"spiffe_id", {id}}}};
}

const Identity kAutoscaler = Spiffe("spiffe://example.org/autoscaler");

PolicyRule Workers() {
  return {
      .name = "workers",
      .provisioners = {{{{"spiffe_id", "spiffe://example.org/autoscaler"}}}},
      .node_names = {"worker-*"},
      .groups = {"system:bootstrappers:pool-a"},
      .delivery = {Delivery::kTicket},
      .max_token_lifetime = absl::Minutes(30),
      .max_certificate_lifetime = absl::Hours(24)};
}

PolicyQuestion Ask(std::string node_name) {
  return {.scope = {.node_name = std::move(node_name)}};
}

TEST(PolicyTest, GrantsWhatTheRuleAllowsAndFillsDefaultsIn) {
  const Policy policy({Workers()});

  const auto grant = policy.Decide(kAutoscaler, Ask("worker-1"));
  ASSERT_THAT(grant, IsOk());
  EXPECT_EQ(grant->rule, "workers");
  EXPECT_EQ(grant->lifetime, absl::Minutes(30));
  EXPECT_EQ(grant->scope.max_certificate_lifetime, absl::Hours(24));
}

TEST(PolicyTest, TheDefaultLifetimeIsAnHourAtMost) {
  PolicyRule rule = Workers();
  rule.max_token_lifetime = absl::Hours(48);
  EXPECT_EQ(Policy({rule}).Decide(kAutoscaler, Ask("worker-1"))->lifetime,
            absl::Hours(1));
}

TEST(PolicyTest, DeniesByDefault) {
  EXPECT_THAT(Policy({}).Decide(kAutoscaler, Ask("worker-1")),
              ReasonIs(reason::kPolicyDenied));
  PolicyRule nobody = Workers();
  nobody.provisioners = {IdentityMatcher{}};
  EXPECT_THAT(Policy({nobody}).Decide(kAutoscaler, Ask("worker-1")),
              ReasonIs(reason::kPolicyDenied))
      << "a matcher with nothing set matches nobody";
}

TEST(PolicyTest, NamesTheRuleAndTheFieldThatDenied) {
  const auto with = [](auto change) {
    PolicyQuestion question = Ask("worker-1");
    change(question);
    return question;
  };
  struct Case {
    const char* field;
    PolicyQuestion question;
  };
  const Case cases[] = {
      {"scope.node_name", Ask("control-1")},
      {"scope.node_name", Ask("worker-1.evil")},
      {"delivery", with([](auto& q) { q.delivery = Delivery::kDirect; })},
      {"scope.groups", with([](auto& q) {
         q.scope.groups = {"system:bootstrappers:pool-a",
                           "system:bootstrappers:pool-b"};
       })},
      {"lifetime", with([](auto& q) { q.lifetime = absl::Minutes(31); })},
      {"scope.max_certificate_lifetime", with([](auto& q) {
         q.scope.max_certificate_lifetime = absl::Hours(25);
       })},
      {"scope.allow_node_replacement",
       with([](auto& q) { q.scope.allow_node_replacement = true; })},
  };
  const Policy policy({Workers()});
  for (const Case& c : cases) {
    SCOPED_TRACE(c.field);
    const auto grant = policy.Decide(kAutoscaler, c.question);
    EXPECT_THAT(grant, ReasonIs(reason::kPolicyDenied));
    EXPECT_THAT(MetadataOf(grant.status()), Contains(Pair("field", c.field)));
    EXPECT_THAT(MetadataOf(grant.status()), Contains(Pair("rule", "workers")));
  }
}

TEST(PolicyTest, AStrangerLearnsNoRule) {
  const auto grant =
      Policy({Workers()})
          .Decide(Spiffe("spiffe://example.org/autoscaler2"), Ask("worker-1"));
  EXPECT_THAT(grant, ReasonIs(reason::kPolicyDenied));
  EXPECT_THAT(MetadataOf(grant.status()), IsEmpty());
}

TEST(PolicyTest, AnyRuleThatAllowsAllIsEnough) {
  PolicyRule direct = Workers();
  direct.name = "direct";
  direct.delivery = {Delivery::kDirect};
  PolicyQuestion question = Ask("worker-1");
  question.delivery = Delivery::kDirect;
  const auto grant = Policy({Workers(), direct}).Decide(kAutoscaler, question);
  ASSERT_THAT(grant, IsOk());
  EXPECT_EQ(grant->rule, "direct");

  // But no two rules together: each must allow all of it.
  question.lifetime = absl::Minutes(45);
  PolicyRule longer = Workers();
  longer.max_token_lifetime = absl::Hours(1);
  EXPECT_THAT(Policy({longer, direct}).Decide(kAutoscaler, question),
              ReasonIs(reason::kPolicyDenied));
}

TEST(PolicyTest, MatchersCompareEveryFieldThatIsSet) {
  const Identity identity = {
      .name = "dns:a.example",
      .attributes = {{"dns_name", {"a.example", "b.example"}},
                     {"common_name", {"b"}}}};
  EXPECT_TRUE((IdentityMatcher{{{"dns_name", "b.example"}}}).Matches(identity));
  EXPECT_TRUE(
      (IdentityMatcher{{{"dns_name", "a.example"}, {"common_name", "b"}}})
          .Matches(identity));
  EXPECT_FALSE(
      (IdentityMatcher{{{"dns_name", "a.example"}, {"common_name", "c"}}})
          .Matches(identity));
  EXPECT_FALSE(
      (IdentityMatcher{{{"spiffe_id", "dns:a.example"}}}).Matches(identity));
  EXPECT_FALSE((IdentityMatcher{{{"common_name", ""}}}).Matches(identity));
  EXPECT_FALSE(IdentityMatcher().Matches(identity));
}

TEST(PolicyTest, KnowsWhichRulesFreeze) {
  PolicyRule frozen = Workers();
  frozen.name = "frozen";
  frozen.freeze_on_misuse = true;
  const Policy policy({Workers(), frozen});
  EXPECT_TRUE(policy.FreezesOnMisuse("frozen"));
  EXPECT_FALSE(policy.FreezesOnMisuse("workers"));
  EXPECT_FALSE(policy.FreezesOnMisuse("gone"));
}

}  // namespace
}  // namespace latchkey
