#include "devcluster/request_target.h"

#include <string>

#include <gmock/gmock.h>

#include "clients/kubernetes/request_path.h"
#include "devcluster/reviews.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {
namespace {

using latchkey::ParseRequestTarget;
using latchkey::RequestTarget;

RequestTarget MustParse(std::string_view text) {
  auto target = ParseRequestTarget(text);
  EXPECT_THAT(target, IsOk()) << text;
  return target.ok() ? *target : RequestTarget();
}

TEST(RequestTarget, EveryPathThatOurClientMakesIsRead) {
  for (const latchkey::ApiResource& served : latchkey::ApiResources()) {
    const latchkey::Resource& resource = served.resource;
    const std::string name_space = resource.namespaced ? "kube-public" : "";
    const auto collection = latchkey::CollectionPath(resource, name_space);
    ASSERT_THAT(collection, IsOk());
    RequestTarget target = MustParse(*collection);
    EXPECT_EQ(target.resource, &served) << *collection;
    EXPECT_EQ(target.name.name_space, name_space);
    EXPECT_EQ(target.name.name, "");

    const auto object =
        latchkey::ObjectPath(resource, {name_space, "a.b:c"}, "");
    ASSERT_THAT(object, IsOk());
    target = MustParse(*object);
    if (latchkey::IsReview(*served.prototype)) {
      EXPECT_EQ(target.resource, nullptr) << *object;
      continue;
    }
    EXPECT_EQ(target.resource, &served) << *object;
    EXPECT_EQ(target.name.name, "a.b:c");
    for (const std::string_view subresource : served.subresources) {
      target = MustParse(*object + "/" + std::string(subresource));
      EXPECT_EQ(target.resource, &served);
      EXPECT_EQ(target.subresource, subresource);
    }
  }
}

TEST(RequestTarget, ObjectsOfAllNamespacesHaveAPath) {
  const RequestTarget target = MustParse("/api/v1/secrets");
  ASSERT_NE(target.resource, nullptr);
  EXPECT_EQ(target.resource->resource.plural, "secrets");
  EXPECT_EQ(target.name.name_space, "");
}

TEST(RequestTarget, OtherPathsAreNoResource) {
  for (const char* path :
       {"/",
        "/api",
        "/api/v1",
        "/apis/v1/secrets",
        "/api/v2/secrets",
        "/api/v1/secrets/x",
        "/api/v1/pods",
        "/api/v1/namespaces",
        "/api/v1/namespaces/x",
        "/api/v1/namespaces/x/nodes",
        "/api/v1/namespaces/x/secrets/y/z",
        "/api/v1/nodes/x/proxy",
        "/api/v1/nodes/x/status/y",
        "/api/v1//secrets",
        "/api/v1/./secrets",
        "/api/v1/namespaces/../secrets",
        "/api/v1/namespaces//secrets/x",
        "/api/v1/namespaces/a%2Fb/secrets",
        "/api/v1/nodes/%2e%2e",
        "/apis/certificates.k8s.io/v1beta1/certificatesigningrequests",
        "/secrets"}) {
    EXPECT_EQ(MustParse(path).resource, nullptr) << path;
  }
  EXPECT_EQ(MustParse("/healthz").path, "/healthz");
  EXPECT_EQ(MustParse("/apis/").path, "/apis");
}

TEST(RequestTarget, TheQueryIsDecoded) {
  const RequestTarget target = MustParse(
      "/api/v1/secrets?labelSelector=a%3Db%2Cc+in+%28d%29&watch&limit=5&limit=6"
      "&=x&&empty=&odd=a=b?c");
  EXPECT_EQ(target.Parameter("labelSelector"), "a=b,c in (d)");
  EXPECT_EQ(target.Parameter("limit"), "5");
  EXPECT_EQ(target.Parameter("empty"), "");
  EXPECT_EQ(target.Parameter("odd"), "a=b?c");
  EXPECT_EQ(target.Parameter("none"), "");
}

TEST(RequestTarget, FlagsAreReadAsKubernetesReadsThem) {
  for (const char* yes :
       {"watch", "watch=", "watch=1", "watch=true", "watch=maybe"}) {
    EXPECT_TRUE(MustParse(std::string("/x?") + yes).Flag("watch")) << yes;
  }
  for (const char* no :
       {"", "watch=0", "watch=false", "watch=FALSE", "Watch"}) {
    EXPECT_FALSE(MustParse(std::string("/x?") + no).Flag("watch")) << no;
  }
}

TEST(RequestTarget, WhatIsNotProperlyEncodedIsRefused) {
  for (const std::string bad :
       {"", "x", "http://h/api", "*", "/%", "/%2", "/%zz", "/a?%", "/a?b=%0",
        "/%00", "/a?b=%00", "/%0d%0a", "/\x01"}) {
    EXPECT_THAT(ParseRequestTarget(bad),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << bad;
  }
}

}  // namespace
}  // namespace latchkey_testing
