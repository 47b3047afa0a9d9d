#include "clients/node/node_files.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include <gmock/gmock.h>

#include "clients/node/node_certificate.h"
#include "core/config_reader.h"
#include "crypto/certificate_authority.h"
#include "crypto/certificate_request.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::IsOk;
using latchkey_testing::IsOkAndHolds;
using latchkey_testing::ReadFile;
using latchkey_testing::StatusIs;
using latchkey_testing::TempDir;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

class NodeFilesTest : public ::testing::Test {
 protected:
  NodeCredential NewCredential(KeyType type = KeyType::kP256) const {
    const auto key = PrivateKey::Generate(type);
    const auto csr =
        BuildCertificateRequest(*key, {.common_name = "system:node:node-1",
                                       .organizations = {"system:nodes"}});
    const auto certificate =
        ca_->SignRequest(*csr, {.common_name = "system:node:node-1",
                                .organizations = {"system:nodes"},
                                .not_before = clock_.Now(),
                                .not_after = clock_.Now() + absl::Hours(1),
                                .client_auth = true});
    EXPECT_THAT(certificate, IsOk());
    return {.certificates_pem = *certificate,
            .key = *key,
            .api_server = "https://10.0.0.1:6443",
            .ca_pem = ca_->certificate_pem()};
  }
  auto Found() const { return files_.FindCredential("node-1", clock_.Now()); }

  TempDir dir_;
  FakeClock clock_;
  absl::StatusOr<CertificateAuthority> ca_ = CertificateAuthority::Create(
      "test", clock_.Now() - absl::Hours(1), clock_.Now() + absl::Hours(24));
  const std::string current_ = dir_.File("pki/kubelet-client-current.pem");
  NodeFiles files_{{.cert_dir = dir_.File("pki"),
                    .kubeconfig = dir_.File("etc/kubelet.conf"),
                    .ca_file = dir_.File("etc/pki/ca.crt")}};
};

TEST_F(NodeFilesTest, InstallsWhatAKubeletExpects) {
  ASSERT_THAT(files_.Prepare(), IsOk());
  const NodeCredential credential = NewCredential();
  ASSERT_THAT(files_.Install(credential, clock_.Now()), IsOk());

  const std::string target = std::filesystem::read_symlink(current_).string();
  EXPECT_THAT(target, AllOf(StartsWith(dir_.File("pki") + "/kubelet-client-"),
                            EndsWith(absl::FormatTime("-%Y-%m-%d-%H-%M-%S.pem",
                                                      clock_.Now(),
                                                      absl::LocalTimeZone()))));
  EXPECT_EQ(ModeOf(target), 0600U);
  EXPECT_EQ(ModeOf(dir_.File("pki")), 0755U);
  EXPECT_EQ(ReadFile(target), credential.certificates_pem +
                                  std::string(credential.key.ToPem().Reveal()));
  EXPECT_THAT(ReadFile(target), HasSubstr("-----BEGIN EC PRIVATE KEY-----"));
  EXPECT_EQ(ModeOf(dir_.File("etc/kubelet.conf")), 0600U);
  EXPECT_EQ(ModeOf(dir_.File("etc/pki/ca.crt")), 0644U);
  EXPECT_EQ(ReadFile(dir_.File("etc/pki/ca.crt")), ca_->certificate_pem());
  EXPECT_THAT(Found(), IsOk());
}

TEST_F(NodeFilesTest, TheKubeconfigIsTheKubeletsOwn) {
  ASSERT_THAT(files_.Prepare(), IsOk());
  ASSERT_THAT(files_.Install(NewCredential(), clock_.Now()), IsOk());

  const std::string text = ReadFile(dir_.File("etc/kubelet.conf"));
  const auto document = ConfigDocument::Parse("kubelet.conf", text);
  ASSERT_THAT(document, IsOk());
  const ConfigReader root = (*document)->root();
  EXPECT_EQ(root.String("apiVersion", ""), "v1");
  EXPECT_EQ(root.String("kind", ""), "Config");
  EXPECT_EQ(root.String("current-context", ""), "default-context");
  const ConfigReader context = root.Sections("contexts").at(0);
  EXPECT_EQ(context.String("name", ""), "default-context");
  EXPECT_EQ(context.Section("context").String("cluster", ""),
            "default-cluster");
  EXPECT_EQ(context.Section("context").String("user", ""), "default-auth");
  EXPECT_EQ(context.Section("context").String("namespace", ""), "default");
  const ConfigReader cluster = root.Sections("clusters").at(0);
  EXPECT_EQ(cluster.String("name", ""), "default-cluster");
  EXPECT_EQ(cluster.Section("cluster").String("server", ""),
            "https://10.0.0.1:6443");
  EXPECT_THAT(
      cluster.Section("cluster").String("certificate-authority-data", ""),
      MatchesRegex("[A-Za-z0-9+/]+=*"));
  const ConfigReader user = root.Sections("users").at(0);
  EXPECT_EQ(user.String("name", ""), "default-auth");
  EXPECT_EQ(user.Section("user").String("client-certificate", ""), current_);
  EXPECT_EQ(user.Section("user").String("client-key", ""), current_);
  EXPECT_THAT((*document)->Finish(), IsOk());
}

