#include "devcluster/request_handler.h"

#include "devcluster/memory_object_store.h"
#include "tests/devcluster/api_fixture.h"

namespace latchkey_testing {
namespace {

using latchkey::HttpAnswer;
using ::testing::HasSubstr;

class RequestHandlerTest : public ApiFixture {
 protected:
  static HttpAnswer Get(latchkey::ApiServer& api, const User& user,
                        const std::string& target) {
    const latchkey::ClientCertificate certificate{.user = user};
    return latchkey::RequestHandler(api).Handle(
        {.method = "GET", .target = target, .certificate = certificate});
  }
};

TEST_F(RequestHandlerTest, WhoMayReadAnObjectMayNotReadItsSubresource) {
  ASSERT_THAT(Create(admin_, NewCsr("x")), IsOk());
  const std::string path =
      "/apis/certificates.k8s.io/v1/certificatesigningrequests/x";

  EXPECT_EQ(Get(api_, TokenUser(), path).code, 200);
  const HttpAnswer refused = Get(api_, TokenUser(), path + "/approval");
  EXPECT_EQ(refused.code, 403);
  EXPECT_THAT(refused.body, HasSubstr("certificatesigningrequests/approval"));
  EXPECT_EQ(Get(api_, admin_, path + "/approval").code, 200);
}

TEST_F(RequestHandlerTest, TheRightToASubresourceIsNotThatToTheObject) {
  EXPECT_EQ(Get(api_, NodeUser("n"), "/api/v1/nodes/n").code, 404);
  EXPECT_EQ(Get(api_, NodeUser("n"), "/api/v1/nodes/n/status").code, 403);
  EXPECT_EQ(Get(api_, admin_, "/api/v1/nodes/n/status").code, 404);
}

// As of one that is too old: an event, which ends the watch.
TEST_F(RequestHandlerTest, AWatchFromTheFutureIsToldSo) {
  const HttpAnswer answer =
      Get(api_, admin_, "/api/v1/secrets?watch=1&resourceVersion=999999");

  EXPECT_EQ(answer.code, 200);
  EXPECT_EQ(answer.watch, nullptr);
  EXPECT_THAT(answer.body, HasSubstr(R"("type":"ERROR")"));
  EXPECT_THAT(answer.body, HasSubstr("ResourceVersionTooLarge"));
}

class FailedJournal final : public latchkey::ObjectJournal {
 public:
  absl::Status Record(const latchkey::StoreChange&) override {
    return Health();
  }
  absl::Status Health() const override { return absl::InternalError("disk"); }
};

TEST_F(RequestHandlerTest, AServerWhoseStoreFailedIsNotReady) {
  latchkey::MemoryObjectStore store({}, {}, std::make_unique<FailedJournal>());
  latchkey::ApiServer api(store, clock_);

  for (const char* path : {"/readyz", "/livez", "/healthz"}) {
    EXPECT_EQ(Get(api_, admin_, path).code, 200) << path;
    const HttpAnswer answer = Get(api, admin_, path);
    EXPECT_EQ(answer.code, 500) << path;
    EXPECT_THAT(answer.body, HasSubstr("store failed"));
  }
}

}  // namespace
}  // namespace latchkey_testing
