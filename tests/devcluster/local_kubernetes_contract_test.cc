// The embedded control plane without its sockets.

#include <fmt/format.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "core/clock.h"
#include "crypto/certificate.h"
#include "devcluster/api_server.h"
#include "devcluster/cluster_authority.h"
#include "devcluster/controllers.h"
#include "devcluster/kubeconfig_text.h"
#include "devcluster/local_kubernetes_client.h"
#include "devcluster/object_store.h"
#include "tests/devcluster/kubernetes_contract.h"

namespace latchkey_testing {
namespace {

using google::protobuf::Message;
using latchkey::ApiServer;
using latchkey::ObjectName;
using latchkey::Resource;

// Logs in for each request, as a client over HTTP does.
class TokenClient final : public KubernetesClient {
 public:
  TokenClient(ApiServer& server, std::string token)
      : server_(server), token_(std::move(token)) {}

  absl::Status CreateObject(const Resource& resource,
                            std::string_view name_space, const Message& object,
                            Message& result) override {
    return As([&](KubernetesClient& user) {
      return user.CreateObject(resource, name_space, object, result);
    });
  }
  absl::Status GetObject(const Resource& resource, const ObjectName& name,
                         Message& result) override {
    return As([&](KubernetesClient& user) {
      return user.GetObject(resource, name, result);
    });
  }
  absl::Status UpdateObject(const Resource& resource, const ObjectName& name,
                            std::string_view subresource, const Message& object,
                            Message& result) override {
    return As([&](KubernetesClient& user) {
      return user.UpdateObject(resource, name, subresource, object, result);
    });
  }
  absl::Status DeleteObject(
      const Resource& resource, const ObjectName& name,
      const latchkey::DeletePreconditions& expected) override {
    return As([&](KubernetesClient& user) {
      return user.DeleteObject(resource, name, expected);
    });
  }
  absl::Status ListObjects(const Resource& resource,
                           const latchkey::ListQuery& query,
                           Message& list) override {
    return As([&](KubernetesClient& user) {
      return user.ListObjects(resource, query, list);
    });
  }
  absl::StatusOr<std::unique_ptr<latchkey::WatchStream>> WatchObjects(
      const Resource& resource, const latchkey::WatchQuery& query) override {
    std::unique_ptr<latchkey::WatchStream> watch;
    LATCHKEY_RETURN_IF_ERROR(As([&](KubernetesClient& user) -> absl::Status {
      LATCHKEY_ASSIGN_OR_RETURN(watch, user.WatchObjects(resource, query));
      return absl::OkStatus();
    }));
    return watch;
  }

 private:
  template <typename Request>
  absl::Status As(const Request& request) {
    LATCHKEY_ASSIGN_OR_RETURN(latchkey::User user,
                              server_.AuthenticateToken(token_));
    return request(*MakeLocalKubernetesClient(server_, std::move(user)));
  }

  ApiServer& server_;
  const std::string token_;
};

class LocalCluster final : public ClusterUnderTest {
 public:
  LocalCluster() {
    ConfigMap info;
    info.mutable_metadata()->set_namespace_("kube-public");
    info.mutable_metadata()->set_name("cluster-info");
    (*info.mutable_data())["kubeconfig"] = latchkey::ClusterInfoKubeconfig(
        "https://127.0.0.1:6443", ca_.certificate_pem());
    EXPECT_THAT(admin_->Create(info), IsOk());
  }

  KubernetesClient& Admin() override { return *admin_; }
  std::unique_ptr<KubernetesClient> WithToken(
      const std::string& bearer_token) override {
    return std::make_unique<TokenClient>(api_, bearer_token);
  }
  std::unique_ptr<KubernetesClient> WithCertificate(
      const latchkey::IssuedIdentity& identity) override {
    const auto parsed =
        latchkey::Certificate::ParseAll(identity.certificate_pem).value();
    return MakeLocalKubernetesClient(
        api_, latchkey::UserOfCertificate(parsed.front()).value());
  }
  std::unique_ptr<KubernetesClient> Anonymous() override {
    return MakeLocalKubernetesClient(api_, latchkey::AnonymousUser());
  }
  const latchkey::CertificateAuthority& ca() override { return ca_; }
  void StepControllers() override { controllers_.Step(); }
  void ForgetHistory() override { store_->ForgetHistory(); }

 private:
  const latchkey::SystemClock clock_;
  const std::unique_ptr<latchkey::ObjectStore> store_ =
      latchkey::MakeMemoryObjectStore();
  ApiServer api_{*store_, clock_};
  const latchkey::CertificateAuthority ca_ =
      latchkey::CreateClusterAuthority(clock_.Now()).value();
  const std::unique_ptr<KubernetesClient> admin_ =
      MakeLocalKubernetesClient(api_, latchkey::AdminUser());
  latchkey::Controllers controllers_{*admin_, ca_, clock_, {}};
};

void OpenLocal(ClusterUnderTest*& cluster) {
  static LocalCluster local;
  cluster = &local;
}

INSTANTIATE_TEST_SUITE_P(Local, KubernetesContract,
                         ::testing::Values(ClusterKind{"Local", OpenLocal}),
                         ::testing::PrintToStringParamName());

}  // namespace
}  // namespace latchkey_testing
