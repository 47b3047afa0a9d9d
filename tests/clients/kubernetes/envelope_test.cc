#include "clients/kubernetes/envelope.h"

#include <gmock/gmock.h>

#include "kubernetes/core.pb.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::latchkey_testing::IsOkAndHolds;
using ::latchkey_testing::StatusIs;

kubernetes::Secret SampleSecret() {
  kubernetes::Secret secret;
  secret.mutable_metadata()->set_name("name");
  secret.mutable_metadata()->set_resource_version("123");
  (*secret.mutable_data())["key"] = std::string("\0\xff", 2);
  return secret;
}

TEST(EnvelopeTest, OpensWhatItWraps) {
  const kubernetes::Secret secret = SampleSecret();
  const std::string bytes = WrapObject("v1", "Secret", secret);

  EXPECT_EQ(bytes.substr(0, 4), std::string("k8s\0", 4));
  const auto view = OpenEnvelope(bytes);
  ASSERT_THAT(view, IsOk());
  EXPECT_EQ(view->api_version, "v1");
  EXPECT_EQ(view->kind, "Secret");
  EXPECT_EQ(view->raw, SerializeDeterministically(secret));
}

TEST(EnvelopeTest, IsWhatTheMessageUnknownSays) {
  kubernetes::Unknown unknown;
  unknown.mutable_type_meta()->set_api_version("v1");
  unknown.mutable_type_meta()->set_kind("Secret");
  unknown.set_raw(SerializeDeterministically(SampleSecret()));

  EXPECT_EQ(WrapObject("v1", "Secret", SampleSecret()),
            std::string("k8s\0", 4) + unknown.SerializeAsString());
  // What servers send has two more fields, both empty.
  unknown.set_content_encoding("");
  unknown.set_content_type("");
  EXPECT_THAT(
      OpenEnvelope(std::string("k8s\0", 4) + unknown.SerializeAsString()),
      IsOk());
  unknown.set_content_encoding("gzip");
  EXPECT_THAT(
      OpenEnvelope(std::string("k8s\0", 4) + unknown.SerializeAsString()),
      StatusIs(absl::StatusCode::kInternal));
}

// A body that was cut off must not pass for a smaller object.
TEST(EnvelopeTest, NoTruncationGoesUnnoticed) {
  const std::string whole = WrapObject("v1", "Secret", SampleSecret());
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto view = OpenEnvelope(std::string_view(whole).substr(0, size));
    EXPECT_FALSE(view.ok() && !view->raw.empty()) << size;
  }
}

TEST(EnvelopeTest, RefusesWhatIsNone) {
  for (const std::string& bad :
       {std::string(), std::string("{}"), std::string("k8s"),
        std::string("k8s\0\x12\xff\xff\xff\xff\x0f", 10),
        std::string("k8s\0\x07", 5), std::string("k8s\0\x0a\x02\x0a\x05", 8)}) {
    EXPECT_THAT(OpenEnvelope(bad), StatusIs(absl::StatusCode::kInternal));
  }
}

TEST(EnvelopeTest, MapsAreSorted) {
  kubernetes::ConfigMap map;
  for (int i = 0; i < 100; ++i) {
    (*map.mutable_data())[std::to_string(i * 7919 % 100)] = "";
  }
  const std::string bytes = SerializeDeterministically(map);
  size_t last = 0;
  for (const auto& [key, value] : std::map<std::string, std::string>(
           map.data().begin(), map.data().end())) {
    // Each entry: tag, length, then the key with its own tag and length.
    const std::string entry =
        std::string("\x0a", 1) + static_cast<char>(key.size()) + key + "\x12";
    const size_t at = bytes.find(entry);
    ASSERT_NE(at, std::string::npos);
    EXPECT_GE(at, last);
    last = at;
  }
}

TEST(ResourceVersionTest, IsFoundInAnyObject) {
  EXPECT_THAT(ResourceVersionOf(SerializeDeterministically(SampleSecret())),
              IsOkAndHolds("123"));
  EXPECT_THAT(ResourceVersionOf(""), IsOkAndHolds(""));
  EXPECT_THAT(ResourceVersionOf("\x0a\x05x"),
              StatusIs(absl::StatusCode::kInternal));
}

}  // namespace
}  // namespace latchkey
