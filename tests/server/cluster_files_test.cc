#include "server/cluster_files.h"

#include <filesystem>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "crypto/certificate_authority.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using ::latchkey_testing::FakeClock;
using ::latchkey_testing::IsOk;
using ::latchkey_testing::StatusIs;
using ::latchkey_testing::TempDir;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ClusterFilesTest : public ::testing::Test {
 protected:
  ClusterFilesTest() {
    dir_.Write("ca.crt", first_);
    dir_.Write("token", "token-1");
    WriteKubeconfig("https://one:6443");
  }

  std::string NewAuthority(const std::string& name) const {
    return CertificateAuthority::Create(name, clock_.Now(),
                                        clock_.Now() + absl::Hours(1))
        .value()
        .certificate_pem();
  }
  void WriteKubeconfig(const std::string& server) {
    Replace("config", fmt::format(R"(
current-context: x
contexts: [{{name: x, context: {{cluster: x, user: x}}}}]
clusters: [{{name: x, cluster: {{server: "{}", certificate-authority: ca.crt}}}}]
users: [{{name: x, user: {{tokenFile: token}}}}]
)",
                                  server));
  }
  void Replace(const std::string& name, const std::string& content) {
    std::filesystem::rename(dir_.Write(name + ".new", content),
                            dir_.File(name));
  }
  absl::StatusOr<std::unique_ptr<ClusterFiles>> Make() {
    auto own =
        FileApiAccess::Create({.kubeconfig_path = dir_.File("config")}, clock_);
    EXPECT_THAT(own, IsOk());
    own_ = *std::move(own);
    return ClusterFiles::Create(config_, own_, clock_);
  }

  TempDir dir_;
  FakeClock clock_;
  const std::string first_ = NewAuthority("first");
  const std::string second_ = NewAuthority("second");
  BrokerConfig config_;
  std::shared_ptr<FileApiAccess> own_;
};

TEST_F(ClusterFilesTest, WhatTheConfigurationLeavesOutIsAsTheBrokerHasIt) {
  config_.cluster_name = "prod";
  const auto files = Make();
  ASSERT_THAT(files, IsOk());
  const ClusterEndpoints first = (*files)->Current();
  EXPECT_THAT(first.api_servers, ElementsAre("https://one:6443"));
  EXPECT_EQ(first.certificate_authorities, first_);
  EXPECT_EQ(first.name, "prod");

  // The broker's own requests look at its credentials.
  Replace("ca.crt", first_ + second_);
  WriteKubeconfig("https://two:6443");
  clock_.Advance(absl::Seconds(1));
  own_->Current();
  const ClusterEndpoints next = (*files)->Current();
  EXPECT_THAT(next.api_servers, ElementsAre("https://two:6443"));
  EXPECT_EQ(next.certificate_authorities, first_ + second_);
}

TEST_F(ClusterFilesTest, RotatedAuthoritiesAreHandedOut) {
  config_.cluster_ca_file = dir_.Write("machines.crt", first_);
  config_.api_servers = {"https://a:6443", "https://b:6443"};
  const auto files = Make();
  ASSERT_THAT(files, IsOk());
  EXPECT_EQ((*files)->Current().certificate_authorities, first_);
  Replace("machines.crt", second_);
  clock_.Advance(absl::Seconds(1));
  const ClusterEndpoints next = (*files)->Current();
  EXPECT_EQ(next.certificate_authorities, second_);
  EXPECT_THAT(next.api_servers,
              ElementsAre("https://a:6443", "https://b:6443"));
}

TEST_F(ClusterFilesTest, WhatCannotBeUsedIsNotHandedOut) {
  config_.cluster_ca_file = dir_.Write("machines.crt", first_);
  const auto files = Make();
  ASSERT_THAT(files, IsOk());
  for (const std::string& bad : {std::string("half a"), std::string()}) {
    Replace("machines.crt", bad);
    clock_.Advance(absl::Seconds(1));
    EXPECT_EQ((*files)->Current().certificate_authorities, first_);
  }
  std::filesystem::remove(dir_.File("machines.crt"));
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ((*files)->Current().certificate_authorities, first_);
  // Also by a clock that was set back meanwhile.
  dir_.Write("machines.crt", second_);
  clock_.Advance(-absl::Hours(1));
  EXPECT_EQ((*files)->Current().certificate_authorities, second_);
}

TEST_F(ClusterFilesTest, AtTheStartTheyMustBeUsable) {
  config_.cluster_ca_file = dir_.Write("machines.crt", "nothing");
  EXPECT_THAT(Make(), StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr(config_.cluster_ca_file)));
  config_.cluster_ca_file = dir_.File("none.crt");
  EXPECT_THAT(Make(), StatusIs(absl::StatusCode::kNotFound,
                               HasSubstr(config_.cluster_ca_file)));
  config_.cluster_ca_file.clear();
  Replace("ca.crt", "");
  Replace("config", R"(
current-context: x
contexts: [{name: x, context: {cluster: x, user: x}}]
clusters: [{name: x, cluster: {server: "https://one"}}]
users: [{name: x, user: {tokenFile: token}}]
)");
  EXPECT_THAT(Make(), StatusIs(absl::StatusCode::kInvalidArgument,
                               AllOf(HasSubstr("own credentials"),
                                     HasSubstr("cluster.ca_file"))));
}

}  // namespace
}  // namespace latchkey
