// The real kubectl and kubeadm against the embedded control plane.

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/devcluster/served_cluster.h"
#include "tests/testing/child_process.h"
#include "tests/testing/control_plane.h"
#include "tests/testing/sample_csr.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace kubernetes = latchkey::kubernetes;

class DevclusterToolsTest : public ControlPlaneProgramTest {
 protected:
  void SetUp() override {
    ControlPlaneProgramTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    cluster_.emplace();
    client_ = cluster_->Client(cluster_->Admin());
    kubeconfig_ =
        dir_.Write("admin.kubeconfig", cluster_->Kubeconfig(cluster_->Admin()));
  }

  ProgramResult Run(std::vector<std::string> command) {
    command.insert(command.begin(), ControlPlane::ProgramPath());
    // A cache of discovery of its own.
    return RunProgram(command, Environment());
  }
  // Its output; fails the test if the program fails.
  std::string MustRun(const std::vector<std::string>& command) {
    const ProgramResult result = Run(command);
    EXPECT_EQ(result.exit_code, 0) << command[1] << ": " << result.err;
    return result.out;
  }
  std::string Kubectl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "kubectl");
    return MustRun(arguments);
  }
  std::map<std::string, std::string> Environment() const {
    return {{"KUBECONFIG", kubeconfig_}, {"HOME", dir_.path().string()}};
  }

  void CreateCsr(const std::string& name) {
    kubernetes::CertificateSigningRequest csr;
    csr.mutable_metadata()->set_name(name);
    csr.mutable_spec()->set_request(kSampleCsrPem);
    csr.mutable_spec()->set_signer_name(
        "kubernetes.io/kube-apiserver-client-kubelet");
    csr.mutable_spec()->add_usages("digital signature");
    csr.mutable_spec()->add_usages("client auth");
    ASSERT_THAT(client_->Create(csr), IsOk());
  }

  const TempDir dir_;
  std::optional<ServedCluster> cluster_;
  std::unique_ptr<latchkey::KubernetesClient> client_;
  std::string kubeconfig_;
};

TEST_F(DevclusterToolsTest, KubectlMakesShowsAndDeletesSecrets) {
  EXPECT_THAT(Kubectl({"create", "secret", "generic", "a", "-n", "kube-public",
                       "--from-literal=key=value"}),
              HasSubstr("secret/a created"));
  EXPECT_THAT(Kubectl({"get", "secrets", "-n", "kube-public"}), HasSubstr("a"));
  EXPECT_THAT(Kubectl({"get", "secret", "-A", "-o", "yaml"}),
              AllOf(HasSubstr("kind: Secret"), HasSubstr("key: dmFsdWU=")));
  EXPECT_THAT(
      Kubectl({"get", "secret", "a", "-n", "kube-public", "-o", "json"}),
      HasSubstr("\"key\": \"dmFsdWU=\""));
  EXPECT_THAT(Kubectl({"get", "secrets", "-A", "--chunk-size=1", "-o", "name"}),
              HasSubstr("secret/a"));
  EXPECT_THAT(Kubectl({"describe", "secret", "a", "-n", "kube-public"}),
              HasSubstr("5 bytes"));
  EXPECT_THAT(Kubectl({"delete", "secret", "a", "-n", "kube-public"}),
              HasSubstr("deleted"));
  EXPECT_THAT(Run({"kubectl", "get", "secret", "a", "-n", "kube-public"}).err,
              HasSubstr("secrets \"a\" not found"));
}

TEST_F(DevclusterToolsTest, KubectlCreatesFromFilesAndChecksTheirFields) {
  const std::string good =
      dir_.Write("good.yaml",
                 "apiVersion: v1\n"
                 "kind: ConfigMap\n"
                 "metadata: {name: m, namespace: default}\n"
                 "data: {k: v}\n"
                 "---\n"
                 "apiVersion: v1\n"
                 "kind: Node\n"
                 "metadata: {name: node-1}\n"
                 "spec: {podCIDR: 10.0.0.0/24}\n");
  EXPECT_THAT(Kubectl({"create", "-f", good}),
              AllOf(HasSubstr("configmap/m created"),
                    HasSubstr("node/node-1 created")));
  EXPECT_THAT(Kubectl({"get", "cm", "m", "-o", "jsonpath={.data.k}"}), "v");
  EXPECT_THAT(
      Kubectl({"get", "no", "node-1", "-o", "jsonpath={.spec.podCIDR}"}),
      "10.0.0.0/24");
  EXPECT_THAT(Kubectl({"get", "nodes"}), HasSubstr("node-1"));

  const std::string bad = dir_.Write("bad.yaml",
                                     "apiVersion: v1\n"
                                     "kind: ConfigMap\n"
                                     "metadata: {name: bad}\n"
                                     "dtaa: {k: v}\n");
  const ProgramResult refused = Run({"kubectl", "create", "-f", bad});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_THAT(refused.err, HasSubstr("dtaa"));

  const std::string edited =
      dir_.Write("edited.yaml",
                 "apiVersion: v1\nkind: ConfigMap\n"
                 "metadata: {name: m, namespace: default}\ndata: {k: w}\n");
  EXPECT_THAT(Kubectl({"replace", "-f", edited}), HasSubstr("replaced"));
  EXPECT_THAT(Kubectl({"get", "cm", "m", "-o", "jsonpath={.data.k}"}), "w");
  EXPECT_THAT(Kubectl({"delete", "-f", good}), HasSubstr("deleted"));
}

