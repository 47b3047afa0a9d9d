// What the real API server sends, decoded and encoded again, is the same bytes,
// fields that we do not know included: a read-modify-write loses nothing.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "clients/kubernetes/envelope.h"
#include "clients/kubernetes/kube_time.h"
#include "clients/kubernetes/kubernetes_status.h"
#include "tests/e2e/cluster_client.h"
#include "tests/testing/control_plane.h"
#include "tests/testing/sample_csr.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::KubernetesClient;
namespace kubernetes = latchkey::kubernetes;

class BytesTest : public ControlPlaneTest {
 protected:
  void SetUp() override {
    ControlPlaneTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    http_ = HttpOfKubeconfig(cluster().admin_kubeconfig());
    ASSERT_NE(http_, nullptr);
    client_ = ClientOfKubeconfig(cluster().admin_kubeconfig());
  }

  // The object within the server's answer to a GET, as it came.
  std::string RawObject(const std::string& path, std::string_view kind) {
    latchkey::HttpRequest request;
    request.target = path;
    request.headers = {{"accept", latchkey::kProtobufContentType}};
    return RawAnswer(request, kind);
  }

  // The server's whole answer to a watch that lasts a second.
  std::string RawWatch(const std::string& path) {
    latchkey::HttpRequest request;
    request.target = path + "&watch=1&timeoutSeconds=1";
    request.headers = {{"accept", std::string(latchkey::kProtobufContentType) +
                                      ";stream=watch"}};
    const auto response = http_->Send(request);
    EXPECT_THAT(response, IsOk());
    return response.ok() ? response->body : "";
  }

  // What the server makes of a review, as it came.
  template <typename Review>
  std::string RawReview(const latchkey::Resource& resource,
                        const Review& review) {
    latchkey::HttpRequest request;
    request.method = "POST";
    request.target =
        fmt::format("/apis/{}/{}", resource.api_version, resource.plural);
    request.headers = {{"accept", latchkey::kProtobufContentType},
                       {"content-type", latchkey::kProtobufContentType}};
    request.body =
        latchkey::WrapObject(resource.api_version, resource.kind, review);
    return RawAnswer(request, resource.kind);
  }

  // Decodes what is at `path` as a Message and expects its bytes back.
  template <typename Message>
  Message ExpectSameBytes(const std::string& path, std::string_view kind) {
    SCOPED_TRACE(path);
    return ExpectSame<Message>(RawObject(path, kind));
  }
  template <typename Message>
  static Message ExpectSame(const std::string& raw) {
    Message message;
    EXPECT_TRUE(message.ParseFromString(raw));
    EXPECT_FALSE(raw.empty());
    EXPECT_EQ(latchkey::SerializeDeterministically(message), raw);
    return message;
  }

  KubernetesClient& client() { return *client_; }

 private:
  std::string RawAnswer(const latchkey::HttpRequest& request,
                        std::string_view kind) {
    const auto response = http_->Send(request);
    EXPECT_THAT(response, IsOk());
    if (!response.ok()) return "";
    const auto envelope = latchkey::OpenEnvelope(response->body);
    EXPECT_THAT(envelope, IsOk());
    if (!envelope.ok()) return "";
    EXPECT_EQ(envelope->kind, kind);
    return std::string(envelope->raw);
  }

  std::shared_ptr<latchkey::HttpClient> http_;
  std::unique_ptr<KubernetesClient> client_;
};

kubernetes::ObjectMeta RichMetadata(const std::string& name_space,
                                    const std::string& name) {
  kubernetes::ObjectMeta metadata;
  metadata.set_namespace_(name_space);
  metadata.set_name(name);
  for (const char* key : {"z", "a", "m/b", "Z", "a.a"}) {
    (*metadata.mutable_labels())[key] = "";
    (*metadata.mutable_annotations())[key] = "\xc3\xa9 value";
  }
  metadata.add_finalizers("latchkey.test/none");
  auto* owner = metadata.add_owner_references();
  owner->set_api_version("v1");
  owner->set_kind("ConfigMap");
  owner->set_name("owner");
  owner->set_uid("00000000-0000-4000-8000-000000000001");
  return metadata;
}

