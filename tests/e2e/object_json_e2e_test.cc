// The JSON that we make of the real API server's protobuf is the JSON that the
// server makes of it.

#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>

#include "clients/http/http_client.h"
#include "clients/kubernetes/envelope.h"
#include "devcluster/object_json.h"
#include "tests/e2e/cluster_client.h"
#include "tests/testing/control_plane.h"
#include "tests/testing/sample_csr.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using ::google::protobuf::Struct;
using ::google::protobuf::Value;
namespace kubernetes = latchkey::kubernetes;

void DropManagedFields(Struct& object) {
  object.mutable_fields()->erase("managedFields");
  for (auto& [name, value] : *object.mutable_fields()) {
    if (value.has_struct_value()) {
      DropManagedFields(*value.mutable_struct_value());
    } else if (value.has_list_value()) {
      for (Value& item : *value.mutable_list_value()->mutable_values()) {
        if (item.has_struct_value()) {
          DropManagedFields(*item.mutable_struct_value());
        }
      }
    }
  }
}

Struct ParseJson(const std::string& json) {
  Struct object;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &object).ok())
      << json;
  DropManagedFields(object);
  return object;
}

class ObjectJsonTest : public ControlPlaneTest {
 protected:
  void SetUp() override {
    ControlPlaneTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    http_ = HttpOfKubeconfig(cluster().admin_kubeconfig());
    ASSERT_NE(http_, nullptr);
  }

  std::string Send(const std::string& method, const std::string& path,
                   const std::string& accept, const std::string& body = "") {
    latchkey::HttpRequest request;
    request.method = method;
    request.target = path;
    request.headers = {{"accept", accept},
                       {"content-type", "application/json"}};
    request.body = body;
    const auto response = http_->Send(request);
    EXPECT_THAT(response, IsOk());
    if (!response.ok()) return "";
    EXPECT_LT(response->status, 500) << response->body;
    return response->body;
  }
  std::string Create(const std::string& path, const std::string& json) {
    return Send("POST", path, "application/json", json);
  }

  // What is at `path`, by either way; `body` makes it a POST.
  template <typename Message>
  void ExpectSameJson(const std::string& path, const std::string& body = "") {
    SCOPED_TRACE(path);
    const std::string method = body.empty() ? "GET" : "POST";
    const Struct wanted =
        ParseJson(Send(method, path, "application/json", body));
    const std::string bytes =
        Send(method, path, latchkey::kProtobufContentType, body);
    const auto envelope = latchkey::OpenEnvelope(bytes);
    ASSERT_THAT(envelope, IsOk());
    Message message;
    ASSERT_TRUE(message.ParseFromString(std::string(envelope->raw)));
    std::string json;
    latchkey::AppendObjectJson(envelope->api_version, envelope->kind, message,
                               json);
    std::string difference;
    google::protobuf::util::MessageDifferencer differencer;
    differencer.ReportDifferencesToString(&difference);
    EXPECT_TRUE(differencer.Compare(wanted, ParseJson(json)))
        << difference << "\nours: " << json;

    // And back: nothing is lost on the way.
    const auto object = latchkey::JsonObject::Parse(json);
    ASSERT_THAT(object, IsOk());
    Message again;
    std::vector<std::string> unknown;
    ASSERT_THAT(object->ReadInto(again, &unknown), IsOk());
    EXPECT_THAT(unknown, ::testing::IsEmpty());
    std::string json_again;
    latchkey::AppendObjectJson(envelope->api_version, envelope->kind, again,
                               json_again);
    EXPECT_EQ(json_again, json);
  }

 private:
  std::shared_ptr<latchkey::HttpClient> http_;
};

constexpr char kMetadata[] =
    R"("metadata":{"name":"json","labels":{"a":"","b/c":"d"},)"
    R"("annotations":{"text":"\u00e9 \"\\\n\u0001 <>&\u2028"},)"
    R"("finalizers":["latchkey.test/none"],"ownerReferences":[)"
    R"({"apiVersion":"v1","kind":"ConfigMap","name":"o","uid":"u",)"
    R"("controller":false}]})";

