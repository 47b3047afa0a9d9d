#include "policy/policy_file.h"

#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr char kEverything[] = R"(
policy:
  - name: machines
    mode: observe
    provisioners:
      - kind: jwt
        issuer: cloud
        zone: {one_of: [eu-1, eu-2]}
        instance_id: {glob: "i-*"}
        path: {prefix: /a/}
        literal: {equals: "*"}
    allow:
      node_name_from: {attribute: instance_id, prefix: vm-, suffix: .e}
      groups: [system:bootstrappers:pool-a]
      delivery: [direct, ticket]
      max_token_lifetime: 2h
      max_certificate_lifetime: 24h
      node_replacement: true
      max_outstanding: 100
      rate: {per_minute: 60, burst: 20}
      labels: {team: [red, blue], cost-center: []}
      manage: all
    freeze_on_misuse: true
policy_tests:
  - name: a machine for itself
    identity: {kind: jwt, issuer: cloud, subject: s, zone: eu-1, path: /a/b,
               instance_id: i-1, literal: "*"}
    request:
      node_name: vm-i-1.e
      groups: [system:bootstrappers:pool-a]
      delivery: direct
      lifetime: 90m
      max_certificate_lifetime: 1h
      node_replacement: true
      labels: {team: red, cost-center: "42"}
    expect: allow
    rule: machines
  - name: and for nobody else
    identity: {kind: jwt, issuer: cloud, zone: [eu-1], path: /a/b,
               instance_id: i-2, literal: "*"}
    request: {node_name: vm-i-1.e}
    expect: deny
    rule: machines
    field: scope.node_name
)";

TEST(PolicyFileTest, ReadsEveryField) {
  const auto file = ParsePolicyFile("p.yaml", kEverything, {});
  ASSERT_THAT(file, IsOk());
  ASSERT_EQ(file->rules.size(), 1U);
  const PolicyRule& rule = file->rules.front();
  EXPECT_EQ(rule.name, "machines");
  EXPECT_EQ(rule.mode, PolicyMode::kObserve);
  ASSERT_EQ(rule.provisioners.size(), 1U);
  const IdentityMatcher& matcher = rule.provisioners.front();
  EXPECT_EQ(matcher.kind, IdentityKind::kJwt);
  using Form = ValueMatcher::Form;
  const auto form = [&](const char* name) {
    return matcher.attributes.at(name).form();
  };
  EXPECT_EQ(matcher.attributes.size(), 5U);
  EXPECT_EQ(form("issuer"), Form::kEquals);
  EXPECT_EQ(form("zone"), Form::kOneOf);
  EXPECT_EQ(form("instance_id"), Form::kGlob);
  EXPECT_EQ(form("path"), Form::kPrefix);
  EXPECT_EQ(form("literal"), Form::kEquals);
  EXPECT_THAT(rule.node_names, IsEmpty());
  EXPECT_EQ(rule.node_name_from->attribute, "instance_id");
  EXPECT_EQ(rule.node_name_from->prefix, "vm-");
  EXPECT_EQ(rule.node_name_from->suffix, ".e");
  EXPECT_THAT(rule.groups, ElementsAre("system:bootstrappers:pool-a"));
  EXPECT_THAT(rule.delivery, ElementsAre(Delivery::kDirect, Delivery::kTicket));
  EXPECT_EQ(rule.max_token_lifetime, absl::Hours(2));
  EXPECT_EQ(rule.max_certificate_lifetime, absl::Hours(24));
  EXPECT_TRUE(rule.allow_node_replacement);
  EXPECT_EQ(rule.max_outstanding, 100);
  EXPECT_EQ(rule.rate, (RateLimit{.per_minute = 60, .burst = 20}));
  EXPECT_THAT(rule.required_labels,
              UnorderedElementsAre(Pair("team", ElementsAre("red", "blue")),
                                   Pair("cost-center", IsEmpty())));
  EXPECT_EQ(rule.manage, Reach::kAll);
  EXPECT_TRUE(rule.freeze_on_misuse);

  ASSERT_EQ(file->tests.size(), 2U);
  EXPECT_EQ(file->tests.front().identity.name, "jwt:cloud:s");
  EXPECT_EQ(file->tests.front().where, "p.yaml:25: policy_tests[0]");
  EXPECT_THAT(RunPolicySelfTests(file->tests, Policy(file->rules)), IsOk());
}

