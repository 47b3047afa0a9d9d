// An ApiServer over a memory store, and a vocabulary for tests of its rules.

#ifndef LATCHKEY_TESTS_DEVCLUSTER_API_FIXTURE_H_
#define LATCHKEY_TESTS_DEVCLUSTER_API_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/text_time.h"
#include "crypto/certificate_authority.h"
#include "crypto/certificate_request.h"
#include "crypto/private_key.h"
#include "devcluster/api_error.h"
#include "devcluster/api_server.h"
#include "devcluster/local_kubernetes_client.h"
#include "devcluster/object_store.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {

// An error whose metav1.Status has this HTTP code and such a message.
MATCHER_P2(IsApiError, code, message, "is an error of the API server") {
  const auto error = latchkey::KubernetesStatusOf(StatusOf(arg));
  *result_listener << "which is " << StatusOf(arg).ToString() << " and says "
                   << error.code() << " " << error.message();
  return !StatusOf(arg).ok() && error.code() == code &&
         ::testing::Matches(message)(error.message());
}

class ApiFixture : public ::testing::Test {
 protected:
  using Secret = latchkey::kubernetes::Secret;
  using Csr = latchkey::kubernetes::CertificateSigningRequest;
  using User = latchkey::User;

  static constexpr char kToken[] = "abc123.0123456789abcdef";
  static constexpr char kKubeletSigner[] =
      "kubernetes.io/kube-apiserver-client-kubelet";

  std::unique_ptr<latchkey::KubernetesClient> As(const User& user) {
    return latchkey::MakeLocalKubernetesClient(api_, user);
  }
  static User TokenUser(
      const std::string& group = "system:bootstrappers:latchkey") {
    return {.name = "system:bootstrap:abc123",
            .groups = {"system:bootstrappers", group, "system:authenticated"}};
  }
  static User NodeUser(const std::string& node) {
    return {.name = "system:node:" + node,
            .groups = {"system:nodes", "system:authenticated"}};
  }

  // The verbs as the user of the API that each test is about, with the whole
  // metav1.Status in the errors.
  template <typename Object>
  absl::StatusOr<Object> Create(const User& user, const Object& object) {
    auto stored = api_.Create(user, latchkey::ResourceOf<Object>(),
                              object.metadata().namespace_(), object);
    if (!stored.ok()) return stored.status();
    return dynamic_cast<const Object&>((*stored)->message());
  }
  template <typename Object>
  absl::StatusOr<Object> Update(const User& user, const Object& object,
                                std::string_view subresource = "") {
    auto stored =
        api_.Update(user, latchkey::ResourceOf<Object>(),
                    {object.metadata().namespace_(), object.metadata().name()},
                    subresource, object);
    if (!stored.ok()) return stored.status();
    return dynamic_cast<const Object&>((*stored)->message());
  }

  static Secret NewSecret(const std::string& name) {
    Secret secret;
    secret.mutable_metadata()->set_namespace_("kube-system");
    secret.mutable_metadata()->set_name(name);
    (*secret.mutable_data())["key"] = "value";
    return secret;
  }
  // Of kToken, and live.
  Secret TokenSecret() const {
    Secret secret = NewSecret("bootstrap-token-abc123");
    secret.set_type("bootstrap.kubernetes.io/token");
    auto& data = *secret.mutable_data();
    data["token-id"] = "abc123";
    data["token-secret"] = "0123456789abcdef";
    data["usage-bootstrap-authentication"] = "true";
    data["auth-extra-groups"] = "system:bootstrappers:latchkey";
    data["expiration"] =
        latchkey::FormatRfc3339(clock_.Now() + absl::Minutes(15));
    return secret;
  }
  Csr NewCsr(const std::string& name,
             const latchkey::RequestedSubject& subject = {
                 .common_name = "system:node:worker-1",
                 .organizations = {"system:nodes"}}) const {
    Csr csr;
    csr.mutable_metadata()->set_name(name);
    auto& spec = *csr.mutable_spec();
    spec.set_signer_name(kKubeletSigner);
    spec.add_usages("digital signature");
    spec.add_usages("client auth");
    spec.set_request(latchkey::BuildCertificateRequest(key_, subject).value());
    return csr;
  }
  static void AddCondition(Csr& csr, const std::string& type,
                           const std::string& status = "True") {
    auto& condition = *csr.mutable_status()->add_conditions();
    condition.set_type(type);
    condition.set_status(status);
    condition.set_reason("Test");
  }
  std::string SignedCertificate(const Csr& csr) const {
    latchkey::CertificateProfile profile;
    profile.common_name = "system:node:worker-1";
    profile.organizations = {"system:nodes"};
    profile.not_before = clock_.Now();
    profile.not_after = clock_.Now() + absl::Hours(1);
    profile.client_auth = true;
    return authority_.SignRequest(csr.spec().request(), profile).value();
  }

  FakeClock clock_;
  std::unique_ptr<latchkey::ObjectStore> store_ =
      latchkey::MakeMemoryObjectStore();
  latchkey::ApiServer api_{*store_, clock_};
  const User admin_ = latchkey::AdminUser();
  const latchkey::PrivateKey key_ =
      latchkey::PrivateKey::Generate(latchkey::KeyType::kP256).value();
  const latchkey::CertificateAuthority authority_ =
      latchkey::CertificateAuthority::Create(
          "cluster", absl::FromUnixSeconds(1'700'000'000),
          absl::FromUnixSeconds(1'900'000'000))
          .value();
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_DEVCLUSTER_API_FIXTURE_H_
