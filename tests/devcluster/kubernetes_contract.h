// The contract of Kubernetes, as far as the embedded control plane claims to be
// one: each case, in kubernetes_contract_*.cc, is one observation of the API.
// All of them run against the real control plane as well, which decides what is
// right.
//
// A program links latchkey::kubernetes_contract and says
//
//   INSTANTIATE_TEST_SUITE_P(Embedded, KubernetesContract, Values(kind),
//                            PrintToStringParamName());
//
// The cluster is shared and may hold other objects: each case works on objects
// of names of its own, and removes them.

#ifndef LATCHKEY_TESTS_DEVCLUSTER_KUBERNETES_CONTRACT_H_
#define LATCHKEY_TESTS_DEVCLUSTER_KUBERNETES_CONTRACT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "clients/kubernetes/object_meta.h"
#include "crypto/certificate_request.h"
#include "crypto/private_key.h"
#include "tests/devcluster/cluster_under_test.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {

using latchkey::kCertificateSigningRequests;
using latchkey::kConfigMaps;
using latchkey::kLeases;
using latchkey::kNodes;
using latchkey::kSecrets;
using latchkey::KubernetesClient;
using latchkey::WatchEventType;
using latchkey::kubernetes::ConfigMap;
using latchkey::kubernetes::Lease;
using latchkey::kubernetes::Node;
using latchkey::kubernetes::Secret;
using latchkey::kubernetes::SecretList;
using Csr = latchkey::kubernetes::CertificateSigningRequest;
using CsrList = latchkey::kubernetes::CertificateSigningRequestList;

// Where most objects of the cases are.
inline constexpr char kContractNamespace[] = "kube-public";
inline constexpr char kKubeletSigner[] =
    "kubernetes.io/kube-apiserver-client-kubelet";
inline constexpr char kLatchkeyGroup[] = "system:bootstrappers:latchkey";

// A code, and a message with this in it. Of a 422 the message of a client has
// "field: reason" for each finding.
inline auto Fails(absl::StatusCode code, const std::string& message) {
  return StatusIs(code, ::testing::HasSubstr(message));
}
inline auto Invalid(const std::string& finding) {
  return Fails(absl::StatusCode::kInvalidArgument, finding);
}

class KubernetesContract : public ::testing::TestWithParam<ClusterKind> {
 protected:
  void SetUp() override;
  void TearDown() override;

  ClusterUnderTest& cluster() { return *cluster_; }
  KubernetesClient& admin() { return cluster_->Admin(); }
  // A client with a certificate of the cluster's authority.
  std::unique_ptr<KubernetesClient> As(
      const std::string& common_name,
      const std::vector<std::string>& organizations = {});

  // A name that nothing else uses.
  static std::string NewName();

  // Creates it as the administrator, or fails the test and answers an empty
  // one. It is removed at the end of the test.
  template <typename Object>
  Object MustCreate(const Object& object) {
    auto created = admin().Create(object);
    EXPECT_THAT(created, IsOk());
    if (!created.ok()) return Object();
    RemoveLater(*created);
    return *std::move(created);
  }
  template <typename Object>
  void RemoveLater(const Object& object) {
    RemoveLater(latchkey::ResourceOf<Object>(),
                {object.metadata().namespace_(), object.metadata().name()});
  }
  void RemoveLater(const latchkey::Resource& resource,
                   const latchkey::ObjectName& name);

  static Secret NewSecret(const std::string& name = NewName(),
                          const std::string& name_space = kContractNamespace);
  static ConfigMap NewConfigMap(const std::string& name = NewName());
  // With the label contract=`label`.
  static Secret NewLabelled(const std::string& label);
  Secret MustGet(const Secret& secret);

  // The Secret of a bootstrap token, in kube-system, that may log in.
  struct Token {
    std::string id;
    std::string secret = "0123456789abcdef";
    std::string joined() const { return id + "." + secret; }
  };
  static Token NewToken();
  static Secret SecretOf(const Token& token,
                         const std::string& groups = kLatchkeyGroup);
  // A token that the API server has seen, and its user's name.
  Token MustHaveToken();
  static std::string UserOf(const Token& token) {
    return "system:bootstrap:" + token.id;
  }
  // Waits until the API server knows all Secrets of tokens made so far: it
  // looks them up in a cache.
  void AwaitTokensSeen();
  // Waits until the token is known.
  bool AwaitLogin(const Token& token);

  // What a kubelet would post.
  static latchkey::PrivateKey NewKey();
  static Csr NewCsr(const latchkey::PrivateKey& key = NewKey());
  static Csr NewCsrFor(const latchkey::RequestedSubject& subject,
                       const latchkey::PrivateKey& key = NewKey());
  static void AddCondition(Csr& csr, const std::string& type,
                           const std::string& status = "True");
  // Approves it as the administrator; answers it as stored.
  Csr MustApprove(Csr csr);
  // Waits until the controllers have done with it: a certificate, or Failed.
  Csr AwaitOutcome(const Csr& csr);

  // Waits for the condition, and lets the controllers work meanwhile.
  bool Eventually(const std::function<bool()>& condition);

  struct Event {
    WatchEventType type;
    Secret object;
  };
  std::unique_ptr<latchkey::WatchStream> MustWatch(latchkey::WatchQuery query);
  // The next event that is no bookmark.
  static std::optional<Event> NextChange(latchkey::WatchStream& watch);
  // Of Secrets; includes all writes so far.
  std::string CurrentVersion();

 private:
  ClusterUnderTest* cluster_ = nullptr;
  std::vector<std::pair<latchkey::Resource, latchkey::ObjectName>> removals_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_DEVCLUSTER_KUBERNETES_CONTRACT_H_