TEST_F(BytesTest, SecretsAndTheirLists) {
  kubernetes::Secret secret;
  *secret.mutable_metadata() = RichMetadata("kube-public", "bytes");
  (*secret.mutable_data())["empty"] = "";
  (*secret.mutable_data())["binary"] = std::string("\0\x01\xff", 3);
  (*secret.mutable_data())["Another"] = "x";
  secret.set_immutable(true);
  ASSERT_THAT(client().Create(secret), IsOk());

  const auto got = ExpectSameBytes<kubernetes::Secret>(
      "/api/v1/namespaces/kube-public/secrets/bytes", "Secret");
  // managedFields are none of our fields, and came through all the same.
  EXPECT_GT(got.metadata().unknown_fields().field_count(), 0);
  EXPECT_EQ(got.metadata().unknown_fields().field(0).number(), 17);
  ExpectSameBytes<kubernetes::SecretList>("/api/v1/secrets", "SecretList");
  ExpectSameBytes<kubernetes::SecretList>("/api/v1/secrets?limit=1",
                                          "SecretList");
}

TEST_F(BytesTest, ConfigMaps) {
  kubernetes::ConfigMap map;
  *map.mutable_metadata() = RichMetadata("kube-public", "bytes");
  (*map.mutable_data())["text"] = "x";
  (*map.mutable_binary_data())["binary"] = std::string("\0\xff", 2);
  (*map.mutable_binary_data())["another"] = "";
  ASSERT_THAT(client().Create(map), IsOk());

  ExpectSameBytes<kubernetes::ConfigMap>(
      "/api/v1/namespaces/kube-public/configmaps/bytes", "ConfigMap");
  ExpectSameBytes<kubernetes::ConfigMapList>("/api/v1/configmaps",
                                             "ConfigMapList");
}

TEST_F(BytesTest, NodesWithTheirStatus) {
  kubernetes::Node node;
  *node.mutable_metadata() = RichMetadata("", "bytes");
  ASSERT_THAT(client().Create(node), IsOk());
  const ProgramResult patched = cluster().Run(
      {"kubectl", "patch", "node", "bytes", "--subresource=status",
       "--type=merge", "-p",
       R"({"status":{"capacity":{"cpu":"2","memory":"1Gi"},"conditions":[)"
       R"({"type":"Ready","status":"False","reason":"x"}]}})"});
  ASSERT_EQ(patched.exit_code, 0) << patched.err;

  ExpectSameBytes<kubernetes::Node>("/api/v1/nodes/bytes", "Node");
  ExpectSameBytes<kubernetes::NodeList>("/api/v1/nodes", "NodeList");
}

