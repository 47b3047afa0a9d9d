#include "clients/kubernetes/kubeconfig.h"

#include <map>

#include <absl/strings/escaping.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::latchkey_testing::StatusIs;
using ::latchkey_testing::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A kubeconfig with these lines in its current cluster and user.
std::string Kubeconfig(const std::string& cluster, const std::string& user) {
  return fmt::format(R"(apiVersion: v1
kind: Config
preferences: {{}}
current-context: here
contexts:
- name: elsewhere
  context: {{cluster: no, user: no}}
- name: here
  context:
    cluster: c
    user: u
    namespace: ignored
clusters:
- name: other
  cluster: {{server: "http://not.looked.at", insecure-skip-tls-verify: true}}
- name: c
  cluster:
{}
users:
- name: other
  user: {{exec: {{command: not-looked-at}}}}
- name: u
  user:
{}
)",
                     cluster, user);
}

constexpr char kServer[] = "    server: https://10.0.0.1:6443";

absl::StatusOr<ApiServerConfig> Parse(const std::string& cluster,
                                      const std::string& user) {
  return ParseKubeconfig("/etc/kube/config", Kubeconfig(cluster, user));
}

TEST(KubeconfigTest, ReadsPathsRelativeToItsFolder) {
  const auto config = Parse(fmt::format("{}\n    tls-server-name: api.test\n"
                                        "    certificate-authority: ca.crt",
                                        kServer),
                            "    client-certificate: pki/client.crt\n"
                            "    client-key: /abs/client.key\n"
                            "    tokenFile: ../token");

  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->server, "https://10.0.0.1:6443");
  EXPECT_EQ(config->tls_server_name, "api.test");
  EXPECT_EQ(config->certificate_authority.path, "/etc/kube/ca.crt");
  EXPECT_EQ(config->client_certificate.path, "/etc/kube/pki/client.crt");
  EXPECT_EQ(config->client_key.path, "/abs/client.key");
  EXPECT_EQ(config->token.path, "/etc/kube/../token");
}

TEST(KubeconfigTest, DataGoesBeforePaths) {
  const std::string encoded = absl::Base64Escape("PEM");
  const auto config =
      Parse(fmt::format("{}\n    certificate-authority-data: {}\n"
                        "    certificate-authority: not-this",
                        kServer, encoded),
            fmt::format("    client-certificate-data: {0}\n"
                        "    client-key-data: {0}\n    token: the-token",
                        encoded));

  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->certificate_authority.inline_bytes.Reveal(), "PEM");
  EXPECT_EQ(config->certificate_authority.path, "");
  EXPECT_EQ(config->client_key.inline_bytes.Reveal(), "PEM");
  EXPECT_EQ(config->token.inline_bytes.Reveal(), "the-token");
}

TEST(KubeconfigTest, WhatWeWouldNotDoIsRefusedByName) {
  for (const char* field :
       {"insecure-skip-tls-verify: true", "proxy-url: http://p"}) {
    const std::string name(field, std::string_view(field).find(':'));
    EXPECT_THAT(Parse(fmt::format("{}\n    {}", kServer, field), "    {}"),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(name), HasSubstr("/etc/kube/config"))))
        << field;
  }
  for (const char* field :
       {"exec: {command: x}", "auth-provider: {name: x}", "username: x",
        "password: x", "as: root", "as-uid: x", "as-groups: [x]",
        "as-user-extra: {a: [x]}"}) {
    const std::string name(field, std::string_view(field).find(':'));
    EXPECT_THAT(Parse(kServer, fmt::format("    {}", field)),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(name), HasSubstr("/etc/kube/config"))))
        << field;
  }
  EXPECT_THAT(
      Parse(fmt::format("{}\n    insecure-skip-tls-verify: false", kServer),
            "    {}"),
      IsOk());
}

TEST(KubeconfigTest, AllMistakesAreToldAtOnce) {
  const auto config = Parse("    server: http://plain\n    proxy-url: p",
                            "    exec: {}\n    client-certificate-data: '%%%'");

  EXPECT_THAT(config, StatusIs(absl::StatusCode::kInvalidArgument,
                               AllOf(HasSubstr("server"),
                                     HasSubstr("proxy-url"), HasSubstr("exec"),
                                     HasSubstr("client-certificate-data"))));
}

TEST(KubeconfigTest, BadFilesAreRefused) {
  for (const char* text :
       {"", "[]", "kind: Config", "kind: Pod\ncurrent-context: x",
        "current-context: none\ncontexts: []",
        "current-context: c\ncontexts: [{name: c, context: {cluster: c}}]",
        "current-context: c\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: 'https://h'}}]\nusers: []",
        "current-context: [", "\xff\xfe"}) {
    EXPECT_THAT(ParseKubeconfig("f", text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
  EXPECT_THAT(Parse(kServer, "    client-key: half.key"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(KubeconfigTest, MistakesRepeatNoSecret) {
  const auto config = Parse("    server: http://plain",
                            "    token: the-token\n    client-key-data: "
                            "'the-key%'\n    password: the-password");
  EXPECT_THAT(config.status().ToString(),
              AllOf(::testing::Not(HasSubstr("the-token")),
                    ::testing::Not(HasSubstr("the-key")),
                    ::testing::Not(HasSubstr("the-password"))));
}

TEST(KubeconfigTest, AFileIsReadWithinBounds) {
  const TempDir dir;
  const std::string text = Kubeconfig(kServer, "    token: t");
  EXPECT_THAT(LoadKubeconfig(dir.Write("config", text)), IsOk());
  EXPECT_THAT(LoadKubeconfig(dir.File("none")),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(LoadKubeconfig(dir.Write(
                  "large", text + std::string(kMaxKubeconfigBytes, '#'))),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(InClusterTest, IsWhereKubernetesSays) {
  std::map<std::string, std::string> environment;
  const auto lookup =
      [&](const std::string& name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    if (found == environment.end()) return std::nullopt;
    return found->second;
  };
  EXPECT_THAT(InClusterConfig(lookup),
              StatusIs(absl::StatusCode::kFailedPrecondition));

  environment = {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"},
                 {"KUBERNETES_SERVICE_PORT", "443"}};
  const auto config = InClusterConfig(lookup);
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->server, "https://10.96.0.1:443");
  EXPECT_EQ(config->token.path,
            "/var/run/secrets/kubernetes.io/serviceaccount/token");
  EXPECT_EQ(config->certificate_authority.path,
            "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");

  environment["KUBERNETES_SERVICE_HOST"] = "fd00::1";
  EXPECT_EQ(InClusterConfig(lookup)->server, "https://[fd00::1]:443");
}

}  // namespace
}  // namespace latchkey
