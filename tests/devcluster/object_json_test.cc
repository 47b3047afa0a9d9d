#include "devcluster/object_json.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>

#include "clients/kubernetes/kube_time.h"
#include "kubernetes/authentication.pb.h"
#include "kubernetes/certificates.pb.h"
#include "kubernetes/coordination.pb.h"
#include "kubernetes/core.pb.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::latchkey::JsonObject;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
namespace kubernetes = latchkey::kubernetes;

std::string Json(const google::protobuf::Message& message) {
  std::string json;
  latchkey::AppendJson(message, json);
  return json;
}

template <typename Message>
absl::StatusOr<Message> Read(std::string_view json,
                             std::vector<std::string>* unknown = nullptr) {
  auto object = JsonObject::Parse(json);
  if (!object.ok()) return object.status();
  Message message;
  const absl::Status status = object->ReadInto(message, unknown);
  if (!status.ok()) return status;
  return message;
}

template <typename Message>
void ExpectRoundTrip(const Message& message) {
  const auto again = Read<Message>(Json(message));
  ASSERT_THAT(again, IsOk());
  EXPECT_TRUE(MessageDifferencer::Equals(*again, message)) << Json(message);
}

TEST(ObjectJson, ASecretIsWrittenAsKubernetesWritesIt) {
  kubernetes::Secret secret;
  secret.mutable_metadata()->set_name("a");
  secret.mutable_metadata()->set_namespace_("");
  *secret.mutable_metadata()->mutable_creation_timestamp() =
      latchkey::ToKubernetesTime(absl::FromUnixSeconds(1'800'000'000));
  secret.mutable_metadata()->mutable_deletion_timestamp();
  (*secret.mutable_data())["z"] = "";
  (*secret.mutable_data())["a"] = std::string("\0\xff", 2);
  secret.set_immutable(false);
  secret.set_type("Opaque");
  std::string json;
  latchkey::AppendObjectJson("v1", "Secret", secret, json);

  EXPECT_EQ(json,
            R"({"kind":"Secret","apiVersion":"v1","metadata":{"name":"a",)"
            R"("creationTimestamp":"2027-01-15T08:00:00Z"},)"
            R"("data":{"a":"AP8=","z":""},"type":"Opaque","immutable":false})");
}

TEST(ObjectJson, WhatGoLeavesOutIsLeftOutAndWhatItDoesNotIsNot) {
  kubernetes::CertificateSigningRequest csr;
  csr.mutable_status()->add_conditions()->mutable_last_update_time();

  EXPECT_EQ(Json(csr),
            R"({"metadata":{},"spec":{"request":"","signerName":""},)"
            R"("status":{"conditions":[{"type":"","lastUpdateTime":null,)"
            R"("lastTransitionTime":null,"status":""}]}})");
  EXPECT_EQ(Json(kubernetes::SecretList()), R"({"metadata":{},"items":[]})");
}

TEST(ObjectJson, TextIsEscaped) {
  kubernetes::ConfigMap map;
  map.mutable_metadata();
  (*map.mutable_data())["\"\\"] = "\n\t\x01 \xc3\xa9 \xf0\x9f\x94\x91";
  EXPECT_EQ(Json(map),
            "{\"metadata\":{},\"data\":{\"\\\"\\\\\":"
            "\"\\n\\t\\u0001 \xc3\xa9 \xf0\x9f\x94\x91\"}}");
  ExpectRoundTrip(map);
}

TEST(ObjectJson, WhatIsNoUtf8IsReplaced) {
  for (const char* bad : {"\xff", "\xc0\xaf", "\xed\xa0\x80",
                          "\xf5\x80\x80\x80", "\xe2\x82", "\x80"}) {
    kubernetes::ConfigMap map;
    (*map.mutable_data())["k"] = bad;
    EXPECT_THAT(Json(map),
                AllOf(HasSubstr("\xef\xbf\xbd"), Not(HasSubstr(bad))));
    EXPECT_THAT(Read<kubernetes::ConfigMap>(Json(map)), IsOk());
  }
}

TEST(ObjectJson, MicroTimesHaveSixDigits) {
  kubernetes::Lease lease;
  lease.mutable_metadata();
  *lease.mutable_spec()->mutable_renew_time() = latchkey::ToKubernetesMicroTime(
      absl::FromUnixMicros(1'800'000'000'000'001));
  lease.mutable_spec()->set_lease_transitions(0);

  EXPECT_THAT(Json(lease), HasSubstr(R"("2027-01-15T08:00:00.000001Z")"));
  EXPECT_THAT(Json(lease), HasSubstr(R"("leaseTransitions":0)"));
  ExpectRoundTrip(lease);
}

TEST(ObjectJson, ANodeIsReadWithItsQuantitiesAndOddNames) {
  const auto node = Read<kubernetes::Node>(
      R"({"spec":{"podCIDR":"10.0.0.0/24","podCIDRs":["10.0.0.0/24"],
          "providerID":"x","taints":[{"key":"k","effect":"NoSchedule"}]},
          "status":{"capacity":{"cpu":2,"memory":"1Gi"},
          "daemonEndpoints":{"kubeletEndpoint":{"Port":10250}},
          "nodeInfo":{"systemUUID":"u","osImage":"o"},
          "images":[{"names":["a","b"],"sizeBytes":5000000000}]}})");

  ASSERT_THAT(node, IsOk());
  EXPECT_EQ(node->spec().pod_cidr(), "10.0.0.0/24");
  EXPECT_THAT(node->spec().pod_cidrs(), ElementsAre("10.0.0.0/24"));
  EXPECT_EQ(node->spec().provider_id(), "x");
  EXPECT_EQ(node->spec().taints(0).effect(), "NoSchedule");
  EXPECT_EQ(node->status().capacity().at("cpu").string(), "2");
  EXPECT_EQ(node->status().capacity().at("memory").string(), "1Gi");
  EXPECT_EQ(node->status().daemon_endpoints().kubelet_endpoint().port(), 10250);
  EXPECT_EQ(node->status().node_info().system_uuid(), "u");
  EXPECT_EQ(node->status().images(0).size_bytes(), 5'000'000'000);
}

TEST(ObjectJson, ExtraValuesAreListsOfStrings) {
  const auto review = Read<kubernetes::TokenReview>(
      R"({"status":{"user":{"extra":{"k":["a","b"],"none":[]}}}})");

  ASSERT_THAT(review, IsOk());
  const auto& extra = review->status().user().extra();
  EXPECT_THAT(extra.at("k").items(), ElementsAre("a", "b"));
  EXPECT_THAT(Json(*review), HasSubstr(R"("extra":{"k":["a","b"],"none":[]})"));
}

TEST(ObjectJson, NullIsAbsent) {
  const auto secret = Read<kubernetes::Secret>(
      R"({"apiVersion":null,"metadata":{"creationTimestamp":null,"labels":null,
          "name":null},"data":{"a":null},"type":null,"immutable":null})");

  ASSERT_THAT(secret, IsOk());
  EXPECT_FALSE(secret->metadata().has_creation_timestamp());
  EXPECT_FALSE(secret->has_type());
  EXPECT_FALSE(secret->has_immutable());
  EXPECT_EQ(secret->data().at("a"), "");
}

TEST(ObjectJson, KindAndVersionAreTakenFromTheObject) {
  const auto object = JsonObject::Parse(R"({"kind":"K","apiVersion":"g/v1"})");
  ASSERT_THAT(object, IsOk());
  EXPECT_EQ(object->kind(), "K");
  EXPECT_EQ(object->api_version(), "g/v1");
  EXPECT_THAT(JsonObject::Parse(R"({"kind":5})"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ObjectJson, UnknownFieldsAreSkippedAndNamed) {
  std::vector<std::string> unknown;
  const auto secret = Read<kubernetes::Secret>(
      R"({"kind":"Secret","apiVersion":"v1","Data":{},"metadata":{"foo":1,
          "managedFields":[],"labels":{"any":"x"},
          "ownerReferences":[{"kind":"x"},{"bar":2}]}})",
      &unknown);

  ASSERT_THAT(secret, IsOk());
  EXPECT_THAT(unknown, ElementsAre("metadata.ownerReferences[1].bar",
                                   "metadata.foo", "Data"));
}

