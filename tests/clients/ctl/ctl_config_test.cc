#include "clients/ctl/ctl_config.h"

#include <stdlib.h>

#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(CtlConfigTest, ReadsEveryField) {
  const auto config = ParseCtlConfig("ctl.yaml", R"(
broker: {endpoint: "b:7443", ca_file: ca.crt, server_name: broker}
identity: {certificate_file: me.crt, private_key_file: me.key}
)");
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->endpoint, "b:7443");
  EXPECT_EQ(config->ca_file, "ca.crt");
  EXPECT_EQ(config->server_name, "broker");
  EXPECT_EQ(config->certificate_file, "me.crt");
  EXPECT_EQ(config->private_key_file, "me.key");
}

TEST(CtlConfigTest, NamesEveryMistakeAtOnce) {
  EXPECT_THAT(
      ParseCtlConfig("ctl.yaml", "broker: {endpiont: x}\n"),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("ctl.yaml:1"), HasSubstr("endpiont"),
                     HasSubstr("ca_file"), HasSubstr("certificate_file"),
                     HasSubstr("private_key_file"))));
}

constexpr char kContexts[] = R"(
current_context: prod
contexts:
  - name: prod
    broker: {endpoint: "p:1", ca_file: p.crt, node_endpoint: "n:1"}
    identity: {token_file: t}
  - name: staging
    broker: {endpoint: "s:1", ca_file: s.crt, node_endpoint: "n:2", node_ca_file: n.crt}
    identity: {certificate_file: me.crt, private_key_file: me.key}
)";

TEST(CtlConfigTest, ChoosesAContext) {
  const auto current = ParseCtlConfig("ctl.yaml", kContexts);
  ASSERT_THAT(current, IsOk());
  EXPECT_EQ(current->endpoint, "p:1");
  EXPECT_EQ(current->token_file, "t");
  EXPECT_EQ(current->certificate_file, "");
  EXPECT_EQ(current->node_endpoint, "n:1");
  EXPECT_EQ(current->node_ca_file, "p.crt") << "unless it says otherwise";
  const auto staging = ParseCtlConfig("ctl.yaml", kContexts, "staging");
  ASSERT_THAT(staging, IsOk());
  EXPECT_EQ(staging->endpoint, "s:1");
  EXPECT_EQ(staging->node_ca_file, "n.crt");
}

TEST(CtlConfigTest, NamesTheContextsThatThereAre) {
  EXPECT_THAT(ParseCtlConfig("ctl.yaml", kContexts, "prd"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("prd"), HasSubstr("prod, staging"))));
  std::string none = kContexts;
  none.erase(none.find("current_context"),
             std::string("current_context: prod").size());
  EXPECT_THAT(
      ParseCtlConfig("ctl.yaml", none),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--context")));
  EXPECT_THAT(ParseCtlConfig("ctl.yaml",
                             "broker: {endpoint: \"b:1\", ca_file: c}\n"
                             "identity: {token_file: t}\n",
                             "prod"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("prod")));
}

TEST(CtlConfigTest, ContextsHaveOneNameEachAndStandAlone) {
  EXPECT_THAT(
      ParseCtlConfig("ctl.yaml",
                     "broker: {endpoint: b, ca_file: c}\n"
                     "contexts:\n"
                     "  - {name: a, broker: {endpoint: b, ca_file: c}, "
                     "identity: {token_file: t}}\n"
                     "  - {name: a, broker: {endpoint: b, ca_file: c}, "
                     "identity: {token_file: t, certificate_file: c}}\n"),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("another context"),
                     HasSubstr("belongs into one of the contexts"),
                     HasSubstr("private_key_file"))));
}

TEST(CtlConfigTest, AnEndpointIsAHostAndAPort) {
  const auto parse = [](const std::string& endpoint, const std::string& node) {
    return ParseCtlConfig("ctl.yaml", "broker: {endpoint: \"" + endpoint +
                                          "\", ca_file: c, node_endpoint: \"" +
                                          node +
                                          "\"}\nidentity: {token_file: t}\n");
  };
  EXPECT_THAT(parse("[::1]:1", "a.b:2"), IsOk());
  for (const char* bad :
       {"127.0.0.1", "https://a:1", "a:0", "a:65536", "a:x", ":1", "::1:1"}) {
    EXPECT_THAT(parse(bad, "a:1"),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("broker.endpoint: must be host:port")))
        << bad;
    EXPECT_THAT(parse("a:1", bad),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("broker.node_endpoint: must be")))
        << bad;
  }
}

TEST(CtlConfigTest, SaysWhatAnIdentityLacks) {
  const auto parse = [](const std::string& identity) {
    return ParseCtlConfig("ctl.yaml",
                          "broker: {endpoint: \"b:1\", ca_file: c}\n"
                          "identity: {" +
                              identity + "}\n");
  };
  EXPECT_THAT(parse(""), StatusIs(absl::StatusCode::kInvalidArgument,
                                  AllOf(HasSubstr("certificate_file"),
                                        HasSubstr("token_file"))));
  EXPECT_THAT(parse("token_file: t, certificate_file: c"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("private_key_file is missing"),
                             HasSubstr("token_file needs neither"))));
  EXPECT_THAT(parse("private_key_file: k"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("certificate_file is missing")));
  EXPECT_THAT(parse("token_file: t, certificate_file: c, private_key_file: k"),
              IsOk());
}

TEST(CtlConfigTest, LooksWhereTheEnvironmentSays) {
  setenv("LATCHKEYCTL_CONFIG", "/x/ctl.yaml", 1);
  EXPECT_EQ(DefaultCtlConfigPath(), "/x/ctl.yaml");
  unsetenv("LATCHKEYCTL_CONFIG");
  setenv("XDG_CONFIG_HOME", "/y", 1);
  EXPECT_EQ(DefaultCtlConfigPath(), "/y/latchkey/latchkeyctl.yaml");
  unsetenv("XDG_CONFIG_HOME");
  setenv("HOME", "/h", 1);
  EXPECT_EQ(DefaultCtlConfigPath(), "/h/.config/latchkey/latchkeyctl.yaml");
  unsetenv("HOME");
  EXPECT_EQ(DefaultCtlConfigPath(), "") << "and not in the root folder";
}

}  // namespace
}  // namespace latchkey
