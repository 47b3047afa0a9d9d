#include "clients/doctor/broker_file.h"

#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::latchkey_testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(BrokerFileTest, GroupsAndCertificatesAreRead) {
  const auto file = ParseBrokerFile("broker.yaml", R"(
cluster: {ca_file: /cluster.crt, kubeconfig: /kubeconfig}
provisioner_api:
  certificate_file: /tls.crt
  private_key_file: /tls.key
  client_ca_file: /ca.crt
node_api: {certificate_file: /tls.crt, private_key_file: /tls.key}
tokens: {group: "system:bootstrappers:mine"}
authentication:
  service_accounts: {audience: latchkey}
  jwt: [{name: a, ca_file: /issuer.crt}, {name: b}]
limits: {something_new: [1]}
policy:
  - name: a
    allow: {groups: ["system:bootstrappers:x", "system:bootstrappers:y"]}
  - name: b
    allow: {groups: ["system:bootstrappers:x"], node_names: ["*"]}
)");
  ASSERT_THAT(file, IsOk());
  EXPECT_EQ(file->token_group, "system:bootstrappers:mine");
  EXPECT_THAT(file->policy_groups,
              ElementsAre("system:bootstrappers:x", "system:bootstrappers:y"));
  EXPECT_TRUE(file->takes_service_accounts);
  EXPECT_EQ(file->kubeconfig, "/kubeconfig");
  EXPECT_THAT(file->certificate_files,
              ElementsAre("/cluster.crt", "/tls.crt", "/ca.crt"));
  EXPECT_THAT(file->issuer_ca_files, ElementsAre("/issuer.crt"));
}

TEST(BrokerFileTest, WhatItDoesNotSayIsTheDefault) {
  const auto file = ParseBrokerFile("broker.yaml", "{}");
  ASSERT_THAT(file, IsOk());
  EXPECT_EQ(file->token_group, "system:bootstrappers:latchkey");
  EXPECT_FALSE(file->takes_service_accounts);
  EXPECT_THAT(file->certificate_files, IsEmpty());
}

TEST(BrokerFileTest, WhatIsWrongIsRefused) {
  EXPECT_THAT(ParseBrokerFile("b", "tokens: {group: system:masters}"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseBrokerFile("b", "- a"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(BrokerFileTest, AnotherProgramsFileAndAMisspeltSectionAreRefused) {
  for (const char* text :
       {"broker: {endpoint: \"b:1\"}\nidentity: {token_file: t}\n",
        "audt: {file: stderr}\n", "policy-tests: []\n"}) {
    EXPECT_THAT(ParseBrokerFile("b", text),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("unknown field")))
        << text;
  }
}

}  // namespace
}  // namespace latchkey
