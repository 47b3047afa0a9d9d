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
using ::testing::IsSupersetOf;
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

TEST(PolicyTest, AnObservingRuleGrantsWhatItWouldDenyAndSaysSo) {
  PolicyRule observing = Workers();
  observing.name = "observing";
  observing.mode = PolicyMode::kObserve;
  observing.max_outstanding = 1;
  const Policy policy({observing});
  PolicyQuestion question = Ask("control-1");
  question.scope.groups = {"system:bootstrappers:pool-z"};
  question.lifetime = absl::Hours(48);

  const auto grant = policy.Decide(kAutoscaler, question);
  ASSERT_THAT(grant, IsOk());
  EXPECT_EQ(grant->rule, "observing");
  EXPECT_EQ(grant->scope.node_name, "control-1");
  EXPECT_EQ(grant->scope.groups, question.scope.groups);
  EXPECT_EQ(grant->lifetime, absl::Hours(48));
  EXPECT_EQ(grant->max_outstanding, std::nullopt) << "it blocks nothing";
  EXPECT_THAT(grant->observed, ReasonIs(reason::kPolicyDenied));
  EXPECT_THAT(
      MetadataOf(grant->observed),
      IsSupersetOf({Pair("rule", "observing"), Pair("field", "scope.node_name"),
                    Pair("limit", "worker-*")}));
  EXPECT_EQ(policy.LifetimeUnder("observing"),
            (PolicyLifetime{.most = observing.max_token_lifetime,
                            .mode = PolicyMode::kObserve}));

  // What it allows is granted without a word, and with its defaults.
  const auto allowed = policy.Decide(kAutoscaler, Ask("worker-1"));
  ASSERT_THAT(allowed, IsOk());
  EXPECT_THAT(allowed->observed, IsOk());
  EXPECT_EQ(allowed->lifetime, absl::Minutes(30));
  EXPECT_EQ(allowed->max_outstanding, 1);
  EXPECT_EQ(allowed->mode, PolicyMode::kObserve);
}

TEST(PolicyTest, AnObservingRuleIsForItsOwnProvisionersOnly) {
  PolicyRule observing = Workers();
  observing.mode = PolicyMode::kObserve;
  EXPECT_THAT(Policy({observing})
                  .Decide(Spiffe("spiffe://example.org/x"), Ask("worker-1")),
              ReasonIs(reason::kPolicyDenied));
}

TEST(PolicyTest, AnEnforcedRuleThatAllowsGoesBeforeAnObservingOne) {
  PolicyRule observing = Workers();
  observing.name = "observing";
  observing.mode = PolicyMode::kObserve;
  PolicyRule control = Workers();
  control.name = "control";
  control.node_names = {"control-*"};
  control.max_outstanding = 3;
  const Policy policy({observing, control});

  const auto grant = policy.Decide(kAutoscaler, Ask("control-1"));
  ASSERT_THAT(grant, IsOk());
  EXPECT_EQ(grant->rule, "control");
  EXPECT_EQ(grant->max_outstanding, 3);
  EXPECT_THAT(grant->observed, IsOk());

  // The refusal observed is the one that there would be: of the nearest rule.
  PolicyQuestion direct = Ask("control-1");
  direct.delivery = Delivery::kDirect;
  const auto observed = policy.Decide(kAutoscaler, direct);
  ASSERT_THAT(observed, IsOk());
  EXPECT_EQ(observed->rule, "observing");
  EXPECT_THAT(MetadataOf(observed->observed),
              Contains(Pair("rule", "control")));
}

TEST(PolicyTest, TheRateIsTheWidestOfAllRules) {
  PolicyRule slow = Workers();
  slow.rate = RateLimit{.per_minute = 10, .burst = 50};
  PolicyRule fast = Workers();
  fast.rate = RateLimit{.per_minute = 60, .burst = 5};
  EXPECT_EQ(Policy({slow, fast}).RateOf(kAutoscaler),
            (PolicyRate{.limit = {.per_minute = 60, .burst = 50}}));
  EXPECT_EQ(Policy({slow, Workers()}).RateOf(kAutoscaler), std::nullopt);
  EXPECT_EQ(Policy({slow}).RateOf(Spiffe("spiffe://example.org/x")),
            std::nullopt);
  PolicyRule observing = slow;
  observing.mode = PolicyMode::kObserve;
  EXPECT_EQ(Policy({fast, observing}).RateOf(kAutoscaler),
            (PolicyRate{.limit = {.per_minute = 60, .burst = 50},
                        .mode = PolicyMode::kObserve}));
}

TEST(PolicyTest, TheReachIsTheWidestOfAllRules) {
  PolicyRule all = Workers();
  all.manage = Reach::kAll;
  EXPECT_EQ(Policy({Workers()}).ReachOf(kAutoscaler), Reach::kOwn);
  EXPECT_EQ(Policy({Workers(), all}).ReachOf(kAutoscaler), Reach::kAll);
  EXPECT_EQ(Policy({all}).ReachOf(Spiffe("spiffe://example.org/x")),
            Reach::kNone);
}

TEST(PolicyTest, AMachinesOwnNameIsMadeOfOneValidValue) {
  const NodeNameFrom pool{.attribute = "id", .prefix = "vm-", .suffix = ".e"};
  const NodeNameFrom whole{.attribute = "id"};
  const auto with = [](std::vector<std::string> values) {
    return Identity{.name = "x", .attributes = {{"id", std::move(values)}}};
  };
  EXPECT_EQ(pool.NameFor(with({"a1"})), "vm-a1.e");
  EXPECT_EQ(whole.NameFor(with({"a1.pool.example"})), "a1.pool.example");
  EXPECT_EQ(pool.NameFor({.name = "x"}), std::nullopt);
  EXPECT_EQ(pool.NameFor(with({"a", "b"})), std::nullopt);
  for (const std::string value :
       {"a.b", ".", "a.evil", "*", "A", "a_b", "../a", "a/b", "a\nb", "a b",
        "'a'", "{a}", "${id}", "\xd0\xb0", "a-", "-"}) {
    SCOPED_TRACE(value);
    EXPECT_EQ(pool.NameFor(with({value})), std::nullopt);
  }
}

TEST(PolicyTest, AMachinesOwnNameHasItsLength) {
  const NodeNameFrom pool{.attribute = "id", .prefix = "vm-", .suffix = ".e"};
  const auto with = [](size_t length) {
    return Identity{.name = "x",
                    .attributes = {{"id", {std::string(length, 'a')}}}};
  };
  EXPECT_NE(pool.NameFor(with(248)), std::nullopt);
  EXPECT_EQ(pool.NameFor(with(249)), std::nullopt) << "254 characters";
}

TEST(PolicyTest, ALongListOfLimitsIsCutShort) {
  PolicyRule rule = Workers();
  rule.node_names.assign(1000, "worker-*.pool.example");
  const auto grant = Policy({rule}).Decide(kAutoscaler, Ask("x"));
  const std::string limit = MetadataOf(grant.status())["limit"];
  EXPECT_LT(limit.size(), 512U);
  EXPECT_THAT(limit, testing::EndsWith(" more"));
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
