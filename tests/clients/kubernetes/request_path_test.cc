#include "clients/kubernetes/request_path.h"

#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOkAndHolds;
using ::latchkey_testing::StatusIs;

TEST(RequestPathTest, CollectionsOfBothRoots) {
  EXPECT_THAT(CollectionPath(kSecrets, "ns"),
              IsOkAndHolds("/api/v1/namespaces/ns/secrets"));
  EXPECT_THAT(CollectionPath(kSecrets, ""), IsOkAndHolds("/api/v1/secrets"));
  EXPECT_THAT(
      CollectionPath(kLeases, "ns"),
      IsOkAndHolds("/apis/coordination.k8s.io/v1/namespaces/ns/leases"));
  EXPECT_THAT(
      CollectionPath(kCertificateSigningRequests, ""),
      IsOkAndHolds("/apis/certificates.k8s.io/v1/certificatesigningrequests"));
  EXPECT_THAT(CollectionPath(kNodes, "ns"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(CollectionPath(kSecrets, "a/b"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(RequestPathTest, ObjectsAndSubresources) {
  EXPECT_THAT(ObjectPath(kSecrets, {"ns", "name"}, ""),
              IsOkAndHolds("/api/v1/namespaces/ns/secrets/name"));
  EXPECT_THAT(ObjectPath(kNodes, {"", "a.b-c"}, "status"),
              IsOkAndHolds("/api/v1/nodes/a.b-c/status"));
  EXPECT_THAT(ObjectPath(kNodes, {"", "a:b?c#d"}, ""),
              IsOkAndHolds("/api/v1/nodes/a%3Ab%3Fc%23d"));
}

TEST(RequestPathTest, NothingChangesThePath) {
  for (const std::string& bad :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"),
        std::string("../secrets"), std::string("a..b"), std::string("%2f"),
        std::string("a b"), std::string("a\n"), std::string("a\0b", 3),
        std::string("\x7f")}) {
    EXPECT_THAT(ObjectPath(kSecrets, {"ns", bad}, ""),
                StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(ObjectPath(kSecrets, {bad, "name"}, ""),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(ObjectPath(kSecrets, {"ns", "name"}, "a/b"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(RequestPathTest, QueriesAreEncoded) {
  EXPECT_EQ(QueryString({}), "");
  EXPECT_EQ(QueryString({{"a", ""}, {"b", "x y&z=1,2/3\xff"}, {"c", "~-._"}}),
            "?b=x%20y%26z%3D1%2C2%2F3%FF&c=~-._");
}

}  // namespace
}  // namespace latchkey
