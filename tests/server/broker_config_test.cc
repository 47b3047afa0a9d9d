#include "server/broker_config.h"

#include <string>

#include <gmock/gmock.h>

#include "policy/policy_file.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kGood[] = R"(
cluster:
  kubeconfig: /etc/latchkey/kubeconfig
  name: prod
  api_servers: ["https://10.0.0.1:6443"]
provisioner_api:
  listen: 0.0.0.0:7443
  certificate_file: tls.crt
  private_key_file: tls.key
  client_ca_file: clients.crt
node_api:
  certificate_file: tls.crt
  private_key_file: tls.key
tokens:
  join_window: 10m
policy:
  - name: workers
    provisioners:
      - spiffe_id: spiffe://example.org/autoscaler
      - dns_name: ci.example.org
        common_name: ci
    allow:
      node_names: ["worker-*", "gpu-*.pool.example"]
      groups: [system:bootstrappers:pool-a]
      delivery: [direct]
      max_token_lifetime: 2h
      max_certificate_lifetime: 24h
      node_replacement: true
    freeze_on_misuse: true
log: {level: debug}
)";

TEST(BrokerConfigTest, ReadsEveryField) {
  const auto config = ParseBrokerConfig("broker.yaml", kGood);
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->kubeconfig, "/etc/latchkey/kubeconfig");
  EXPECT_EQ(config->cluster_name, "prod");
  EXPECT_EQ(config->provisioner_api.listen, "0.0.0.0:7443");
  EXPECT_EQ(config->provisioner_api.client_ca_file, "clients.crt");
  EXPECT_EQ(config->node_api.listen, "127.0.0.1:7444") << "the default";
  EXPECT_EQ(config->join_window, absl::Minutes(10));
  EXPECT_EQ(config->fetch_grace, absl::Minutes(2)) << "the default";
  ASSERT_EQ(config->policy.size(), 1U);
  const PolicyRule& rule = config->policy.front();
  EXPECT_EQ(rule.provisioners.size(), 2U);
  EXPECT_TRUE(rule.provisioners[1].attributes.contains("common_name"));
  EXPECT_EQ(rule.node_names.size(), 2U);
  EXPECT_EQ(rule.delivery, std::vector<Delivery>{Delivery::kDirect});
  EXPECT_EQ(rule.max_token_lifetime, absl::Hours(2));
  EXPECT_EQ(rule.max_certificate_lifetime, absl::Hours(24));
  EXPECT_TRUE(rule.allow_node_replacement);
  EXPECT_TRUE(rule.freeze_on_misuse);
  EXPECT_EQ(config->log_level, LogLevel::kDebug);
}

TEST(BrokerConfigTest, NamesEveryMistakeAtOnce) {
  const auto config = ParseBrokerConfig("broker.yaml", R"(
cluster:
  kubeconfg: typo
provisioner_api:
  listen: nowhere
  certificate_file: tls.crt
node_api:
  certificate_file: tls.crt
  private_key_file: tls.key
tokens:
  join_window: 5
policy:
  - name: workers
    provisioners:
      - spiffe: spiffe://example.org/a
    allow:
      node_names: ["Worker-*"]
      delivery: [pigeon]
)");
  EXPECT_THAT(
      config,
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("broker.yaml:3:"), HasSubstr("kubeconfg"),
                     HasSubstr("broker.yaml:5:"), HasSubstr("listen"),
                     HasSubstr("private_key_file"), HasSubstr("client_ca_file"),
                     HasSubstr("broker.yaml:11:"), HasSubstr("join_window"),
                     HasSubstr("spiffe_id"), HasSubstr("node_names"),
                     HasSubstr("delivery"))));
}

TEST(BrokerConfigTest, ConnectionsHaveLimitsThatFitTogether) {
  const auto parse = [](const std::string& limits) {
    return ParseBrokerConfig("broker.yaml",
                             std::string(kGood) + "limits: {" + limits + "}\n");
  };
  const auto plain = parse("");
  ASSERT_THAT(plain, IsOk());
  EXPECT_EQ(plain->max_connections, std::nullopt) << "as many as files allow";
  EXPECT_EQ(plain->max_connections_of_peer, std::nullopt);
  const auto both = parse("connections: 500, connections_per_peer: 20");
  ASSERT_THAT(both, IsOk());
  EXPECT_EQ(both->max_connections, 500U);
  EXPECT_EQ(both->max_connections_of_peer, 20U);
  ASSERT_THAT(parse("connections_per_peer: 20"), IsOk());
  for (const char* wrong : {"connections: 0", "connections: many",
                            "connections: 500001", "connections_per_peer: 0",
                            "connections: 20, connections_per_peer: 21"}) {
    EXPECT_THAT(parse(wrong),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("broker.yaml:31: limits.connections")))
        << wrong;
  }
}