TEST(PolicyFileTest, NobodyMayDoAnythingByOversight) {
  const auto file = ParsePolicyFile("p.yaml", R"(
policy:
  - name: least
    provisioners: [{common_name: admin}]
    allow: {node_names: [a]}
)",
                                    {});
  ASSERT_THAT(file, IsOk());
  const PolicyRule& rule = file->rules.front();
  EXPECT_EQ(rule.mode, PolicyMode::kEnforce);
  EXPECT_THAT(rule.groups, IsEmpty());
  EXPECT_THAT(rule.delivery, ElementsAre(Delivery::kTicket));
  EXPECT_EQ(rule.max_token_lifetime, absl::Hours(1));
  EXPECT_FALSE(rule.allow_node_replacement);
  EXPECT_EQ(rule.manage, Reach::kOwn);
  EXPECT_FALSE(rule.node_name_from.has_value());
}

std::string WithMatcher(std::string_view matcher) {
  return fmt::format(
      "policy:\n- name: r\n  provisioners:\n  - {}\n"
      "  allow: {{node_names: [a]}}\n",
      matcher);
}

TEST(PolicyFileTest, NamesWhatIsWrongWithAMatcher) {
  struct Case {
    const char* matcher;
    const char* says;
  };
  const Case cases[] = {
      {"{}", "needs an attribute"},
      {"{kind: jwt}", "needs an attribute"},
      {"{kind: pigeon, issuer: x}", "one of certificate, service_account, jwt"},
      {"{spiffe: spiffe://e/a}", "no identity has this attribute"},
      {"{kind: certificate, issuer: x}", "no identity of this kind"},
      {"{kind: service_account, zone: x}", "no identity of this kind"},
      {"{kind: jwt, dns_name: x}", "no identity of this kind"},
      {"{Spiffe: x}", "the name of an attribute"},
      {"{\"a b\": x}", "the name of an attribute"},
      {"{issuer: [a, b]}", "is a list; must be a string"},
      {"{issuer: }", "has no value"},
      {"{issuer: \"\"}", "printable ASCII"},
      {"{issuer: a b}", "printable ASCII"},
      {"{issuer: \"a\\nb\"}", "printable ASCII"},
      {"{issuer: \"\xd0\xb0\"}", "printable ASCII"},
      {"{issuer: a*}", "write {glob"},
      {"{issuer: {}}", "one of equals, prefix"},
      {"{issuer: {prefix: a, glob: b}}", "one of equals, prefix"},
      {"{issuer: {regex: a}}", "unknown field"},
      {"{issuer: {prefix: \"\"}}", "a prefix must be"},
      {"{issuer: {prefix: [a]}}", "is a list; must be a string"},
      {"{issuer: {one_of: []}}", "at least one value"},
      {"{issuer: {one_of: a}}", "must be a list of strings"},
      {"{issuer: {glob: \"*\"}}", "needs more than '*'"},
      {"{issuer: {equals: a b}}", "printable ASCII"},
      {"{spiffe_id: example.org/a}", "begins with spiffe://"},
      {"{spiffe_id: {one_of: [spiffe://e/a, b]}}", "begins with spiffe://"},
      {"{spiffe_id: {prefix: spiffe://example.org}}", "ends with '/'"},
      {"{spiffe_id: {prefix: spiffe://example.org/a}}", "ends with '/'"},
      {"{spiffe_id: {prefix: spiffe:///}}", "ends with '/'"},
      {"{spiffe_id: {prefix: a/}}", "ends with '/'"},
      {"{spiffe_id: {glob: \"spiffe://*/a\"}}", "whole trust domain"},
      {"{spiffe_id: {glob: \"spiffe://example.org*\"}}", "whole trust domain"},
      {"{spiffe_id: {glob: \"*\"}}", "needs more than '*'"},
      {"{dns_name: {prefix: ci.}}", "stands at its end"},
      {"{service_account: {prefix: ci}}", "the whole namespace"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.matcher);
    EXPECT_THAT(ParsePolicyFile("p.yaml", WithMatcher(c.matcher),
                                {.mapped_attributes = {{"zone"}}}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("p.yaml:4: policy[0].provisioners[0]"),
                               HasSubstr(c.says))));
  }
}

TEST(PolicyFileTest, AnAttributeThatIsMappedOrMayBeIsGood) {
  EXPECT_THAT(ParsePolicyFile("p", WithMatcher("{zone: x}"),
                              {.mapped_attributes = {{"zone"}}}),
              IsOk());
  EXPECT_THAT(ParsePolicyFile("p", WithMatcher("{kind: jwt, zone: x}"), {}),
              IsOk());
  EXPECT_THAT(
      ParsePolicyFile("p", WithMatcher("{kind: certificate, zone: x}"), {}),
      StatusIs(absl::StatusCode::kInvalidArgument));
}

