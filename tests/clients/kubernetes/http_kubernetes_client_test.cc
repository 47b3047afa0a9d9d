#include "clients/kubernetes/http_kubernetes_client.h"

#include <gmock/gmock.h>

#include "clients/http/http_status.h"
#include "clients/kubernetes/envelope.h"
#include "core/refusal.h"
#include "tests/fakes/fake_http_client.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using kubernetes::Secret;
using kubernetes::SecretList;
using ::latchkey_testing::FakeHttpClient;
using ::latchkey_testing::IsOk;
using ::latchkey_testing::StatusIs;
using ::testing::HasSubstr;

Secret SampleSecret() {
  Secret secret;
  secret.mutable_metadata()->set_namespace_("ns");
  secret.mutable_metadata()->set_name("name");
  (*secret.mutable_data())["key"] = "the-secret";
  return secret;
}

HttpResponse Answer(int status, std::string body) {
  return {.status = status, .body = std::move(body)};
}

// One session after the other: each 401 moves on to the next.
class RotatingAccess final : public ApiAccess {
 public:
  explicit RotatingAccess(std::vector<ApiSession> sessions) {
    for (ApiSession& session : sessions) {
      sessions_.push_back(
          std::make_shared<const ApiSession>(std::move(session)));
    }
  }
  std::shared_ptr<const ApiSession> Current() override {
    return sessions_[current_];
  }
  bool Renew(const ApiSession& /*rejected*/) override {
    if (current_ + 1 == sessions_.size()) return false;
    ++current_;
    return true;
  }

 private:
  std::vector<std::shared_ptr<const ApiSession>> sessions_;
  size_t current_ = 0;
};

class HttpKubernetesClientTest : public ::testing::Test {
 protected:
  // The client of a server that answers by `handler`.
  KubernetesClient& Over(FakeHttpClient::Handler handler) {
    http_ = std::make_shared<FakeHttpClient>(std::move(handler));
    client_ =
        std::make_unique<HttpKubernetesClient>(std::make_shared<FixedApiAccess>(
            ApiSession{http_, SecretString("the-token")}));
    return *client_;
  }
  KubernetesClient& Answering(absl::StatusOr<HttpResponse> response) {
    return Over([response](const HttpRequest&) { return response; });
  }

  std::shared_ptr<FakeHttpClient> http_;
  std::unique_ptr<KubernetesClient> client_;
};

TEST_F(HttpKubernetesClientTest, ACreateIsAPostOfTheObject) {
  auto& client = Over(
      [](const HttpRequest& request) { return Answer(201, request.body); });

  const auto created = client.Create(SampleSecret());

  ASSERT_THAT(created, IsOk());
  EXPECT_EQ(created->SerializeAsString(), SampleSecret().SerializeAsString());
  const HttpRequest request = http_->requests().at(0);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/api/v1/namespaces/ns/secrets");
  EXPECT_EQ(request.headers.at("content-type"),
            "application/vnd.kubernetes.protobuf");
  EXPECT_EQ(request.headers.at("accept"),
            "application/vnd.kubernetes.protobuf");
  EXPECT_EQ(request.bearer_token.Reveal(), "the-token");
  EXPECT_EQ(request.body, WrapObject("v1", "Secret", SampleSecret()));
}

TEST_F(HttpKubernetesClientTest, ADeleteSendsItsPreconditions) {
  auto& client = Answering(Answer(200, ""));

  ASSERT_THAT(client.Delete<Secret>({"ns", "name"},
                                    {.uid = "u", .resource_version = "7"}),
              IsOk());

  const HttpRequest request = http_->requests().at(0);
  EXPECT_EQ(request.method, "DELETE");
  EXPECT_EQ(request.target, "/api/v1/namespaces/ns/secrets/name");
  const auto envelope = OpenEnvelope(request.body);
  ASSERT_THAT(envelope, IsOk());
  EXPECT_EQ(envelope->kind, "DeleteOptions");
  kubernetes::DeleteOptions options;
  ASSERT_TRUE(options.ParseFromString(std::string(envelope->raw)));
  EXPECT_EQ(options.preconditions().uid(), "u");
  EXPECT_EQ(options.preconditions().resource_version(), "7");
}