TEST_F(ObjectJsonTest, OfSecretsAndConfigMaps) {
  const std::string secrets = "/api/v1/namespaces/kube-public/secrets";
  const std::string maps = "/api/v1/namespaces/kube-public/configmaps";
  Create(secrets, fmt::format(R"({{{},"data":{{"a":"","b":"AP8="}},)"
                              R"("immutable":false}})",
                              kMetadata));
  Create(maps, fmt::format(R"({{{},"data":{{"a":"","b":"x"}},)"
                           R"("binaryData":{{"c":"AP8="}}}})",
                           kMetadata));
  ExpectSameJson<kubernetes::Secret>(secrets + "/json");
  ExpectSameJson<kubernetes::SecretList>(secrets);
  ExpectSameJson<kubernetes::ConfigMap>(maps + "/json");
  ExpectSameJson<kubernetes::ConfigMapList>("/api/v1/configmaps");
  ExpectSameJson<kubernetes::ConfigMapList>("/api/v1/configmaps?limit=1");
  ExpectSameJson<kubernetes::SecretList>(
      "/api/v1/secrets?labelSelector=no%3Dsuch");
}

TEST_F(ObjectJsonTest, OfNodes) {
  Create("/api/v1/nodes",
         fmt::format(R"({{{},"spec":{{"podCIDR":"10.0.0.0/24",)"
                     R"("podCIDRs":["10.0.0.0/24"],"providerID":"p://x",)"
                     R"("unschedulable":true,"taints":[{{"key":"k",)"
                     R"("effect":"NoExecute",)"
                     R"("timeAdded":"2026-01-02T03:04:05Z"}}]}}}})",
                     kMetadata));
  Create("/api/v1/nodes", R"({"metadata":{"name":"bare"}})");
  const ProgramResult patched = cluster().Run(
      {"kubectl", "patch", "node", "json", "--subresource=status",
       "--type=merge", "-p",
       R"({"status":{"capacity":{"cpu":"2","memory":"1Gi","pods":"110"},)"
       R"("allocatable":{"cpu":"1500m"},"conditions":[{"type":"Ready",)"
       R"("status":"False","reason":"x","message":"y",)"
       R"("lastHeartbeatTime":"2026-01-02T03:04:05Z"}],)"
       R"("addresses":[{"type":"InternalIP","address":"10.0.0.1"}],)"
       R"("daemonEndpoints":{"kubeletEndpoint":{"Port":10250}},)"
       R"("nodeInfo":{"machineID":"m","systemUUID":"s","bootID":"b",)"
       R"("kernelVersion":"k","osImage":"o","containerRuntimeVersion":"c",)"
       R"("kubeletVersion":"v1","kubeProxyVersion":"","operatingSystem":"linux",)"
       R"("architecture":"amd64","swap":{"capacity":0}},)"
       R"("images":[{"names":["a","b"],"sizeBytes":5000000000}],)"
       R"("volumesInUse":["v"],"volumesAttached":[{"name":"v",)"
       R"("devicePath":""}],"runtimeHandlers":[{"name":"",)"
       R"("features":{"recursiveReadOnlyMounts":true,)"
       R"("userNamespaces":false}}],)"
       R"("features":{"supplementalGroupsPolicy":true}}})"});
  ASSERT_EQ(patched.exit_code, 0) << patched.err;
  ExpectSameJson<kubernetes::Node>("/api/v1/nodes/json");
  ExpectSameJson<kubernetes::Node>("/api/v1/nodes/bare");
  ExpectSameJson<kubernetes::NodeList>("/api/v1/nodes");
}

TEST_F(ObjectJsonTest, OfLeases) {
  const std::string leases =
      "/apis/coordination.k8s.io/v1/namespaces/kube-public/leases";
  Create(leases,
         fmt::format(R"({{{},"spec":{{"holderIdentity":"",)"
                     R"("leaseDurationSeconds":15,"leaseTransitions":0,)"
                     R"("acquireTime":"2026-01-02T03:04:05.000000Z",)"
                     R"("renewTime":"2026-01-02T03:04:05.123456Z"}}}})",
                     kMetadata));
  Create(leases, R"({"metadata":{"name":"bare"}})");
  ExpectSameJson<kubernetes::Lease>(leases + "/json");
  ExpectSameJson<kubernetes::LeaseList>(leases);
}

