// Who may do what: bootstrap tokens, nodes, administrators, strangers.

#include "tests/devcluster/kubernetes_contract.h"

namespace latchkey_testing {
namespace {

using latchkey::kubernetes::NodeList;
using latchkey::kubernetes::SelfSubjectReview;
using ::testing::ElementsAre;

inline auto Forbidden(const std::string& message) {
  return Fails(absl::StatusCode::kPermissionDenied, message);
}

Node NewNode(const std::string& name) {
  Node node;
  node.mutable_metadata()->set_name(name);
  return node;
}

Lease NewNodeLease(const std::string& name) {
  Lease lease;
  lease.mutable_metadata()->set_namespace_("kube-node-lease");
  lease.mutable_metadata()->set_name(name);
  lease.mutable_spec()->set_holder_identity(name);
  return lease;
}

TEST_P(KubernetesContract, ACertificateLogsInAsItsSubject) {
  const auto review =
      As("contract-user", {"group-b", "group-a"})->Create(SelfSubjectReview());

  ASSERT_THAT(review, IsOk());
  const auto& user = review->status().user_info();
  EXPECT_EQ(user.username(), "contract-user");
  EXPECT_THAT(user.groups(),
              ElementsAre("group-b", "group-a", "system:authenticated"));
  ASSERT_EQ(user.extra_size(), 1);
  const auto& id =
      user.extra().at("authentication.kubernetes.io/credential-id");
  EXPECT_THAT(id.items(),
              ElementsAre(::testing::MatchesRegex("X509SHA256=[0-9a-f]{64}")));
}

TEST_P(KubernetesContract, ATokenMayMakeAndReadRequestsForCertificates) {
  const auto client = cluster().WithToken(MustHaveToken().joined());
  const Csr csr = NewCsr();

  ASSERT_THAT(client->Create(csr), IsOk());
  RemoveLater(csr);
  EXPECT_THAT(client->Get<Csr>({"", csr.metadata().name()}), IsOk());
  EXPECT_THAT(client->List<CsrList>({.limit = 1}), IsOk());
  EXPECT_THAT(
      client
          ->WatchObjects(kCertificateSigningRequests, {.resource_version = "0"})
          .status(),
      IsOk());
}

TEST_P(KubernetesContract, ATokenMayNotDecideOrRemoveRequests) {
  const Token token = MustHaveToken();
  const auto client = cluster().WithToken(token.joined());
  Csr csr = NewCsr();
  auto created = client->Create(csr);
  ASSERT_THAT(created, IsOk());
  RemoveLater(csr);
  AddCondition(*created, "Approved");

  EXPECT_THAT(client->Update(*created, "approval"),
              Forbidden("certificatesigningrequests.certificates.k8s.io \"" +
                        csr.metadata().name() + "\" is forbidden: User \"" +
                        UserOf(token) +
                        "\" cannot update resource "
                        "\"certificatesigningrequests/approval\" in API group "
                        "\"certificates.k8s.io\" at the cluster scope"));
  EXPECT_THAT(client->Update(*created, "status"),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(client->Update(*created),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(client->Delete<Csr>({"", csr.metadata().name()}),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_P(KubernetesContract, ATokenReadsNoSecrets) {
  const Token token = MustHaveToken();
  const auto client = cluster().WithToken(token.joined());

  EXPECT_THAT(
      client->Get<Secret>({"kube-system", "bootstrap-token-" + token.id}),
      Forbidden("secrets \"bootstrap-token-" + token.id +
                "\" is forbidden: User \"" + UserOf(token) +
                "\" cannot get resource \"secrets\" in API group \"\" in the "
                "namespace \"kube-system\""));
  EXPECT_THAT(client->List<SecretList>({.name_space = "kube-system"}),
              Forbidden("secrets is forbidden: User \"" + UserOf(token) +
                        "\" cannot list resource \"secrets\" in API group \"\" "
                        "in the namespace \"kube-system\""));
  EXPECT_THAT(client->List<SecretList>({}),
              Forbidden("cannot list resource \"secrets\" in API group \"\" at "
                        "the cluster scope"));
}

TEST_P(KubernetesContract, ATokenOfNoBoundGroupMayNotAskForCertificates) {
  const Token token = NewToken();
  MustCreate(SecretOf(token, "system:bootstrappers:nobodys"));
  ASSERT_TRUE(AwaitLogin(token));

  EXPECT_THAT(cluster().WithToken(token.joined())->Create(NewCsr()),
              Forbidden("cannot create resource \"certificatesigningrequests\" "
                        "in API group \"certificates.k8s.io\" at the cluster "
                        "scope"));
}

TEST_P(KubernetesContract, ADeniedCallerLearnsNothingOfWhatExists) {
  const auto nobody = As("contract-nobody");

  EXPECT_THAT(nobody->Get<Secret>({"no-such-namespace", NewName()}),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(nobody->Create(NewSecret("Not_A_Name")),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(nobody->Delete<Secret>({"kube-public", NewName()}),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(nobody->Get<Node>({"", NewName()}),
              Forbidden("cannot get resource \"nodes\" in API group \"\" at "
                        "the cluster scope"));
}

TEST_P(KubernetesContract, AnyoneMayReadClusterInfoAndNothingBesides) {
  const auto anyone = cluster().Anonymous();

  EXPECT_THAT(anyone->Get<ConfigMap>({"kube-public", "cluster-info"}), IsOk());
  EXPECT_THAT(
      anyone->Get<ConfigMap>({"kube-public", "other"}),
      Forbidden("configmaps \"other\" is forbidden: User \"system:anonymous\" "
                "cannot get resource \"configmaps\" in API group \"\" in the "
                "namespace \"kube-public\""));
  EXPECT_THAT(anyone->Create(NewCsr()),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(anyone->Create(SelfSubjectReview()),
              Forbidden("cannot create resource \"selfsubjectreviews\" in API "
                        "group \"authentication.k8s.io\" at the cluster "
                        "scope"));
}

TEST_P(KubernetesContract, AnUpdateNeedsLeaveAsARead) {
  const ConfigMap map = MustCreate(NewConfigMap());

  EXPECT_THAT(cluster().Anonymous()->Update(map),
              Forbidden("cannot update resource \"configmaps\""));
}

TEST_P(KubernetesContract, ANodeMakesAndReadsItsOwnNode) {
  const std::string name = NewName();
  const auto node = As("system:node:" + name, {"system:nodes"});

  ASSERT_THAT(node->Create(NewNode(name)), IsOk());
  RemoveLater(NewNode(name));

  auto own = node->Get<Node>({"", name});
  ASSERT_THAT(own, IsOk());
  (*own->mutable_metadata()->mutable_labels())["latchkey.dev/a"] = "b";
  EXPECT_THAT(node->Update(*own), IsOk());
  EXPECT_THAT(node->List<NodeList>({.field_selector = "metadata.name=" + name}),
              IsOk());
}

TEST_P(KubernetesContract, ANodeTouchesNoOtherNode) {
  const std::string name = NewName();
  const auto node = As("system:node:" + name, {"system:nodes"});
  const Node other = MustCreate(NewNode(NewName()));

  EXPECT_THAT(node->Create(NewNode(NewName())),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(node->Get<Node>({"", other.metadata().name()}),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(node->Update(other),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(node->List<NodeList>({}),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(node->Delete<Node>({"", other.metadata().name()}),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_P(KubernetesContract, ANodeMayNotDeleteItself) {
  const std::string name = NewName();
  MustCreate(NewNode(name));

  EXPECT_THAT(
      As("system:node:" + name, {"system:nodes"})->Delete<Node>({"", name}),
      StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_P(KubernetesContract, ANodeMayNotGiveItselfRestrictedLabels) {
  const std::string name = NewName();
  Node node = NewNode(name);
  (*node.mutable_metadata()
        ->mutable_labels())["node-restriction.kubernetes.io/tier"] = "1";

  EXPECT_THAT(As("system:node:" + name, {"system:nodes"})->Create(node),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_P(KubernetesContract, ANodeKeepsItsOwnLease) {
  const std::string name = NewName();
  const auto node = As("system:node:" + name, {"system:nodes"});

  auto lease = node->Create(NewNodeLease(name));
  ASSERT_THAT(lease, IsOk());
  RemoveLater(*lease);
  EXPECT_THAT(node->Get<Lease>({"kube-node-lease", name}), IsOk());
  lease->mutable_spec()->set_lease_duration_seconds(40);
  EXPECT_THAT(node->Update(*lease), IsOk());
}

TEST_P(KubernetesContract, ANodeKeepsNoOtherLease) {
  const auto node = As("system:node:" + NewName(), {"system:nodes"});
  const Lease other = MustCreate(NewNodeLease(NewName()));

  EXPECT_THAT(node->Create(NewNodeLease(NewName())),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(node->Get<Lease>({"kube-node-lease", other.metadata().name()}),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(node->Update(other),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_P(KubernetesContract, ANodeReadsNoSecretThatNoPodOfItsUses) {
  const Secret secret = MustCreate(NewSecret());
  const auto node = As("system:node:" + NewName(), {"system:nodes"});

  EXPECT_THAT(node->Get<Secret>({kContractNamespace, secret.metadata().name()}),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(node->List<SecretList>({.name_space = "kube-system"}),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_P(KubernetesContract, ANodeAsksForCertificatesOfItsOwnNameOnly) {
  const std::string name = NewName();
  const auto node = As("system:node:" + name, {"system:nodes"});
  const Csr own = NewCsrFor({.common_name = "system:node:" + name,
                             .organizations = {"system:nodes"}});

  EXPECT_THAT(node->Create(own), IsOk());
  RemoveLater(own);
  EXPECT_THAT(node->Create(NewCsrFor({.common_name = "system:node:other",
                                      .organizations = {"system:nodes"}})),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_P(KubernetesContract, TheNameOfANodeIsNothingWithoutItsGroup) {
  const std::string name = NewName();
  const Node node = MustCreate(NewNode(name));

  EXPECT_THAT(As("system:node:" + name)->Get<Node>({"", name}),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(As("contract-user", {"system:nodes"})->Get<Node>({"", name}),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_P(KubernetesContract, NobodyAsksForACertificateOfSystemMasters) {
  Csr csr = NewCsrFor(
      {.common_name = "contract-user", .organizations = {"system:masters"}});
  csr.mutable_spec()->set_signer_name("kubernetes.io/kube-apiserver-client");

  EXPECT_THAT(admin().Create(csr),
              Forbidden("use of kubernetes.io/kube-apiserver-client signer "
                        "with system:masters group is not allowed"));
}

TEST_P(KubernetesContract, AMemberOfSystemMastersMayDoEverything) {
  const auto client = As("contract-chief", {"system:masters"});
  const Secret secret = NewSecret(NewName(), "kube-system");

  ASSERT_THAT(client->Create(secret), IsOk());
  EXPECT_THAT(client->Delete<Secret>({"kube-system", secret.metadata().name()}),
              IsOk());
}

}  // namespace
}  // namespace latchkey_testing
