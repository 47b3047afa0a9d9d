// One policy, and what it answers: twenty decisions that allow and more than
// forty that deny, each with the rule, the field and the limit that it names.

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "policy/policy.h"
#include "policy/policy_file.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::ReasonIs;

constexpr char kPolicy[] = R"(
policy:
  - name: workers
    provisioners:
      - spiffe_id: spiffe://example.org/autoscaler
      - dns_name: ci.example.org
        common_name: ci
    allow:
      node_names: ["worker-*", "gpu-*.pool.example"]
      groups: [system:bootstrappers:pool-a, system:bootstrappers:pool-b]
      max_token_lifetime: 30m
      max_certificate_lifetime: 24h
  - name: teams
    provisioners:
      - spiffe_id: {prefix: "spiffe://example.org/teams/"}
    allow:
      node_names: ["team-*"]
      delivery: [ticket, direct]
      labels: {team: [red, blue], cost-center: []}
  - name: runners
    provisioners:
      - kind: service_account
        namespace: {one_of: [ci, build]}
        service_account: {glob: "*/runner-*"}
    allow:
      node_names: ["runner-*"]
      node_replacement: true
  - name: themselves
    provisioners:
      - kind: jwt
        issuer: cloud
        instance_id: {glob: "i-*"}
    allow:
      node_name_from: {attribute: instance_id, suffix: .pool.example}
  - name: admins
    provisioners:
      - kind: service_account
        group: {equals: "ops:admins"}
    allow:
      node_names: ["*", "*.pool.example"]
      max_token_lifetime: 168h
)";

Policy ThePolicy() {
  const auto file = ParsePolicyFile("policy.yaml", kPolicy, {});
  EXPECT_THAT(file, IsOk());
  return Policy(file.ok() ? file->rules : std::vector<PolicyRule>());
}

Identity Certificate(const std::string& attribute, const std::string& value) {
  return {.name = value,
          .kind = IdentityKind::kCertificate,
          .attributes = {{attribute, {value}}}};
}

Identity Spiffe(const std::string& id) { return Certificate("spiffe_id", id); }

Identity Ci() {
  Identity identity = Certificate("dns_name", "ci.example.org");
  identity.attributes["dns_name"].insert(
      identity.attributes["dns_name"].begin(), "other.example.org");
  identity.attributes["common_name"] = {"ci"};
  return identity;
}

Identity Account(const std::string& name_space, const std::string& name,
                 std::vector<std::string> groups = {}) {
  Identity identity = {
      .name = "sa:" + name_space + "/" + name,
      .kind = IdentityKind::kServiceAccount,
      .attributes = {{"service_account", {name_space + "/" + name}},
                     {"namespace", {name_space}}}};
  if (!groups.empty()) identity.attributes["group"] = std::move(groups);
  return identity;
}

Identity Jwt(const std::string& issuer, std::vector<std::string> instance_ids) {
  Identity identity = {
      .name = "jwt:" + issuer + ":x",
      .kind = IdentityKind::kJwt,
      .attributes = {{"issuer", {issuer}}, {"subject", {"x"}}}};
  if (!instance_ids.empty()) {
    identity.attributes["instance_id"] = std::move(instance_ids);
  }
  return identity;
}

// A question, in the order in which the cases below vary it.
struct Asked {
  std::string node_name;
  Delivery delivery = Delivery::kTicket;
  std::vector<std::string> groups = {};
  std::optional<absl::Duration> lifetime = {};
  std::optional<absl::Duration> certificate = {};
  bool replacement = false;
  TokenLabels labels = {};

  PolicyQuestion Question() const {
    return {.scope = {.node_name = node_name,
                      .groups = groups,
                      .max_certificate_lifetime = certificate,
                      .allow_node_replacement = replacement},
            .delivery = delivery,
            .lifetime = lifetime,
            .labels = labels};
  }
};