// No identity would ever have it: the rule would be for nobody, and a self-test
// that is wrong in the same way would pass.
TEST(PolicyFileTest, AnIssuerThatIsNotConfiguredIsAMistake) {
  const PolicyFileOptions options = {
      .mapped_attributes = std::set<std::string, std::less<>>(),
      .jwt_issuers = {
          {{"https://ci.example", "ci"}, {"https://cloud.example", "cloud"}}}};
  for (const char* good :
       {"{issuer: https://ci.example}",
        "{issuer: {equals: https://cloud.example}}",
        "{issuer: {one_of: [https://ci.example, https://cloud.example]}}",
        "{issuer: {prefix: https://c}}", "{issuer: {glob: https://c*.example}}",
        "{subject: s}"}) {
    EXPECT_THAT(ParsePolicyFile("p.yaml", WithMatcher(good), options), IsOk())
        << good;
  }
  for (const char* wrong :
       {"{issuer: ci}", "{kind: jwt, issuer: https://ci.example/}",
        "{issuer: {equals: cloud}}",
        "{issuer: {one_of: [https://ci.example, cloud]}}",
        "{issuer: {prefix: \"http:\"}}", "{issuer: {glob: ci*}}"}) {
    EXPECT_THAT(ParsePolicyFile("p.yaml", WithMatcher(wrong), options),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("p.yaml:4: policy[0].provisioners[0]"
                                         ".issuer: no identity has this"),
                               HasSubstr("https://ci.example (ci), "
                                         "https://cloud.example (cloud)"))))
        << wrong;
  }
  EXPECT_THAT(
      ParsePolicyFile(
          "p.yaml", WithMatcher("{issuer: https://ci.example}"),
          {.jwt_issuers = std::map<std::string, std::string, std::less<>>()}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("authentication.jwt names no issuer")));
  const std::string test = R"(
policy_tests:
  - name: t
    identity: {kind: jwt, issuer: [https://ci.example, cloud], subject: s}
    request: {node_name: a}
    expect: deny
)";
  EXPECT_THAT(
      ParsePolicyFile("p.yaml", WithMatcher("{subject: s}") + test, options),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("policy_tests[0].identity.issuer: no identity")));
}

TEST(PolicyFileTest, NamesWhatIsWrongWithAGrant) {
  struct Case {
    const char* allow;
    const char* says;
  };
  const Case cases[] = {
      {"{}", "needs at least one pattern"},
      {"{node_names: []}", "needs at least one pattern"},
      {"{node_names: [A]}", "a node name pattern"},
      {"{node_names: [\"[a-z]\"]}", "a node name pattern"},
      {"{node_names: [\"../a\"]}", "a node name pattern"},
      {"{node_names: [a], node_name_from: {attribute: issuer}}", "or else"},
      {"{node_name_from: {}}", "attribute: is missing"},
      {"{node_name_from: {attribute: nope}}", "no identity has"},
      {"{node_name_from: {attribute: issuer, suffix: .}}", "must make a node"},
      {"{node_name_from: {attribute: issuer, prefix: A}}", "must make a node"},
      {"{node_name_from: {attribute: issuer, prefix: \"*\"}}",
       "must make a node"},
      {"{node_names: [a], groups: [system:masters]}", "each must match"},
      {"{node_names: [a], delivery: [pigeon]}", "each is ticket or direct"},
      {"{node_names: [a], delivery: []}", "needs ticket"},
      {"{node_names: [a], max_token_lifetime: 8d}", "must be a duration"},
      {"{node_names: [a], max_certificate_lifetime: 1s}", "must be a duration"},
      {"{node_names: [a], max_outstanding: 0}", "must be a whole number"},
      {"{node_names: [a], rate: {}}", "per_minute: is missing"},
      {"{node_names: [a], rate: {per_minute: -1}}", "must be a whole number"},
      {"{node_names: [a], labels: {\"a b\": []}}", "labels: at most 16"},
      {"{node_names: [a], labels: {a: [\"b c\"]}}", "labels: at most 16"},
      {"{node_names: [a], manage: none}", "must be one of own, all"},
      {"{node_names: [a], mode: observe}", "unknown field"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.allow);
    EXPECT_THAT(
        ParsePolicyFile(
            "p.yaml",
            fmt::format("policy:\n- name: r\n  provisioners:\n"
                        "  - common_name: a\n  allow: {}\n",
                        c.allow),
            {.mapped_attributes = std::set<std::string, std::less<>>()}),
        StatusIs(
            absl::StatusCode::kInvalidArgument,
            AllOf(HasSubstr("p.yaml:5: policy[0].allow"), HasSubstr(c.says))));
  }
}

