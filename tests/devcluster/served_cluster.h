// An ApiServer in memory, served by an HttpFace on loopback.

#ifndef LATCHKEY_TESTS_DEVCLUSTER_SERVED_CLUSTER_H_
#define LATCHKEY_TESTS_DEVCLUSTER_SERVED_CLUSTER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/escaping.h>
#include <absl/time/clock.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "clients/http/curl_http_client.h"
#include "clients/kubernetes/http_kubernetes_client.h"
#include "core/clock.h"
#include "crypto/certificate_authority.h"
#include "devcluster/api_server.h"
#include "devcluster/http_face.h"
#include "devcluster/object_store.h"
#include "devcluster/user.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {

// The time as it is, or as much later as a test wants.
class EarlyClock final : public latchkey::Clock {
 public:
  absl::Time Now() const override {
    return absl::Now() + absl::Seconds(ahead_seconds_.load());
  }
  void Advance(absl::Duration by) {
    ahead_seconds_ += absl::ToInt64Seconds(by);
  }

 private:
  std::atomic<int64_t> ahead_seconds_ = 0;
};

class ServedCluster {
 public:
  explicit ServedCluster(latchkey::HttpFaceOptions options = {})
      : ca_(NewAuthority()) {
    const latchkey::IssuedIdentity server =
        Issue(ca_, {.common_name = "server",
                    .ip_addresses = {"127.0.0.1"},
                    .server_auth = true});
    options.certificate_pem = server.certificate_pem;
    options.private_key_pem = server.private_key_pem;
    options.client_ca_pem = ca_.certificate_pem();
    auto face = latchkey::HttpFace::Start(api_, std::move(options));
    EXPECT_THAT(face, IsOk());
    if (face.ok()) face_ = *std::move(face);
  }

  latchkey::ApiServer& api() { return api_; }
  EarlyClock& clock() { return clock_; }
  latchkey::ObjectStore& store() { return *store_; }
  uint16_t port() const { return face_->port(); }
  std::string url() const {
    return fmt::format("https://127.0.0.1:{}", port());
  }
  const std::string& ca_pem() const { return ca_.certificate_pem(); }
  void StopFace() { face_.reset(); }

  // A client certificate of this cluster, or of a stranger that calls itself
  // alike.
  latchkey::IssuedIdentity Identity(
      const std::string& name, const std::vector<std::string>& groups = {}) {
    return Issue(
        ca_,
        {.common_name = name, .organizations = groups, .client_auth = true});
  }
  latchkey::IssuedIdentity Admin() {
    return Identity("kubernetes-admin", {"system:masters"});
  }
  static latchkey::IssuedIdentity StrangeAdmin() {
    return Issue(NewAuthority(), {.common_name = "kubernetes-admin",
                                  .organizations = {"system:masters"},
                                  .client_auth = true});
  }

  std::unique_ptr<latchkey::KubernetesClient> Client(
      const latchkey::IssuedIdentity& identity) const {
    auto http = latchkey::CurlHttpClient::Create(
        {.base_url = url(),
         .ca_pem = ca_pem(),
         .client_certificate_pem = identity.certificate_pem,
         .client_key_pem = identity.private_key_pem});
    EXPECT_THAT(http, IsOk());
    return std::make_unique<latchkey::HttpKubernetesClient>(
        std::make_shared<latchkey::FixedApiAccess>(
            latchkey::ApiSession{*std::move(http), {}}));
  }

  std::string Kubeconfig(const latchkey::IssuedIdentity& identity) const {
    return fmt::format(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{{name: c, cluster: {{server: '{}', "
        "certificate-authority-data: {}}}}}]\n"
        "contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        "users: [{{name: u, user: {{client-certificate-data: {}, "
        "client-key-data: {}}}}}]\n",
        url(), Base64(ca_pem()), Base64(identity.certificate_pem),
        Base64(identity.private_key_pem.Reveal()));
  }

 private:
  static std::string Base64(std::string_view text) {
    return absl::Base64Escape({text.data(), text.size()});
  }
  static latchkey::CertificateAuthority NewAuthority() {
    auto ca = latchkey::CertificateAuthority::Create(
        "kubernetes", absl::Now() - absl::Hours(1),
        absl::Now() + absl::Hours(24));
    EXPECT_THAT(ca, IsOk());
    return *std::move(ca);
  }
  static latchkey::IssuedIdentity Issue(
      const latchkey::CertificateAuthority& ca,
      latchkey::CertificateProfile profile) {
    profile.not_before = absl::Now() - absl::Hours(1);
    profile.not_after = absl::Now() + absl::Hours(1);
    auto issued = ca.Issue(profile);
    EXPECT_THAT(issued, IsOk());
    return *std::move(issued);
  }

  EarlyClock clock_;
  const latchkey::CertificateAuthority ca_;
  const std::unique_ptr<latchkey::ObjectStore> store_ =
      latchkey::MakeMemoryObjectStore();
  latchkey::ApiServer api_{*store_, clock_};
  std::unique_ptr<latchkey::HttpFace> face_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_DEVCLUSTER_SERVED_CLUSTER_H_