// So that those who read only a part of a broker.yaml know a misspelt section.
TEST(BrokerConfigTest, ItsSectionsAreThoseThatArePublished) {
  std::string all = "policy: []\npolicy_tests: []\n";
  for (const std::string_view section : kBrokerSections) {
    all += std::string(section) + ":\n";
  }
  EXPECT_THAT(ParseBrokerConfig("b", all),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       Not(HasSubstr("unknown field"))));
  EXPECT_THAT(ParsePolicyFile("b", kGood, {}), IsOk());
}

TEST(BrokerConfigTest, WhatIsNoConfigurationIsRefused) {
  const std::string deep(100'000, '[');
  for (const std::string& text :
       {std::string(), std::string("- a list"), std::string("{"), deep,
        std::string("\xff\xfe\x00", 3), std::string(2 << 20, 'a')}) {
    EXPECT_THAT(ParseBrokerConfig("broker.yaml", text),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(BrokerConfigTest, OnlyWhoMayBringATokenNeedsNoAuthorityOfCertificates) {
  std::string without = kGood;
  const std::string line = "  client_ca_file: clients.crt\n";
  without.erase(without.find(line), line.size());
  EXPECT_THAT(ParseBrokerConfig("broker.yaml", without),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("client_ca_file")));
  const auto config = ParseBrokerConfig(
      "broker.yaml",
      without + "authentication: {service_accounts: {audience: latchkey}}\n");
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->authentication.service_account_audience, "latchkey");
}

TEST(BrokerConfigTest, NobodyMintsByOversight) {
  const std::string without(kGood, std::string(kGood).find("policy:"));
  EXPECT_THAT(
      ParseBrokerConfig("broker.yaml", without),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("policy")));
}

TEST(BrokerConfigTest, APolicyThatFailsItsOwnTestsIsRefused) {
  const std::string tests = R"(
policy_tests:
  - name: the autoscaler mints workers
    identity: {spiffe_id: spiffe://example.org/autoscaler}
    request: {node_name: worker-1, delivery: direct}
    expect: allow
)";
  EXPECT_THAT(ParseBrokerConfig("broker.yaml", kGood + tests), IsOk());
  std::string wrong = kGood + tests;
  wrong.replace(wrong.rfind("worker-1"), 8, "master-1");
  EXPECT_THAT(
      ParseBrokerConfig("broker.yaml", wrong),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("broker.yaml:33: policy_tests[0]: self-test "
                               "'the autoscaler mints workers'"),
                     HasSubstr("expected allow, came deny by rule 'workers' "
                               "for scope.node_name"))));
}

TEST(BrokerConfigTest, WhatWatchesOverTheBrokerIsOffUnlessItIsAskedFor) {
  const auto plain = ParseBrokerConfig("broker.yaml", kGood);
  ASSERT_THAT(plain, IsOk());
  EXPECT_EQ(plain->audit.file, "");
  EXPECT_EQ(plain->metrics_listen, "");
  EXPECT_FALSE(plain->reflection);

  const auto full = ParseBrokerConfig(
      "broker.yaml", std::string(kGood) +
                         "limits: {machines: {per_minute: 60, burst: 5}}\n"
                         "audit: {file: /a/b, fsync: false, fail_closed: "
                         "false}\nmetrics: {}\nreflection: true\n");
  ASSERT_THAT(full, IsOk());
  EXPECT_EQ(full->peer_rate, (Rate{.per_second = 1, .burst = 5}));
  EXPECT_EQ(full->audit.file, "/a/b");
  EXPECT_FALSE(full->audit.fsync);
  EXPECT_FALSE(full->audit.fail_closed);
  EXPECT_EQ(full->metrics_listen, "127.0.0.1:7445");
  EXPECT_TRUE(full->reflection);

  EXPECT_THAT(
      ParseBrokerConfig("broker.yaml",
                        std::string(kGood) + "audit: {fail_closed: true}\n"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("audit")));
}

}  // namespace
}  // namespace latchkey