TEST_F(HttpKubernetesClientTest, ListsAndWatchesAreQueries) {
  auto& client = Over([](const HttpRequest& request) {
    return request.target.find("watch=1") != std::string::npos
               ? Answer(200, "")
               : Answer(200, WrapObject("v1", "SecretList", SecretList()));
  });

  ASSERT_THAT(client.List<SecretList>({.name_space = "ns",
                                       .label_selector = "a=b,c",
                                       .limit = 5,
                                       .continue_token = "t=="}),
              IsOk());
  EXPECT_EQ(http_->requests().at(0).target,
            "/api/v1/namespaces/ns/secrets?labelSelector=a%3Db%2Cc&limit=5"
            "&continue=t%3D%3D");

  const auto watch =
      client.WatchObjects(kSecrets, {.field_selector = "type=x",
                                     .resource_version = "9",
                                     .timeout = absl::Milliseconds(1500)});
  ASSERT_THAT(watch, IsOk());
  EXPECT_EQ(http_->requests().at(1).target,
            "/api/v1/secrets?watch=1&allowWatchBookmarks=true"
            "&resourceVersion=9&timeoutSeconds=1&fieldSelector=type%3Dx");
  EXPECT_EQ(http_->requests().at(1).headers.at("accept"),
            "application/vnd.kubernetes.protobuf;stream=watch");
  // An empty body: the watch has ended, which is no 410.
  EXPECT_THAT((*watch)->Next(absl::Seconds(1)),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(HttpKubernetesClientTest, AWatchNeedsAVersion) {
  EXPECT_THAT(Answering(Answer(200, "")).WatchObjects(kSecrets, {}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_TRUE(http_->requests().empty());
}

TEST_F(HttpKubernetesClientTest, ARefusedWatchIsItsStatus) {
  kubernetes::Status gone;
  gone.set_code(410);
  gone.set_reason("Expired");
  EXPECT_THAT(Answering(Answer(410, WrapObject("v1", "Status", gone)))
                  .WatchObjects(kSecrets, {.resource_version = "1"})
                  .status(),
              StatusIs(absl::StatusCode::kOutOfRange));
  HttpResponse busy = Answer(429, "Too many requests");
  busy.headers = {{"retry-after", "2"}};
  const auto watch =
      Answering(busy).WatchObjects(kSecrets, {.resource_version = "1"});
  EXPECT_THAT(watch.status(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(RetryAfterOf(watch.status()), absl::Seconds(2));
}

TEST_F(HttpKubernetesClientTest, AnAnswerOfAnotherKindIsRefused) {
  for (const std::string& body :
       {WrapObject("v1", "ConfigMap", kubernetes::ConfigMap()),
        WrapObject("v2", "Secret", SampleSecret()),
        WrapObject("v1", "SecretList", SecretList()), std::string("{}"),
        std::string()}) {
    EXPECT_THAT(Answering(Answer(200, body)).Get<Secret>({"ns", "name"}),
                StatusIs(absl::StatusCode::kInternal));
  }
}

TEST_F(HttpKubernetesClientTest, AnErrorOfTheTransportKeepsWhatItKnows) {
  const absl::Status not_sent =
      MarkNotSent(absl::UnavailableError("connection refused"));
  const auto created = Answering(not_sent).Create(SampleSecret());

  EXPECT_THAT(created, StatusIs(absl::StatusCode::kUnavailable,
                                "create secrets ns/name: connection refused"));
  EXPECT_TRUE(WasNotSent(created.status()));
}

// kResourceExhausted would say that the write was not done.
TEST_F(HttpKubernetesClientTest, ATooLargeAnswerLeavesTheOutcomeOpen) {
  const auto created = Answering(absl::ResourceExhaustedError("too large"))
                           .Create(SampleSecret());
  EXPECT_TRUE(OutcomeIsUnknown(created.status()));
}

TEST_F(HttpKubernetesClientTest, ErrorsHoldNoContent) {
  for (const int status : {400, 403, 422, 500}) {
    kubernetes::Status error;
    error.set_code(status);
    error.set_reason(status == 422 ? "Invalid" : "");
    error.set_message(status == 422 ? "Invalid value: the-secret" : "no");
    const auto created =
        Answering(Answer(status, WrapObject("v1", "Status", error)))
            .Create(SampleSecret());
    EXPECT_THAT(created.status().ToString(),
                ::testing::Not(HasSubstr("the-secret")));
    EXPECT_THAT(created.status().ToString(),
                ::testing::Not(HasSubstr("the-token")));
  }
}

TEST(HttpKubernetesClientRenewalTest, A401IsTriedOnceWithNewerCredentials) {
  const auto http =
      std::make_shared<FakeHttpClient>([](const HttpRequest& request) {
        return request.bearer_token.Reveal() == "good"
                   ? Answer(200, WrapObject("v1", "Secret", SampleSecret()))
                   : Answer(401, "");
      });
  HttpKubernetesClient renewed(
      std::make_shared<RotatingAccess>(std::vector<ApiSession>{
          {http, SecretString("old")}, {http, SecretString("good")}}));
  EXPECT_THAT(renewed.Get<Secret>({"ns", "name"}), IsOk());
  EXPECT_EQ(http->requests().size(), 2U);

  HttpKubernetesClient hopeless(std::make_shared<RotatingAccess>(
      std::vector<ApiSession>{{http, SecretString("old")},
                              {http, SecretString("older")},
                              {http, SecretString("good")}}));
  EXPECT_THAT(hopeless.Get<Secret>({"ns", "name"}),
              StatusIs(absl::StatusCode::kUnauthenticated));
  EXPECT_THAT(hopeless.WatchObjects(kSecrets, {.resource_version = "1"}),
              IsOk());
}

}  // namespace
}  // namespace latchkey
