#include "devcluster/discovery.h"

#include <string>

#include <gmock/gmock.h>

#include "devcluster/api_resources.h"
#include "devcluster/object_json.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {
namespace {

using latchkey::DiscoveryDocument;
using ::testing::HasSubstr;

TEST(Discovery, EveryDocumentIsJson) {
  for (const char* path :
       {"/version", "/api", "/apis", "/api/v1", "/apis/certificates.k8s.io",
        "/apis/certificates.k8s.io/v1", "/apis/coordination.k8s.io/v1",
        "/apis/authentication.k8s.io/v1", "/apis/authorization.k8s.io/v1",
        "/openapi/v3", "/openapi/v3/api/v1",
        "/openapi/v3/apis/certificates.k8s.io/v1"}) {
    const auto document = DiscoveryDocument(path);
    ASSERT_TRUE(document.has_value()) << path;
    EXPECT_THAT(latchkey::JsonObject::Parse(*document), IsOk()) << *document;
  }
}

TEST(Discovery, EveryResourceIsListedWhereItIsServed) {
  for (const latchkey::ApiResource& served : latchkey::ApiResources()) {
    const bool core = latchkey::ApiGroupOf(served.resource).empty();
    const auto list = DiscoveryDocument(
        (core ? "/api/" : "/apis/") + std::string(served.resource.api_version));
    ASSERT_TRUE(list.has_value());
    EXPECT_THAT(*list, HasSubstr("\"name\":\"" +
                                 std::string(served.resource.plural) + "\""));
    for (const std::string_view subresource : served.subresources) {
      EXPECT_THAT(*list, HasSubstr(std::string(served.resource.plural) + "/" +
                                   std::string(subresource)));
    }
  }
}

TEST(Discovery, OtherPathsHaveNone) {
  for (const char* path : {"", "/", "/apis/v1", "/api/v1/", "/openapi/v2"}) {
    EXPECT_EQ(DiscoveryDocument(path), std::nullopt) << path;
  }
}

}  // namespace
}  // namespace latchkey_testing