TEST(PolicyFileTest, NamesWhatIsWrongWithATest) {
  struct Case {
    const char* test;
    const char* says;
  };
  const Case cases[] = {
      {"{identity: {common_name: a}, request: {node_name: a}, expect: deny}",
       "name: is missing"},
      {"{name: t, identity: {common_name: a}, request: {node_name: a}}",
       "expect: is missing"},
      {"{name: t, request: {node_name: a}, expect: maybe}",
       "one of allow, deny"},
      {"{name: t, request: {}, expect: deny}", "node_name: is missing"},
      {"{name: t, request: {node_name: a}, expect: deny, rule: x}",
       "no rule of this name"},
      {"{name: t, request: {node_name: a}, expect: allow, field: x}",
       "expect: deny only"},
      {"{name: t, request: {node_name: a, lifetime: 1s}, expect: deny}",
       "must be a duration"},
      {"{name: t, request: {node: a}, expect: deny}", "unknown field"},
      {"{name: t, identity: {common_name: \"a b\"}, request: {node_name: a}, "
       "expect: deny}",
       "no identity has such a value"},
      {"{name: t, identity: {nope: a}, request: {node_name: a}, expect: deny}",
       "no identity of this kind"},
      {"{name: \"a\\x1bb\", request: {node_name: a}, expect: deny}",
       "one line"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.test);
    EXPECT_THAT(
        ParsePolicyFile("p.yaml",
                        WithMatcher("common_name: a") +
                            fmt::format("policy_tests:\n- {}\n", c.test),
                        {}),
        StatusIs(
            absl::StatusCode::kInvalidArgument,
            AllOf(HasSubstr("p.yaml:7: policy_tests[0]"), HasSubstr(c.says))));
  }
}

TEST(PolicyFileTest, RulesHaveNamesOfTheirOwn) {
  const auto rule = [](std::string_view name) {
    return fmt::format(
        "- {{name: {}, provisioners: [{{common_name: a}}], "
        "allow: {{node_names: [a]}}}}\n",
        name);
  };
  const auto named = [&](std::string_view first, std::string_view second) {
    return ParsePolicyFile("p.yaml", "policy:\n" + rule(first) + rule(second),
                           {});
  };
  EXPECT_THAT(named("a", "b"), IsOk());
  EXPECT_THAT(named("a", "a"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("p.yaml:3: policy[1].name: another rule")));
  for (const std::string& name :
       {std::string("\"a\\nb\""), std::string("\"a b\""), std::string("\"\""),
        std::string(64, 'a')}) {
    SCOPED_TRACE(name);
    EXPECT_THAT(named("a", name), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(PolicyFileTest, WhatStandsBesideThePolicyIsNotJudged) {
  const std::string policy = WithMatcher("common_name: a");
  EXPECT_THAT(ParsePolicyFile("p", policy + "tokens: {nonsense: [1]}\n", {}),
              IsOk());
  EXPECT_THAT(ParsePolicyFile("p", "tokens: {}\n", {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("needs at least one rule")));
}

TEST(PolicyFileTest, AFieldOfNoBrokerYamlIsAMistake) {
  for (const char* field : {"policy_test", "polcy_tests", "audt"}) {
    EXPECT_THAT(ParsePolicyFile(
                    "p", WithMatcher("common_name: a") + field + ": []\n", {}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("unknown field")))
        << field;
  }
}

TEST(PolicyFileTest, AWholeBrokerYamlSaysWhichAttributesThereAre) {
  const std::string policy = WithMatcher("{spifeid: x}");
  EXPECT_THAT(ParsePolicyFile("p", policy, {}), IsOk())
      << "a policy alone: an issuer may map a claim to it";
  EXPECT_THAT(ParsePolicyFile("p", policy + "tokens: {}\n", {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("no identity has this attribute")));
  EXPECT_THAT(
      ParsePolicyFile("p",
                      policy + "authentication:\n"
                               "  service_accounts: {audience: latchkey}\n"
                               "  jwt: [{name: ci, issuer: i, attributes: "
                               "{spifeid: a.b}}]\n",
                      {}),
      IsOk());
}

TEST(PolicyFileTest, AWholeBrokerYamlSaysWhichIssuersThereAre) {
  const std::string policy =
      WithMatcher("{kind: jwt, issuer: ci, subject: x}") +
      "authentication:\n  jwt: [{name: ci, issuer: \"https://ci.example\"}]\n";
  EXPECT_THAT(ParsePolicyFile("p", policy, {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("https://ci.example")));
}

TEST(PolicyFileTest, AMisplacedSecretIsNotRepeated) {
  const auto file =
      ParsePolicyFile("p", WithMatcher("{\"abcdef.0123456789abcdef\": x}"), {});
  EXPECT_THAT(file, StatusIs(absl::StatusCode::kInvalidArgument,
                             testing::Not(HasSubstr("0123456789abcdef"))));
}

}  // namespace
}  // namespace latchkey