TEST_F(DevclusterToolsTest, KubectlWatches) {
  const std::string out = dir_.File("watch.out");
  auto environment = Environment();
  auto watch = ChildProcess::Start(
      {ControlPlane::ProgramPath(), "kubectl", "get", "configmaps", "-n",
       "kube-public", "-w", "-o", "name"},
      {.environment = environment, .stdout_path = out});
  ASSERT_THAT(watch, IsOk());
  int made = 0;
  // It shows what there is and what comes; when it has begun, nobody tells.
  EXPECT_TRUE(WaitUntil([&] {
    kubernetes::ConfigMap map;
    map.mutable_metadata()->set_namespace_("kube-public");
    map.mutable_metadata()->set_name("m" + std::to_string(made++));
    EXPECT_THAT(client_->Create(map), IsOk());
    const std::string shown = ReadFile(out);
    return std::count(shown.begin(), shown.end(), '\n') >= 3;
  }));
  (*watch)->Signal(15);
}

TEST_F(DevclusterToolsTest, KubectlApprovesAndDenies) {
  CreateCsr("good");
  CreateCsr("bad");
  EXPECT_THAT(Kubectl({"certificate", "approve", "good"}),
              HasSubstr("approved"));
  EXPECT_THAT(Kubectl({"certificate", "deny", "bad"}), HasSubstr("denied"));
  EXPECT_THAT(Kubectl({"get", "csr", "-o",
                       "jsonpath={range .items[*]}{.metadata.name}="
                       "{.status.conditions[*].type};{end}"}),
              AllOf(HasSubstr("good=Approved;"), HasSubstr("bad=Denied;")));
  EXPECT_THAT(Kubectl({"get", "csr"}), HasSubstr("good"));
}

TEST_F(DevclusterToolsTest, KubectlTellsWhoOneIsAndWhatOneMay) {
  EXPECT_THAT(Kubectl({"auth", "whoami"}), AllOf(HasSubstr("kubernetes-admin"),
                                                 HasSubstr("system:masters")));
  EXPECT_THAT(Kubectl({"auth", "can-i", "create", "secrets"}),
              HasSubstr("yes"));
  EXPECT_THAT(Kubectl({"api-resources"}),
              AllOf(HasSubstr("certificatesigningrequests"), HasSubstr("csr")));
  EXPECT_THAT(Kubectl({"version"}), HasSubstr("latchkey"));
  EXPECT_THAT(Kubectl({"get", "--raw", "/readyz"}), "ok");

  kubeconfig_ = dir_.Write("nobody.kubeconfig",
                           cluster_->Kubeconfig(cluster_->Identity("nobody")));
  EXPECT_THAT(Run({"kubectl", "auth", "can-i", "get", "secrets"}).out,
              HasSubstr("no"));
  EXPECT_THAT(Run({"kubectl", "get", "secrets"}).err,
              HasSubstr("User \"nobody\" cannot list resource \"secrets\""));
}

TEST_F(DevclusterToolsTest, KubeadmMakesListsAndDeletesTokens) {
  const std::string token = "abcdef.0123456789abcdef";
  EXPECT_THAT(MustRun({"kubeadm", "token", "create", token, "--kubeconfig",
                       kubeconfig_}),
              HasSubstr(token));
  EXPECT_THAT(
      MustRun({"kubeadm", "token", "list", "--kubeconfig", kubeconfig_}),
      AllOf(HasSubstr(token), HasSubstr("authentication,signing")));
  EXPECT_THAT(MustRun({"kubeadm", "token", "delete", "abcdef", "--kubeconfig",
                       kubeconfig_}),
              HasSubstr("deleted"));
  EXPECT_THAT(
      MustRun({"kubeadm", "token", "list", "--kubeconfig", kubeconfig_}),
      Not(HasSubstr(token)));
}

}  // namespace
}  // namespace latchkey_testing