TEST(ObjectJson, AWrongTypeIsNamedByItsFieldAndNotByItsValue) {
  struct Case {
    const char* json;
    const char* message;
  };
  for (const Case& wrong : {
           Case{R"({"metadata":{"name":4711}})",
                "number into field metadata.name of type string"},
           Case{R"({"metadata":"4711"})",
                "string into field metadata of type ObjectMeta"},
           Case{R"({"metadata":{"labels":["4711"]}})",
                "array into field metadata.labels of type map"},
           Case{R"({"metadata":{"finalizers":["a",4711]}})",
                "number into field metadata.finalizers[1] of type string"},
           Case{R"({"metadata":{"generation":"4711"}})",
                "string into field metadata.generation of type int64"},
           Case{R"({"metadata":{"generation":4711.5}})",
                "number into field metadata.generation of type int64"},
           Case{R"({"metadata":{"generation":1e300}})",
                "number into field metadata.generation of type int64"},
           Case{R"({"metadata":{"creationTimestamp":"4711"}})",
                "field metadata.creationTimestamp is no time"},
           Case{R"({"data":{"a":"4711*"}})",
                "illegal base64 data in field data"},
           Case{R"({"data":{"a":{"4711":1}}})",
                "object into field data of type string"},
           Case{R"({"immutable":"4711"})",
                "string into field immutable of type bool"},
       }) {
    SCOPED_TRACE(wrong.json);
    EXPECT_THAT(
        Read<kubernetes::Secret>(wrong.json),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 AllOf(HasSubstr(wrong.message), Not(HasSubstr("4711")))));
  }
}

TEST(ObjectJson, WhatIsNoObjectIsRefusedWithoutRepeatingIt) {
  const std::string deep = std::string(100'000, '[');
  const std::string nested = [] {
    std::string text;
    for (int i = 0; i < 500; ++i) text += R"({"a":)";
    return text;
  }();
  for (const std::string& bad :
       {std::string(), std::string("{"), std::string("[]"), std::string("null"),
        std::string("\"4711\""), std::string("{\"4711\":"),
        std::string("{}4711"), std::string("{\"a\":\"\xff\"}"), deep,
        "{\"a\":" + deep + "}", nested}) {
    EXPECT_THAT(JsonObject::Parse(bad),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(Not(HasSubstr("4711")))))
        << bad.substr(0, 40);
  }
}

}  // namespace
}  // namespace latchkey_testing