const Identity kAutoscaler = Spiffe("spiffe://example.org/autoscaler");
const Identity kRedTeam = Spiffe("spiffe://example.org/teams/red");
const Identity kRunner = Account("ci", "runner-7");
const Identity kMachine = Jwt("cloud", {"i-0abc"});
const Identity kAdmin =
    Account("ops", "anna", {"system:authenticated", "ops:admins"});
const TokenLabels kRed = {{"team", "red"}, {"cost-center", "42"}};
constexpr char kPoolA[] = "system:bootstrappers:pool-a";
constexpr char kPoolB[] = "system:bootstrappers:pool-b";
constexpr char kPoolC[] = "system:bootstrappers:pool-c";

TEST(PolicyDecisionsTest, AllowsWhatARuleAllows) {
  struct Allowed {
    const char* name;
    Identity identity;
    Asked asked;
    std::string rule;
  };
  const Allowed cases[] = {
      {"a worker", kAutoscaler, {"worker-1"}, "workers"},
      {"the star may be empty", kAutoscaler, {"worker-"}, "workers"},
      {"a pattern with a domain",
       kAutoscaler,
       {"gpu-1.pool.example"},
       "workers"},
      {"one of the groups",
       kAutoscaler,
       {.node_name = "worker-1", .groups = {kPoolB}},
       "workers"},
      {"all of the groups, in any order",
       kAutoscaler,
       {.node_name = "worker-1", .groups = {kPoolB, kPoolA}},
       "workers"},
      {"the longest lifetime",
       kAutoscaler,
       {.node_name = "worker-1", .lifetime = absl::Minutes(30)},
       "workers"},
      {"the longest certificate",
       kAutoscaler,
       {.node_name = "worker-1", .certificate = absl::Hours(24)},
       "workers"},
      {"labels that nobody asked for",
       kAutoscaler,
       {.node_name = "worker-1", .labels = kRed},
       "workers"},
      {"two attributes, one with two values", Ci(), {"worker-1"}, "workers"},
      {"a prefix", kRedTeam, {.node_name = "team-1", .labels = kRed}, "teams"},
      {"a prefix, deeper",
       Spiffe("spiffe://example.org/teams/a/b"),
       {.node_name = "team-1", .labels = kRed},
       "teams"},
      {"the other value of a label",
       kRedTeam,
       {.node_name = "team-1",
        .labels = {{"team", "blue"}, {"cost-center", ""}}},
       "teams"},
      {"direct delivery",
       kRedTeam,
       {.node_name = "team-1", .delivery = Delivery::kDirect, .labels = kRed},
       "teams"},
      {"one of and a glob", kRunner, {"runner-1"}, "runners"},
      {"the other one", Account("build", "runner-"), {"runner-1"}, "runners"},
      {"a node that exists",
       kRunner,
       {.node_name = "runner-1", .replacement = true},
       "runners"},
      {"a machine for itself", kMachine, {"i-0abc.pool.example"}, "themselves"},
      {"the second of two groups", kAdmin, {"anything"}, "admins"},
      {"a week",
       kAdmin,
       {.node_name = "x", .lifetime = absl::Hours(168)},
       "admins"},
      {"the second rule for an identity",
       Account("ci", "runner-7", {"ops:admins"}),
       {"other.pool.example"},
       "admins"},
  };
  const Policy policy = ThePolicy();
  EXPECT_EQ(std::size(cases), 20U);
  for (const Allowed& c : cases) {
    SCOPED_TRACE(c.name);
    const auto grant = policy.Decide(c.identity, c.asked.Question());
    ASSERT_THAT(grant, IsOk());
    EXPECT_EQ(grant->rule, c.rule);
    EXPECT_THAT(grant->observed, IsOk());
    EXPECT_EQ(grant->scope.node_name, c.asked.node_name);
    EXPECT_EQ(grant->scope.groups, c.asked.groups);
  }
}

struct Denied {
  const char* name;
  Identity identity;
  Asked asked;
  // As in the metadata; all empty: no rule is for the identity.
  std::string rule;
  std::string field;
  std::string limit;
};

