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

TEST(CtlConfigTest, LooksWhereTheEnvironmentSays) {
  setenv("LATCHKEYCTL_CONFIG", "/x/ctl.yaml", 1);
  EXPECT_EQ(DefaultCtlConfigPath(), "/x/ctl.yaml");
  unsetenv("LATCHKEYCTL_CONFIG");
  setenv("XDG_CONFIG_HOME", "/y", 1);
  EXPECT_EQ(DefaultCtlConfigPath(), "/y/latchkey/latchkeyctl.yaml");
  unsetenv("XDG_CONFIG_HOME");
  setenv("HOME", "/h", 1);
  EXPECT_EQ(DefaultCtlConfigPath(), "/h/.config/latchkey/latchkeyctl.yaml");
}

}  // namespace
}  // namespace latchkey