TEST_F(BytesTest, LeasesWithMicroseconds) {
  kubernetes::Lease lease;
  *lease.mutable_metadata() = RichMetadata("kube-public", "bytes");
  lease.mutable_spec()->set_holder_identity("");
  lease.mutable_spec()->set_lease_duration_seconds(15);
  *lease.mutable_spec()->mutable_acquire_time() =
      latchkey::ToKubernetesMicroTime(absl::FromUnixSeconds(1'800'000'000));
  *lease.mutable_spec()->mutable_renew_time() = latchkey::ToKubernetesMicroTime(
      absl::FromUnixMicros(1'800'000'000'000'001));
  ASSERT_THAT(client().Create(lease), IsOk());

  ExpectSameBytes<kubernetes::Lease>(
      "/apis/coordination.k8s.io/v1/namespaces/kube-public/leases/bytes",
      "Lease");
  ExpectSameBytes<kubernetes::LeaseList>("/apis/coordination.k8s.io/v1/leases",
                                         "LeaseList");
}

TEST_F(BytesTest, SigningRequestsWithTheirCertificates) {
  kubernetes::CertificateSigningRequest csr;
  *csr.mutable_metadata() = RichMetadata("", "bytes");
  csr.mutable_spec()->set_request(kSampleCsrPem);
  csr.mutable_spec()->set_signer_name(
      "kubernetes.io/kube-apiserver-client-kubelet");
  csr.mutable_spec()->add_usages("digital signature");
  csr.mutable_spec()->add_usages("client auth");
  csr.mutable_spec()->set_expiration_seconds(600);
  auto created = client().Create(csr);
  ASSERT_THAT(created, IsOk());
  auto* condition = created->mutable_status()->add_conditions();
  condition->set_type("Approved");
  condition->set_status("True");
  condition->set_reason("Bytes");
  *condition->mutable_last_update_time() =
      latchkey::ToKubernetesTime(absl::FromUnixSeconds(1'800'000'000));
  ASSERT_THAT(client().Update(*created, "approval"), IsOk());
  ASSERT_TRUE(WaitUntil([&] {
    const auto got =
        client().Get<kubernetes::CertificateSigningRequest>({"", "bytes"});
    return got.ok() && got->status().has_certificate();
  }));

  const std::string collection =
      "/apis/certificates.k8s.io/v1/certificatesigningrequests";
  ExpectSameBytes<kubernetes::CertificateSigningRequest>(
      collection + "/bytes", "CertificateSigningRequest");
  ExpectSameBytes<kubernetes::CertificateSigningRequestList>(
      collection, "CertificateSigningRequestList");
}

TEST_F(BytesTest, RolesAndTheirBindings) {
  kubernetes::ClusterRole role;
  *role.mutable_metadata() = RichMetadata("", "bytes");
  for (int i = 0; i < 2; ++i) {
    kubernetes::PolicyRule& rule = *role.add_rules();
    rule.add_verbs("get");
    rule.add_verbs("*");
    rule.add_api_groups("");
    rule.add_resources("secrets");
    rule.add_resource_names("x");
  }
  kubernetes::PolicyRule& paths = *role.add_rules();
  paths.add_verbs("get");
  paths.add_non_resource_urls("/x/*");
  ASSERT_THAT(client().Create(role), IsOk());
  kubernetes::ClusterRoleBinding binding;
  *binding.mutable_metadata() = RichMetadata("", "bytes of $(any) name");
  binding.mutable_role_ref()->set_api_group("rbac.authorization.k8s.io");
  binding.mutable_role_ref()->set_kind("ClusterRole");
  binding.mutable_role_ref()->set_name("bytes");
  kubernetes::Subject& group = *binding.add_subjects();
  group.set_kind("Group");
  group.set_api_group("rbac.authorization.k8s.io");
  group.set_name("g");
  kubernetes::Subject& account = *binding.add_subjects();
  account.set_kind("ServiceAccount");
  account.set_name("a");
  account.set_namespace_("kube-public");
  ASSERT_THAT(client().Create(binding), IsOk());

  const std::string api = "/apis/rbac.authorization.k8s.io/v1/";
  const auto got = ExpectSameBytes<kubernetes::ClusterRole>(
      api + "clusterroles/bytes", "ClusterRole");
  EXPECT_EQ(got.rules_size(), 3);
  EXPECT_EQ(got.rules(1).verbs(1), "*");
  EXPECT_EQ(got.rules(1).resource_names(0), "x");
  EXPECT_EQ(got.rules(2).non_resource_urls(0), "/x/*");
  const auto bound = ExpectSameBytes<kubernetes::ClusterRoleBinding>(
      api + "clusterrolebindings/bytes%20of%20%24%28any%29%20name",
      "ClusterRoleBinding");
  EXPECT_EQ(bound.role_ref().name(), "bytes");
  EXPECT_EQ(bound.subjects(1).namespace_(), "kube-public");
  // Aggregated ones too, whose rule for that is none of our fields.
  ExpectSameBytes<kubernetes::ClusterRoleList>(api + "clusterroles",
                                               "ClusterRoleList");
  ExpectSameBytes<kubernetes::ClusterRoleBindingList>(
      api + "clusterrolebindings", "ClusterRoleBindingList");
}

TEST_F(BytesTest, WatchEventsAndTheirObjects) {
  kubernetes::ConfigMap map;
  *map.mutable_metadata() = RichMetadata("kube-public", "bytes-watched");
  (*map.mutable_data())["text"] = "x";
  ASSERT_THAT(client().Create(map), IsOk());
  std::string rest = RawWatch(
      "/api/v1/namespaces/kube-public/configmaps?allowWatchBookmarks=1"
      "&fieldSelector=metadata.name%3Dbytes-watched");
  int events = 0;
  while (!rest.empty()) {
    ASSERT_GE(rest.size(), 4U);
    size_t length = 0;
    for (int i = 0; i < 4; ++i) {
      length = length << 8 | static_cast<uint8_t>(rest[static_cast<size_t>(i)]);
    }
    ASSERT_LE(length, rest.size() - 4);
    const auto event =
        ExpectSame<kubernetes::WatchEvent>(rest.substr(4, length));
    const auto object = latchkey::OpenEnvelope(event.object().raw());
    ASSERT_THAT(object, IsOk());
    EXPECT_EQ(object->kind, "ConfigMap");
    EXPECT_EQ(ExpectSame<kubernetes::ConfigMap>(std::string(object->raw))
                  .metadata()
                  .name(),
              event.type() == "BOOKMARK" ? "" : "bytes-watched");
    ++events;
    rest.erase(0, 4 + length);
  }
  EXPECT_GE(events, 1);
}

TEST_F(BytesTest, Reviews) {
  kubernetes::TokenReview token;
  token.mutable_spec()->set_token("nobody's");
  token.mutable_spec()->add_audiences("a");
  token.mutable_spec()->add_audiences("b");
  const auto refused = ExpectSame<kubernetes::TokenReview>(
      RawReview(latchkey::kTokenReviews, token));
  EXPECT_NE(refused.status().error(), "");
  const ProgramResult account =
      cluster().Run({"kubectl", "create", "serviceaccount", "bytes"});
  ASSERT_EQ(account.exit_code, 0) << account.err;
  const ProgramResult minted =
      cluster().Run({"kubectl", "create", "token", "bytes"});
  ASSERT_EQ(minted.exit_code, 0) << minted.err;
  token.mutable_spec()->set_token(minted.out.substr(0, minted.out.find('\n')));
  token.mutable_spec()->clear_audiences();
  const auto known = ExpectSame<kubernetes::TokenReview>(
      RawReview(latchkey::kTokenReviews, token));
  EXPECT_TRUE(known.status().authenticated());
  EXPECT_GT(known.status().user().extra_size(), 0);

  const auto self = ExpectSame<kubernetes::SelfSubjectReview>(RawReview(
      latchkey::kSelfSubjectReviews, kubernetes::SelfSubjectReview()));
  EXPECT_NE(self.status().user_info().username(), "");

  kubernetes::SubjectAccessReview access;
  access.mutable_spec()->set_user("u");
  access.mutable_spec()->add_groups("g");
  access.mutable_spec()->mutable_resource_attributes()->set_verb("get");
  access.mutable_spec()->mutable_resource_attributes()->set_resource("secrets");
  EXPECT_FALSE(ExpectSame<kubernetes::SubjectAccessReview>(
                   RawReview(latchkey::kSubjectAccessReviews, access))
                   .status()
                   .allowed());
  kubernetes::SelfSubjectAccessReview own;
  own.mutable_spec()->mutable_non_resource_attributes()->set_verb("get");
  own.mutable_spec()->mutable_non_resource_attributes()->set_path("/x");
  const auto allowed = ExpectSame<kubernetes::SelfSubjectAccessReview>(
      RawReview(latchkey::kSelfSubjectAccessReviews, own));
  EXPECT_TRUE(allowed.status().allowed());
}

TEST_F(BytesTest, Statuses) {
  ExpectSameBytes<kubernetes::Status>(
      "/api/v1/namespaces/kube-public/secrets/none", "Status");
  ExpectSameBytes<kubernetes::Status>("/api/v1/secrets?labelSelector=a+in+b",
                                      "Status");
}

// An update of a decoded object is, to the server, an update of nothing.
TEST_F(BytesTest, SendingAnObjectBackChangesNothing) {
  kubernetes::ConfigMap map;
  *map.mutable_metadata() = RichMetadata("kube-public", "sent-back");
  (*map.mutable_data())["a"] = "";
  ASSERT_THAT(client().Create(map), IsOk());
  const auto got =
      client().Get<kubernetes::ConfigMap>({"kube-public", "sent-back"});
  ASSERT_THAT(got, IsOk());

  const auto updated = client().Update(*got);

  ASSERT_THAT(updated, IsOk());
  EXPECT_EQ(updated->metadata().resource_version(),
            got->metadata().resource_version());
}

}  // namespace
}  // namespace latchkey_testing