void ExpectDenied(const std::vector<Denied>& cases) {
  const Policy policy = ThePolicy();
  for (const Denied& c : cases) {
    SCOPED_TRACE(c.name);
    const auto grant = policy.Decide(c.identity, c.asked.Question());
    EXPECT_THAT(grant, ReasonIs(reason::kPolicyDenied));
    EXPECT_THAT(grant.status(), latchkey_testing::StatusIs(
                                    absl::StatusCode::kPermissionDenied));
    RefusalMetadata want;
    if (!c.rule.empty()) want = {{"rule", c.rule}, {"field", c.field}};
    if (!c.limit.empty()) want.emplace("limit", c.limit);
    EXPECT_EQ(MetadataOf(grant.status()), want);
  }
}

TEST(PolicyDecisionsTest, DeniesWhoeverNoRuleIsFor) {
  const Asked worker = {"worker-1"};
  const Asked runner = {"runner-1"};
  std::vector<Denied> cases = {
      {"nobody", {.name = "x"}, worker},
      {"a longer name", Spiffe("spiffe://example.org/autoscaler2"), worker},
      {"a shorter name", Spiffe("spiffe://example.org/autoscale"), worker},
      {"another case", Spiffe("spiffe://example.org/Autoscaler"), worker},
      {"the name as another attribute",
       Certificate("common_name", "spiffe://example.org/autoscaler"), worker},
      {"a trust domain that begins like ours",
       Spiffe("spiffe://example.org.evil/teams/red"), worker},
      {"only one of two attributes", Certificate("common_name", "ci"), worker},
      {"the prefix without what follows", Spiffe("spiffe://example.org/teams"),
       worker},
      {"another namespace", Account("evil", "runner-7"), runner},
      {"a namespace that begins like ours", Account("ci2", "runner-7"), runner},
      {"a name that does not fit the glob", Account("ci", "walker"), runner},
      {"a slash under the star", Account("ci", "x/runner-7"), runner},
      {"a dot under the star", Account("ci", "runner-7.evil"), runner},
      {"the attributes of another kind",
       {.name = "x",
        .kind = IdentityKind::kJwt,
        .attributes = {{"service_account", {"ci/runner-7"}},
                       {"namespace", {"ci"}}}},
       runner},
      {"another issuer", Jwt("evil", {"i-0abc"}), {"i-0abc.pool.example"}},
      {"no claim", Jwt("cloud", {}), {"i-0abc.pool.example"}},
      {"a group that begins like ours",
       Account("ops", "b", {"ops:admins2"}),
       {"x"}},
  };
  // What an identity says is never a pattern, nor anything but bytes.
  for (const char* id :
       {"spiffe://example.org/*", "*", "spiffe://example.org/autoscaler*",
        "spiffe://example.org/autoscaler\n", "spiffe://example.org/autoscaler ",
        "'spiffe://example.org/autoscaler'", "{prefix: spiffe://example.org/}",
        "spiffe://example.org/./autoscaler",
        "spiffe://example.org/%61utoscaler",
        // The first letter is Cyrillic.
        "spiffe://example.org/\xd0\xb0utoscaler", "${spiffe_id}", ""}) {
    cases.push_back({id, Spiffe(id), worker});
  }
  cases.push_back({"a NUL",
                   Spiffe(std::string("spiffe://example.org/autoscaler\0", 32)),
                   worker});
  cases.push_back({"very long", Spiffe(std::string(100'000, '*')), worker});
  ExpectDenied(cases);
}

TEST(PolicyDecisionsTest, NamesTheRuleTheFieldAndTheLimit) {
  const std::string names = "worker-*, gpu-*.pool.example";
  const std::string field = "scope.node_name";
  const auto with = [](Asked asked, auto change) {
    change(asked);
    return asked;
  };
  const Asked worker = {"worker-1"};
  const Asked team = {.node_name = "team-1", .labels = kRed};
  ExpectDenied({
      {"another name", kAutoscaler, {"control-1"}, "workers", field, names},
      {"a dot under the star",
       kAutoscaler,
       {"worker-1.evil.example"},
       "workers",
       field,
       names},
      {"the domain alone",
       kAutoscaler,
       {"pool.example"},
       "workers",
       field,
       names},
      {"another domain",
       kAutoscaler,
       {"gpu-1.pool.example.evil"},
       "workers",
       field,
       names},
      {"a prefix of the name",
       kAutoscaler,
       {"xworker-1"},
       "workers",
       field,
       names},
      {"the pattern of another's rule",
       kAutoscaler,
       {"team-1"},
       "workers",
       field,
       names},
      {"direct", kAutoscaler,
       with(worker, [](auto& a) { a.delivery = Delivery::kDirect; }), "workers",
       "delivery", "ticket"},
      {"another group", kAutoscaler,
       with(worker, [](auto& a) { a.groups = {kPoolC}; }), "workers",
       "scope.groups", std::string(kPoolA) + ", " + kPoolB},
      {"one group too many", kAutoscaler,
       with(worker,
            [](auto& a) {
              a.groups = {kPoolA, kPoolC};
            }),
       "workers", "scope.groups", std::string(kPoolA) + ", " + kPoolB},
      {"any group",
       kRunner,
       {.node_name = "runner-1", .groups = {kPoolA}},
       "runners",
       "scope.groups",
       ""},
      {"a second too long", kAutoscaler,
       with(worker, [](auto& a) { a.lifetime = absl::Seconds(1801); }),
       "workers", "lifetime", "30m"},
      {"above the default",
       kRunner,
       {.node_name = "runner-1", .lifetime = absl::Minutes(61)},
       "runners",
       "lifetime",
       "1h"},
      {"a longer certificate", kAutoscaler,
       with(worker, [](auto& a) { a.certificate = absl::Hours(25); }),
       "workers", "scope.max_certificate_lifetime", "24h"},
      {"a node that exists", kAutoscaler,
       with(worker, [](auto& a) { a.replacement = true; }), "workers",
       "scope.allow_node_replacement", ""},
      {"no labels",
       kRedTeam,
       {"team-1"},
       "teams",
       "labels",
       "cost-center=any value"},
      {"one label of two", kRedTeam,
       with(team, [](auto& a) { a.labels.erase("team"); }), "teams", "labels",
       "team=red, blue"},
      {"another value", kRedTeam,
       with(team, [](auto& a) { a.labels["team"] = "green"; }), "teams",
       "labels", "team=red, blue"},
      {"a value that begins alike", kRedTeam,
       with(team, [](auto& a) { a.labels["team"] = "red2"; }), "teams",
       "labels", "team=red, blue"},
      {"another machine's name",
       kMachine,
       {"i-0abd.pool.example"},
       "themselves",
       field,
       "i-0abc.pool.example"},
      {"the value alone",
       kMachine,
       {"i-0abc"},
       "themselves",
       field,
       "i-0abc.pool.example"},
      {"two values, so no name",
       Jwt("cloud", {"i-0abc", "i-1"}),
       {"i-0abc.pool.example"},
       "themselves",
       field,
       ""},
      {"a value that is no name",
       Jwt("cloud", {"i-0ABC"}),
       {"i-0abc.pool.example"},
       "themselves",
       field,
       ""},
      {"a node of a higher domain",
       kAdmin,
       {"a.b.pool.example"},
       "admins",
       field,
       "*, *.pool.example"},
      {"a lifetime that only the second rule has",
       Account("ci", "runner-7", {"ops:admins"}),
       {.node_name = "runner-1",
        .lifetime = absl::Hours(2),
        .replacement = true},
       "admins",
       "scope.allow_node_replacement",
       ""},
  });
}

}  // namespace
}  // namespace latchkey