TEST_F(ObjectJsonTest, OfEvents) {
  const std::string events = "/api/v1/namespaces/default/events";
  Create(
      events,
      R"({"metadata":{"name":"json"},"involvedObject":{"kind":"Node",)"
      R"("name":"x","uid":"y"},"reason":"r","message":"m","type":"Normal",)"
      R"("source":{"component":"c"},"firstTimestamp":"2026-01-02T03:04:05Z",)"
      R"("count":2})");
  Create(events,
         R"({"metadata":{"name":"new"},"involvedObject":{"kind":"Node",)"
         R"("name":"x"},"reason":"r","note":"m","type":"Normal",)"
         R"("eventTime":"2026-01-02T03:04:05.000001Z","action":"a",)"
         R"("reportingComponent":"c","reportingInstance":"i"})");
  ExpectSameJson<kubernetes::Event>(events + "/json");
  ExpectSameJson<kubernetes::Event>(events + "/new");
}

TEST_F(ObjectJsonTest, OfSigningRequests) {
  const std::string requests =
      "/apis/certificates.k8s.io/v1/certificatesigningrequests";
  kubernetes::CertificateSigningRequest csr;
  csr.mutable_metadata()->set_name("json");
  csr.mutable_spec()->set_request(kSampleCsrPem);
  csr.mutable_spec()->set_signer_name(
      "kubernetes.io/kube-apiserver-client-kubelet");
  csr.mutable_spec()->add_usages("digital signature");
  csr.mutable_spec()->add_usages("client auth");
  csr.mutable_spec()->set_expiration_seconds(600);
  std::string json;
  latchkey::AppendJson(csr, json);
  Create(requests, json);
  ExpectSameJson<kubernetes::CertificateSigningRequest>(requests + "/json");

  const ProgramResult approved =
      cluster().Run({"kubectl", "certificate", "approve", "json"});
  ASSERT_EQ(approved.exit_code, 0) << approved.err;
  ASSERT_TRUE(WaitUntil([&] {
    return Send("GET", requests + "/json", "application/json")
               .find("\"certificate\"") != std::string::npos;
  }));
  ExpectSameJson<kubernetes::CertificateSigningRequest>(requests + "/json");
  ExpectSameJson<kubernetes::CertificateSigningRequestList>(requests);
}

TEST_F(ObjectJsonTest, OfReviewsAndStatuses) {
  ExpectSameJson<kubernetes::SelfSubjectReview>(
      "/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}");
  for (const char* token : {"x", "abcdef.0123456789abcdef"}) {
    ExpectSameJson<kubernetes::TokenReview>(
        "/apis/authentication.k8s.io/v1/tokenreviews",
        fmt::format(R"({{"spec":{{"token":"{}"}}}})", token));
  }
  for (const char* verb : {"get", "create"}) {
    ExpectSameJson<kubernetes::SubjectAccessReview>(
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        fmt::format(R"({{"spec":{{"user":"u","groups":["g"],)"
                    R"("extra":{{"k":["a","b"]}},"resourceAttributes":)"
                    R"({{"verb":"{}","resource":"secrets"}}}}}})",
                    verb));
    ExpectSameJson<kubernetes::SelfSubjectAccessReview>(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        fmt::format(R"({{"spec":{{"nonResourceAttributes":)"
                    R"({{"verb":"{}","path":"/x"}}}}}})",
                    verb));
  }
  for (const char* path : {"/api/v1/namespaces/kube-public/secrets/none",
                           "/api/v1/secrets?labelSelector=a+in+b",
                           "/apis/certificates.k8s.io/v1/x"}) {
    ExpectSameJson<kubernetes::Status>(path);
  }
  ExpectSameJson<kubernetes::Status>("/api/v1/namespaces/default/secrets",
                                     "{}");
}

}  // namespace
}  // namespace latchkey_testing