TEST_F(NodeFilesTest, ACredentialThatIsNotValidYetIsNotTakenForNone) {
  ASSERT_THAT(files_.Prepare(), IsOk());
  ASSERT_THAT(files_.Install(NewCredential(), clock_.Now()), IsOk());
  clock_.Advance(-absl::Hours(1));
  EXPECT_THAT(Found(),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(StartsWith(current_), HasSubstr("set it"))));
  std::filesystem::remove(current_);
  EXPECT_THAT(files_.Recover("node-1", clock_.Now()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("set it")));
  EXPECT_FALSE(std::filesystem::exists(current_));
  // Nothing leads to it.
  std::filesystem::remove(dir_.File("etc/kubelet.conf"));
  EXPECT_THAT(Found(), StatusIs(absl::StatusCode::kNotFound));
  clock_.Advance(absl::Hours(1000));
  EXPECT_THAT(Found(), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(NodeFilesTest, OddPathsStayOneYamlString) {
  NodeFiles files({.cert_dir = dir_.File("it's: #1 {"),
                   .kubeconfig = dir_.File("k"),
                   .ca_file = dir_.File("c")});
  ASSERT_THAT(files.Prepare(), IsOk());
  ASSERT_THAT(files.Install(NewCredential(), clock_.Now()), IsOk());
  EXPECT_THAT(files.FindCredential("node-1", clock_.Now()), IsOk());
}

TEST_F(NodeFilesTest, WhatCannotBeReadNowMayBeACredential) {
  ASSERT_THAT(files_.Prepare(), IsOk());
  ASSERT_THAT(files_.Install(NewCredential(), clock_.Now()), IsOk());
  ASSERT_THAT(Found(), IsOk());
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto found = Found();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(found, StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(NodeFilesTest, InstallsOverAnOlderCredential) {
  ASSERT_THAT(files_.Prepare(), IsOk());
  ASSERT_THAT(files_.Install(NewCredential(), clock_.Now()), IsOk());
  const std::string old_target =
      std::filesystem::read_symlink(current_).string();
  clock_.Advance(absl::Minutes(1));
  const NodeCredential newer = NewCredential(KeyType::kEd25519);

  ASSERT_THAT(files_.Install(newer, clock_.Now()), IsOk());

  EXPECT_THAT(Found(), IsOkAndHolds(Field(&Certificate::key_digest,
                                          newer.key.public_key_digest())));
  // Like the kubelet, the old one stays.
  EXPECT_TRUE(std::filesystem::exists(old_target));
}

TEST_F(NodeFilesTest, InstallingTwiceIsTheSame) {
  ASSERT_THAT(files_.Prepare(), IsOk());
  const NodeCredential credential = NewCredential();
  ASSERT_THAT(files_.Install(credential, clock_.Now()), IsOk());
  ASSERT_THAT(files_.Install(credential, clock_.Now()), IsOk());
  EXPECT_THAT(Found(), IsOk());
}

TEST_F(NodeFilesTest, WhatIsNoUsableCredentialIsNotFound) {
  struct Case {
    const char* name;
    std::function<void()> spoil;
    const char* want;
  };
  const std::string pem_of_nothing = "-----BEGIN CERTIFICATE-----\n";
  const std::vector<Case> cases = {
      {"no link", [&] { std::filesystem::remove(current_); },
       "No such file or directory"},
      {"a dangling link",
       [&] {
         std::filesystem::remove(std::filesystem::read_symlink(current_));
       },
       "No such file or directory"},
      {"an empty file", [&] { std::ofstream(current_, std::ios::trunc); },
       "kubelet-client-current.pem: "},
      {"half a file", [&] { std::filesystem::resize_file(current_, 700); },
       "current.pem: "},
      {"no key",
       [&] {
         const std::string pem = ReadFile(current_);
         std::ofstream(current_, std::ios::trunc)
             << pem.substr(0, pem.find("-----BEGIN EC"));
       },
       "current.pem: "},
      {"another's key",
       [&] {
         const std::string pem = ReadFile(current_);
         std::ofstream(current_, std::ios::trunc)
             << pem.substr(0, pem.find("-----BEGIN EC"))
             << PrivateKey::Generate(KeyType::kP256)->ToPem().Reveal();
       },
       "another key"},
      {"no kubeconfig",
       [&] { std::filesystem::remove(dir_.File("etc/kubelet.conf")); },
       "kubelet.conf"},
      {"a kubeconfig that does not parse",
       [&] { dir_.Write("etc/kubelet.conf", "{"); }, "kubelet.conf"},
      {"a kubeconfig of another credential",
       [&] { dir_.Write("etc/kubelet.conf", "users: []"); },
       "has no user with the client-certificate"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::filesystem::remove_all(dir_.File("pki"));
    std::filesystem::remove_all(dir_.File("etc"));
    ASSERT_THAT(files_.TryLock(), IsOk());
    ASSERT_THAT(files_.Prepare(), IsOk());
    ASSERT_THAT(files_.Install(NewCredential(), clock_.Now()), IsOk());
    ASSERT_THAT(Found(), IsOk());

    c.spoil();

    EXPECT_THAT(Found(),
                StatusIs(absl::StatusCode::kNotFound, HasSubstr(c.want)));
  }
}

TEST_F(NodeFilesTest, FindingWritesNothing) {
  EXPECT_THAT(Found(), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_FALSE(std::filesystem::exists(dir_.File("pki")));
}

TEST_F(NodeFilesTest, RecoversTheNewestThatFits) {
  ASSERT_THAT(files_.Prepare(), IsOk());
  ASSERT_THAT(files_.Install(NewCredential(), clock_.Now()), IsOk());
  clock_.Advance(absl::Minutes(5));
  const NodeCredential newest = NewCredential();
  ASSERT_THAT(files_.Install(newest, clock_.Now()), IsOk());
  dir_.Write("pki/kubelet-client-2999-01-01-00-00-00.pem", "junk");
  std::filesystem::remove(current_);

  EXPECT_THAT(files_.Recover("node-1", clock_.Now()),
              IsOkAndHolds(Field(&Certificate::key_digest,
                                 newest.key.public_key_digest())));
  EXPECT_THAT(Found(), IsOk());
}

TEST_F(NodeFilesTest, RecoversNothingWithoutAKubeconfig) {
  ASSERT_THAT(files_.Prepare(), IsOk());
  ASSERT_THAT(files_.Install(NewCredential(), clock_.Now()), IsOk());
  std::filesystem::remove(current_);
  std::filesystem::remove(dir_.File("etc/kubelet.conf"));
  EXPECT_THAT(files_.Recover("node-1", clock_.Now()),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(NodeFilesTest, TheKeyIsMadeOnceAndReadBack) {
  ASSERT_THAT(files_.Prepare(), IsOk());
  const auto made = files_.LoadOrCreateKey(KeyType::kP384);
  ASSERT_THAT(made, IsOk());
  EXPECT_EQ(made->type(), KeyType::kP384);
  EXPECT_EQ(ModeOf(dir_.File("pki/latchkey-join.key")), 0600U);

  // Whatever type is asked for now.
  const auto read = files_.LoadOrCreateKey(KeyType::kEd25519);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->public_key_digest(), made->public_key_digest());
}

TEST_F(NodeFilesTest, AfterAJoinTheNextKeyIsANewOne) {
  ASSERT_THAT(files_.Prepare(), IsOk());
  const auto first = files_.LoadOrCreateKey(KeyType::kP256);
  ASSERT_THAT(files_.Install(NewCredential(), clock_.Now()), IsOk());
  const auto second = files_.LoadOrCreateKey(KeyType::kP256);
  EXPECT_NE(first->public_key_digest(), second->public_key_digest());
}

TEST_F(NodeFilesTest, ADamagedKeyIsAnErrorThatDoesNotQuoteIt) {
  ASSERT_THAT(files_.Prepare(), IsOk());
  const std::string pem(PrivateKey::Generate(KeyType::kP256)->ToPem().Reveal());
  for (const std::string& content :
       {std::string(), std::string("hunter2"), pem.substr(0, pem.size() / 2),
        pem + pem, std::string(PrivateKey::kMaxPemBytes + 1, 'x')}) {
    dir_.Write("pki/latchkey-join.key", content);
    EXPECT_THAT(
        files_.LoadOrCreateKey(KeyType::kP256).status().ToString(),
        AllOf(HasSubstr("latchkey-join.key: "), Not(HasSubstr("hunter2"))));
    EXPECT_EQ(ReadFile(dir_.File("pki/latchkey-join.key")), content);
  }
}

TEST_F(NodeFilesTest, PreparingRemovesLeftoversOfKilledRuns) {
  ASSERT_THAT(files_.Prepare(), IsOk());
  dir_.Write("pki/.latchkey-tmp-latchkey-join.key-77-0", "half a k");
  dir_.Write("etc/.latchkey-tmp-kubelet.conf-77-0", "");
  ASSERT_THAT(files_.Prepare(), IsOk());
  EXPECT_FALSE(std::filesystem::exists(
      dir_.File("pki/.latchkey-tmp-latchkey-join.key-77-0")));
  EXPECT_FALSE(std::filesystem::exists(
      dir_.File("etc/.latchkey-tmp-kubelet.conf-77-0")));
}

}  // namespace
}  // namespace latchkey
