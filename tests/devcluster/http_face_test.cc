#include "devcluster/http_face.h"

#include <sys/resource.h>

#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "clients/kubernetes/envelope.h"
#include "devcluster/object_json.h"
#include "kubernetes/authentication.pb.h"
#include "kubernetes/core.pb.h"
#include "kubernetes/meta.pb.h"
#include "tests/devcluster/raw_https_client.h"
#include "tests/devcluster/served_cluster.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
namespace kubernetes = latchkey::kubernetes;

constexpr char kSecrets[] = "/api/v1/namespaces/kube-public/secrets";
constexpr char kJson[] = "Content-Type: application/json\r\n";
constexpr char kProtobuf[] =
    "Content-Type: application/vnd.kubernetes.protobuf\r\n"
    "Accept: application/vnd.kubernetes.protobuf\r\n";

kubernetes::Status StatusOfBody(const RawResponse& response) {
  kubernetes::Status status;
  const auto json = latchkey::JsonObject::Parse(response.body);
  EXPECT_THAT(json, IsOk()) << response.code << response.body;
  if (!json.ok()) return status;
  EXPECT_EQ(json->kind(), "Status");
  EXPECT_EQ(json->api_version(), "v1");
  EXPECT_THAT(json->ReadInto(status), IsOk());
  EXPECT_EQ(status.code(), response.code);
  return status;
}

class HttpFaceTest : public ::testing::Test {
 protected:
  void Serve(latchkey::HttpFaceOptions options = {}) {
    cluster_.emplace(std::move(options));
    admin_ = cluster_->Admin();
  }
  ServedCluster& cluster() {
    if (!cluster_) Serve();
    return *cluster_;
  }
  std::unique_ptr<RawHttpsClient> Connect() {
    cluster();
    return ConnectAs(&*admin_);
  }
  std::unique_ptr<RawHttpsClient> ConnectAs(
      const latchkey::IssuedIdentity* identity) {
    auto client =
        RawHttpsClient::Connect(cluster().port(), cluster().ca_pem(), identity);
    if (client == nullptr) throw std::runtime_error("no TLS connection");
    return client;
  }
  void ExpectStillServing() {
    EXPECT_EQ(Connect()->Exchange("GET", "/healthz").body, "ok");
  }
  static std::string SecretJson(const std::string& name) {
    return fmt::format(
        R"({{"kind":"Secret","apiVersion":"v1","metadata":{{"name":"{}"}},)"
        R"("data":{{"a":"AP8="}},"type":"Opaque"}})",
        name);
  }

 private:
  std::optional<ServedCluster> cluster_;
  std::optional<latchkey::IssuedIdentity> admin_;
};

// Who is asking.

constexpr char kWhoAmI[] = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

TEST_F(HttpFaceTest, ACertificateOfTheClusterIsAUserAndItsGroups) {
  const auto identity = cluster().Identity("jane", {"devs", "ops"});
  const RawResponse answer =
      ConnectAs(&identity)->Exchange("POST", kWhoAmI, kJson, "{}");

  EXPECT_EQ(answer.code, 201);
  kubernetes::SelfSubjectReview review;
  ASSERT_THAT(latchkey::JsonObject::Parse(answer.body)->ReadInto(review),
              IsOk());
  EXPECT_EQ(review.status().user_info().username(), "jane");
  EXPECT_THAT(review.status().user_info().groups(),
              ::testing::ElementsAre("devs", "ops", "system:authenticated"));
}

TEST_F(HttpFaceTest, AStrangersCertificateIsUnauthorizedAndNotHungUpOn) {
  const auto stranger = ServedCluster::StrangeAdmin();
  const RawResponse answer = ConnectAs(&stranger)->Exchange("GET", "/healthz");

  EXPECT_EQ(answer.code, 401);
  EXPECT_EQ(StatusOfBody(answer).reason(), "Unauthorized");
}

TEST_F(HttpFaceTest, ACertificateDoesNotOutliveItselfInAnOpenConnection) {
  auto client = Connect();
  EXPECT_EQ(client->Exchange("GET", kSecrets).code, 200);
  cluster().clock().Advance(absl::Hours(2));
  const RawResponse answer = client->Exchange("GET", kSecrets);
  EXPECT_EQ(answer.code, 401);
  EXPECT_EQ(StatusOfBody(answer).reason(), "Unauthorized");
}

TEST_F(HttpFaceTest, ATokenThatIsNoneIsUnauthorizedUnlessACertificateIsGood) {
  const auto ask = [](RawHttpsClient& client) {
    return client
        .Exchange("GET", kSecrets, "Authorization: Bearer no.token\r\n")
        .code;
  };
  EXPECT_EQ(ask(*ConnectAs(nullptr)), 401);
  EXPECT_EQ(ask(*Connect()), 200);
}

TEST_F(HttpFaceTest, ABootstrapTokenIsAUser) {
  const RawResponse created = Connect()->Exchange(
      "POST", "/api/v1/namespaces/kube-system/secrets", kJson,
      R"({"metadata":{"name":"bootstrap-token-abcdef"},)"
      R"("type":"bootstrap.kubernetes.io/token","stringData":{)"
      R"("token-id":"abcdef","token-secret":"0123456789abcdef",)"
      R"("usage-bootstrap-authentication":"true"}})");
  ASSERT_EQ(created.code, 201) << created.body;

  const auto stranger = ServedCluster::StrangeAdmin();
  for (const latchkey::IssuedIdentity* identity :
       {static_cast<const latchkey::IssuedIdentity*>(nullptr), &stranger}) {
    const RawResponse answer = ConnectAs(identity)->Exchange(
        "POST", kWhoAmI,
        std::string(kJson) +
            "Authorization: bearer abcdef.0123456789abcdef\r\n",
        "{}");
    EXPECT_EQ(answer.code, 201);
    EXPECT_THAT(answer.body, HasSubstr("system:bootstrap:abcdef"));
  }
}

TEST_F(HttpFaceTest, WithoutCredentialsOneIsAnonymous) {
  auto client = ConnectAs(nullptr);
  EXPECT_EQ(client->Exchange("GET", "/healthz").body, "ok");
  EXPECT_EQ(client->Exchange("GET", "/version").code, 200);
  for (const char* path : {kSecrets, "/foo"}) {
    const RawResponse answer = client->Exchange("GET", path);
    EXPECT_EQ(answer.code, 403);
    const kubernetes::Status status = StatusOfBody(answer);
    EXPECT_EQ(status.reason(), "Forbidden");
    EXPECT_THAT(status.message(), HasSubstr("system:anonymous"));
  }
}

TEST_F(HttpFaceTest, AnAdministratorMayBeSomebodyElse) {
  const auto ask = [](RawHttpsClient& client, const std::string& headers) {
    return client.Exchange("POST", kWhoAmI, kJson + headers, "{}");
  };
  const RawResponse jane = ask(
      *Connect(),
      "Impersonate-User: jane\r\nimpersonate-group: a\r\nImpersonate-Group: "
      "b\r\n");
  EXPECT_EQ(jane.code, 201);
  EXPECT_THAT(jane.body, HasSubstr(R"("username":"jane","groups":["a","b",)"
                                   R"("system:authenticated"])"));
  EXPECT_EQ(
      Connect()->Exchange("GET", kSecrets, "Impersonate-User: jane\r\n").code,
      403);
  EXPECT_EQ(ask(*Connect(), "Impersonate-Group: a\r\n").code, 400);
  EXPECT_EQ(ask(*Connect(), "Impersonate-Uid: a\r\n").code, 400);
  const auto nobody = cluster().Identity("nobody");
  const RawResponse refused =
      ask(*ConnectAs(&nobody), "Impersonate-User: kubernetes-admin\r\n");
  EXPECT_EQ(refused.code, 403);
  EXPECT_THAT(StatusOfBody(refused).message(), HasSubstr("impersonate"));
}

TEST_F(HttpFaceTest, WhoMayNotWriteIsToldSoWhateverHeSends) {
  EXPECT_EQ(ConnectAs(nullptr)->Exchange("POST", kSecrets, kJson, "{").code,
            403);
}

// Objects.

TEST_F(HttpFaceTest, AnObjectLivesInJson) {
  auto client = Connect();
  const RawResponse created =
      client->Exchange("POST", kSecrets, kJson, SecretJson("a"));
  EXPECT_EQ(created.code, 201);
  EXPECT_EQ(created.headers.at("content-type"), "application/json");
  absl::Time date;
  std::string error;
  ASSERT_TRUE(absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT",
                              created.headers.at("date"), &date, &error))
      << error;
  EXPECT_LT(absl::AbsDuration(absl::Now() - date), absl::Minutes(1));
  EXPECT_THAT(created.body,
              StartsWith(R"({"kind":"Secret","apiVersion":"v1")"));
  EXPECT_THAT(created.body, HasSubstr(R"("data":{"a":"AP8="})"));

  const std::string path = std::string(kSecrets) + "/a";
  EXPECT_EQ(client->Exchange("GET", path).body, created.body);
  const RawResponse list = client->Exchange("GET", kSecrets);
  EXPECT_THAT(list.body,
              StartsWith(R"({"kind":"SecretList","apiVersion":"v1")"));
  EXPECT_THAT(list.body, HasSubstr(R"("items":[{"metadata":{"name":"a")"));
  EXPECT_EQ(client->Exchange("PUT", path, kJson, created.body).code, 200);

  const RawResponse again =
      client->Exchange("POST", kSecrets, kJson, SecretJson("a"));
  EXPECT_EQ(again.code, 409);
  EXPECT_EQ(StatusOfBody(again).reason(), "AlreadyExists");

  const RawResponse deleted = client->Exchange("DELETE", path);
  EXPECT_EQ(deleted.code, 200);
  EXPECT_THAT(deleted.body, HasSubstr(R"("status":"Success")"));
  EXPECT_THAT(deleted.body, HasSubstr(R"("kind":"secrets")"));
  EXPECT_EQ(StatusOfBody(client->Exchange("GET", path)).reason(), "NotFound");
}

TEST_F(HttpFaceTest, JsonAndProtobufAreTheSameObject) {
  auto client = Connect();
  kubernetes::Secret secret;
  secret.mutable_metadata()->set_name("p");
  (*secret.mutable_data())["k"] = std::string("\0\xff", 2);
  const RawResponse created =
      client->Exchange("POST", kSecrets, kProtobuf,
                       latchkey::WrapObject("v1", "Secret", secret));
  ASSERT_EQ(created.code, 201);
  EXPECT_EQ(created.headers.at("content-type"),
            "application/vnd.kubernetes.protobuf");

  const auto envelope = latchkey::OpenEnvelope(created.body);
  ASSERT_THAT(envelope, IsOk());
  EXPECT_EQ(envelope->kind, "Secret");
  kubernetes::Secret stored;
  ASSERT_TRUE(stored.ParseFromString(std::string(envelope->raw)));
  std::string json;
  latchkey::AppendObjectJson("v1", "Secret", stored, json);
  EXPECT_EQ(client->Exchange("GET", std::string(kSecrets) + "/p").body, json);
}

TEST_F(HttpFaceTest, TheNamespacesThatThereAreCanBeSeen) {
  const std::string namespaces = "/api/v1/namespaces/";
  auto client = Connect();
  EXPECT_THAT(client->Exchange("GET", namespaces + "kube-public").body,
              HasSubstr(R"("kind":"Namespace")"));
  EXPECT_THAT(
      StatusOfBody(client->Exchange("GET", namespaces + "none")).message(),
      "namespaces \"none\" not found");
  EXPECT_EQ(ConnectAs(nullptr)->Exchange("GET", namespaces + "default").code,
            403);
}

TEST_F(HttpFaceTest, ErrorsComeInWhatTheClientAccepts) {
  const RawResponse answer =
      Connect()->Exchange("GET", std::string(kSecrets) + "/none", kProtobuf);
  EXPECT_EQ(answer.code, 404);
  const auto envelope = latchkey::OpenEnvelope(answer.body);
  ASSERT_THAT(envelope, IsOk());
  kubernetes::Status status;
  ASSERT_TRUE(status.ParseFromString(std::string(envelope->raw)));
  EXPECT_EQ(status.message(), "secrets \"none\" not found");
}

TEST_F(HttpFaceTest, DeletePreconditionsAreRead) {
  auto client = Connect();
  client->Exchange("POST", kSecrets, kJson, SecretJson("a"));
  const std::string path = std::string(kSecrets) + "/a";
  for (const char* body : {R"({"preconditions":{"uid":"other"}})",
                           R"({"kind":"DeleteOptions","apiVersion":"v1",
            "preconditions":{"resourceVersion":"1"}})"}) {
    const RawResponse answer = client->Exchange("DELETE", path, kJson, body);
    EXPECT_EQ(answer.code, 409);
    EXPECT_EQ(StatusOfBody(answer).reason(), "Conflict");
  }
  EXPECT_EQ(client
                ->Exchange("DELETE", path, kJson,
                           R"({"propagationPolicy":"Background"})")
                .code,
            200);
}

TEST_F(HttpFaceTest, ADryRunIsRefusedAndNotDone) {
  auto client = Connect();
  client->Exchange("POST", kSecrets, kJson, SecretJson("a"));
  const std::string path = std::string(kSecrets) + "/a";
  EXPECT_EQ(client->Exchange("DELETE", path + "?dryRun=All").code, 400);
  EXPECT_EQ(
      client->Exchange("DELETE", path, kJson, R"({"dryRun":["All"]})").code,
      400);
  EXPECT_EQ(client
                ->Exchange("POST", std::string(kSecrets) + "?dryRun=All", kJson,
                           SecretJson("b"))
                .code,
            400);
  EXPECT_EQ(client->Exchange("GET", path).code, 200);
  EXPECT_EQ(client->Exchange("GET", std::string(kSecrets) + "/b").code, 404);
}

TEST_F(HttpFaceTest, FieldsAreCheckedIfTheClientWantsThat) {
  auto client = Connect();
  const std::string body = R"({"metadata":{"name":"a","foo":1},"bar":2})";
  const RawResponse strict = client->Exchange(
      "POST", std::string(kSecrets) + "?fieldValidation=Strict", kJson, body);
  EXPECT_EQ(strict.code, 400);
  EXPECT_THAT(
      StatusOfBody(strict).message(),
      HasSubstr("unknown field \"metadata.foo\", unknown field \"bar\""));
  EXPECT_EQ(client->Exchange("POST", kSecrets, kJson, body).code, 201);
}

TEST_F(HttpFaceTest, WhatCannotBeDecodedIsABadRequest) {
  auto client = Connect();
  const std::string deep = [] {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += R"({"a":)";
    return text;
  }();
  const std::string wrong_kind =
      latchkey::WrapObject("v1", "ConfigMap", kubernetes::ConfigMap());
  struct Case {
    const char* headers;
    std::string body;
  };
  for (const Case& bad : {
           Case{kJson, ""},
           Case{kJson, "{"},
           Case{kJson, "[]"},
           Case{kJson, deep},
           Case{kJson, std::string("\0", 1)},
           Case{kJson, R"({"kind":"ConfigMap","apiVersion":"v1"})"},
           Case{kJson, R"({"kind":"Secret","apiVersion":"v2"})"},
           Case{kJson, R"({"metadata":{"name":5}})"},
           Case{kJson, R"({"data":{"a":"*"}})"},
           Case{kProtobuf, ""},
           Case{kProtobuf, "k8s"},
           Case{kProtobuf, std::string("k8s\0\xff\xff", 6)},
           Case{kProtobuf, wrong_kind},
       }) {
    const RawResponse answer =
        client->Exchange("POST", kSecrets, bad.headers, bad.body);
    EXPECT_EQ(answer.code, 400) << bad.body.substr(0, 60);
    EXPECT_THAT(answer.body, HasSubstr("BadRequest"));
  }
  EXPECT_EQ(client->Exchange("GET", "/healthz").body, "ok");
}

TEST_F(HttpFaceTest, TypesThatWeDoNotHaveAreRefused) {
  auto client = Connect();
  const RawResponse content = client->Exchange(
      "POST", kSecrets, "Content-Type: application/yaml\r\n", "a: b");
  EXPECT_EQ(content.code, 415);
  EXPECT_EQ(StatusOfBody(content).reason(), "UnsupportedMediaType");
  const RawResponse accept =
      client->Exchange("GET", kSecrets, "Accept: application/yaml\r\n");
  EXPECT_EQ(accept.code, 406);
  EXPECT_EQ(StatusOfBody(accept).reason(), "NotAcceptable");
  EXPECT_EQ(client
                ->Exchange("GET", kSecrets,
                           "Accept: application/json;as=Table;v=v1;"
                           "g=meta.k8s.io,application/json\r\n")
                .code,
            200);
}

TEST_F(HttpFaceTest, MethodsAndPathsThatWeDoNotHaveAreStatuses) {
  auto client = Connect();
  struct Case {
    const char* method;
    std::string path;
    int code;
  };
  const std::string object = std::string(kSecrets) + "/a";
  for (const Case& bad : {
           Case{"PATCH", object, 405},
           Case{"FOO", object, 405},
           Case{"POST", object, 405},
           Case{"PUT", kSecrets, 405},
           Case{"DELETE", kSecrets, 405},
           Case{"POST", "/api/v1/secrets", 405},
           Case{"GET", kWhoAmI, 405},
           Case{"POST", "/version", 405},
           Case{"OPTIONS", kSecrets, 405},
           Case{"GET", "/foo", 404},
           Case{"GET", "/api/v1/pods", 404},
           Case{"GET", "/apis/x/v1/y", 404},
           Case{"GET", "/api/v1/namespaces/a%2Fb/secrets", 404},
           Case{"GET", "/%zz", 400},
           Case{"GET", "x", 400},
           Case{"GET", std::string(kSecrets) + "?limit=x", 400},
           Case{"GET", std::string(kSecrets) + "?watch=1&timeoutSeconds=x",
                400},
       }) {
    const RawResponse answer = client->Exchange(bad.method, bad.path);
    EXPECT_EQ(answer.code, bad.code) << bad.method << " " << bad.path;
    StatusOfBody(answer);
  }
}

// HTTP.

TEST_F(HttpFaceTest, RequestsThatAreSentTogetherAreAnsweredInTheirOrder) {
  auto client = Connect();
  std::string requests;
  for (const char* path : {"/healthz", "/none", "/version", "/readyz"}) {
    requests += fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path);
  }
  ASSERT_TRUE(client->Send(requests));
  EXPECT_EQ(client->Read().body, "ok");
  EXPECT_EQ(client->Read().code, 404);
  EXPECT_THAT(client->Read().body, HasSubstr("gitVersion"));
  EXPECT_EQ(client->Read().body, "ok");
}

TEST_F(HttpFaceTest, AConnectionIsClosedWhenTheClientSaysSo) {
  auto client = Connect();
  EXPECT_EQ(client->Exchange("GET", "/healthz", "Connection: close\r\n")
                .headers.at("connection"),
            "close");
  EXPECT_EQ(client->ReadToEnd(), "");
}

TEST_F(HttpFaceTest, AHeadIsAnsweredWithoutABody) {
  auto client = Connect();
  EXPECT_EQ(client->Exchange("HEAD", kSecrets).code, 405);
  EXPECT_EQ(client->Exchange("GET", "/healthz").body, "ok");
}

TEST_F(HttpFaceTest, AClientThatAsksFirstIsToldToSendItsBody) {
  auto client = Connect();
  const std::string body = SecretJson("a");
  client->Send(
      fmt::format("POST {} HTTP/1.1\r\nHost: x\r\n{}Expect: "
                  "100-continue\r\nContent-Length: {}\r\n\r\n",
                  kSecrets, kJson, body.size()));
  EXPECT_EQ(client->Read(false).code, 100);
  client->Send(body);
  EXPECT_EQ(client->Read().code, 201);
}

TEST_F(HttpFaceTest, ABodyMayComeInChunks) {
  auto client = Connect();
  const std::string body = SecretJson("a");
  client->Send(fmt::format(
      "POST {} HTTP/1.1\r\nHost: x\r\n{}Transfer-Encoding: chunked\r\n\r\n",
      kSecrets, kJson));
  for (const char c : body) client->Send(fmt::format("1\r\n{}\r\n", c));
  client->Send("0\r\n\r\n");
  EXPECT_EQ(client->Read().code, 201);
}

TEST_F(HttpFaceTest, WhatIsNoHttpIsRefusedAndTheConnectionClosed) {
  for (const std::string bad :
       {"\r\n\r\n\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\nHost: x\n\n",
        "GET / HTTP/1.1\r\nNo colon\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET / HTTP/1.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x03\x04\r\n\r\n"}) {
    auto client = Connect();
    client->Send(bad);
    const RawResponse answer = client->Read();
    EXPECT_THAT(answer.code, AnyOf(400, 413, 505)) << bad;
    if (answer.code != 0) StatusOfBody(answer);
    EXPECT_EQ(client->ReadToEnd(), "") << bad;
  }
  ExpectStillServing();
}

TEST_F(HttpFaceTest, AConnectionThatEndsHalfWayIsForgotten) {
  for (const char* part : {"", "G", "GET / HTTP/1.1\r\nHost",
                           "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"}) {
    Connect()->Send(part);
  }
  ExpectStillServing();
}

TEST_F(HttpFaceTest, AHugeHeadIsRefused) {
  for (const std::string& head :
       {"GET /" + std::string(100'000, 'a') + " HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX: " + std::string(100'000, 'a') + "\r\n\r\n",
        "GET / HTTP/1.1\r\n" + [] {
          std::string many;
          for (int i = 0; i < 10'000; ++i) many += "X: y\r\n";
          return many;
        }()}) {
    auto client = Connect();
    client->Send(head);
    const RawResponse answer = client->Read();
    EXPECT_EQ(answer.code, 431);
    StatusOfBody(answer);
    EXPECT_EQ(client->ReadToEnd(), "");
  }
}

TEST_F(HttpFaceTest, AHugeBodyIsRefused) {
  auto client = Connect();
  client->Send(fmt::format(
      "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n{}",
      kSecrets, std::string(100'000, ' ')));
  const RawResponse answer = client->Read();
  EXPECT_EQ(answer.code, 413);
  EXPECT_EQ(StatusOfBody(answer).reason(), "RequestEntityTooLarge");

  client = Connect();
  client->Send(
      fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                  "chunked\r\n\r\n400000\r\n",
                  kSecrets));
  client->Send(std::string(0x400000, ' '));
  EXPECT_EQ(client->Read().code, 413);
}

TEST_F(HttpFaceTest, WhatStandsBetweenChunksIsBoundedToo) {
  std::string trailers = "0\r\n";
  for (int i = 0; i < 100'000; ++i) trailers += "X: y\r\n";
  for (const std::string& endless :
       {"1;x=" + std::string(1'000'000, 'a'), trailers}) {
    auto client = ConnectAs(nullptr);
    client->Send(
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    client->Send(endless);
    EXPECT_EQ(client->Read().code, 431) << endless.substr(0, 9);
    EXPECT_EQ(client->ReadToEnd(), "");
  }
}

TEST_F(HttpFaceTest, OfWhomItDoesNotKnowItReadsOnlyASmallBody) {
  const auto stranger = ServedCluster::StrangeAdmin();
  for (const auto* identity :
       {static_cast<const latchkey::IssuedIdentity*>(nullptr), &stranger}) {
    for (const std::string body :
         {"Content-Length: 100000\r\n\r\n",
          "Expect: 100-continue\r\nContent-Length: 100000\r\n\r\n",
          "Transfer-Encoding: chunked\r\n\r\n186a0\r\n"}) {
      auto client = ConnectAs(identity);
      client->Send(
          fmt::format("POST {} HTTP/1.1\r\nHost: x\r\n"
                      "Authorization: Bearer no.token\r\n{}",
                      kSecrets, body));
      const RawResponse answer = client->Read();
      EXPECT_EQ(answer.code, 413) << body;
      EXPECT_THAT(answer.body, HasSubstr("limit is 65536"));
    }
  }
}

TEST_F(HttpFaceTest, AClientThatIsTooSlowIsHungUpOn) {
  Serve({.read_timeout = absl::Milliseconds(200)});
  for (const char* part : {"GET / HTTP/1.1\r\nHost",
                           "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"}) {
    // The handshake has to be in time as well.
    std::unique_ptr<RawHttpsClient> client;
    ASSERT_TRUE(WaitUntil([&] {
      client = RawHttpsClient::Connect(cluster().port(), cluster().ca_pem());
      return client != nullptr;
    }));
    client->Send(part);
    EXPECT_EQ(client->ReadToEnd(), "");
  }
}

TEST_F(HttpFaceTest, OneConnectionTooManyIsClosed) {
  Serve({.max_connections = 2});
  auto first = Connect();
  auto second = Connect();
  EXPECT_EQ(RawHttpsClient::Connect(cluster().port(), cluster().ca_pem()),
            nullptr);
  EXPECT_EQ(first->Exchange("GET", "/healthz").body, "ok");
  first.reset();
  EXPECT_TRUE(WaitUntil([&] {
    return RawHttpsClient::Connect(cluster().port(), cluster().ca_pem()) !=
           nullptr;
  }));
}

TEST_F(HttpFaceTest, HalfOfTheDescriptorsAreForOthers) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  Serve();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);

  std::vector<std::unique_ptr<RawHttpsClient>> clients;
  for (int i = 0; i < 32; ++i) clients.push_back(Connect());
  EXPECT_EQ(RawHttpsClient::Connect(cluster().port(), cluster().ca_pem()),
            nullptr);
  EXPECT_EQ(clients[0]->Exchange("GET", "/healthz").body, "ok");
}

TEST_F(HttpFaceTest, APortThatIsTakenIsNamed) {
  latchkey::HttpFaceOptions options;
  options.port = cluster().port();
  const latchkey::IssuedIdentity identity = cluster().Identity("x");
  options.certificate_pem = identity.certificate_pem;
  options.private_key_pem = identity.private_key_pem;
  options.client_ca_pem = cluster().ca_pem();
  EXPECT_THAT(latchkey::HttpFace::Start(cluster().api(), options),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr(std::to_string(cluster().port()))));
  options.address = "localhost";
  EXPECT_THAT(latchkey::HttpFace::Start(cluster().api(), options),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(HttpFaceTest, BadPemIsNamedAndNotRepeated) {
  const latchkey::IssuedIdentity good = cluster().Identity("x");
  for (const int bad : {0, 1, 2}) {
    latchkey::HttpFaceOptions options;
    options.certificate_pem = bad == 0 ? "4711" : good.certificate_pem;
    options.private_key_pem =
        bad == 1 ? latchkey::SecretString("4711") : good.private_key_pem;
    options.client_ca_pem = bad == 2 ? "4711" : cluster().ca_pem();
    EXPECT_THAT(
        latchkey::HttpFace::Start(cluster().api(), options),
        StatusIs(absl::StatusCode::kInvalidArgument, Not(HasSubstr("4711"))));
  }
}

// Watches.

TEST_F(HttpFaceTest, AWatchInJsonIsALineForEachChange) {
  auto writer = Connect();
  writer->Exchange("POST", kSecrets, kJson, SecretJson("a"));
  auto watcher = Connect();
  watcher->Send(
      fmt::format("GET {}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n", kSecrets));
  const std::string head = watcher->ReadUntil("\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("200 OK"));
  EXPECT_THAT(head, HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_THAT(watcher->ReadUntil("\n\r\n"),
              HasSubstr(R"({"type":"ADDED","object":{"kind":"Secret",)"
                        R"("apiVersion":"v1","metadata":{"name":"a")"));

  writer->Exchange("DELETE", std::string(kSecrets) + "/a");
  EXPECT_THAT(watcher->ReadUntil("\n\r\n"), HasSubstr(R"("type":"DELETED")"));
}

TEST_F(HttpFaceTest, InitialEventsEndWithABookmark) {
  Connect()->Exchange("POST", kSecrets, kJson, SecretJson("a"));
  const RawResponse answer = Connect()->Exchange(
      "GET", std::string(kSecrets) +
                 "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&"
                 "resourceVersionMatch=NotOlderThan&timeoutSeconds=1");
  EXPECT_THAT(answer.body, StartsWith(R"({"type":"ADDED")"));
  EXPECT_THAT(answer.body, HasSubstr(R"("k8s.io/initial-events-end":"true")"));
}

TEST_F(HttpFaceTest, AnObjectThatIsHeldByAFinalizerIsAnsweredAsItIs) {
  auto client = Connect();
  client->Exchange("POST", kSecrets, kJson,
                   R"({"metadata":{"name":"a","finalizers":["x.y/z"]}})");
  const RawResponse held =
      client->Exchange("DELETE", std::string(kSecrets) + "/a");
  EXPECT_EQ(held.code, 200);
  EXPECT_THAT(held.body, StartsWith(R"({"kind":"Secret")"));
  EXPECT_THAT(held.body, HasSubstr("deletionTimestamp"));
}

TEST_F(HttpFaceTest, AWatchEndsWhenItsTimeIsOver) {
  const RawResponse answer = Connect()->Exchange(
      "GET", std::string(kSecrets) + "?watch=1&timeoutSeconds=1");
  EXPECT_EQ(answer.code, 200);
  EXPECT_EQ(answer.body, "");
}

TEST_F(HttpFaceTest, AWatchOfAForgottenVersionIsAnErrorEvent) {
  auto client = Connect();
  client->Exchange("POST", kSecrets, kJson, SecretJson("a"));
  cluster().store().ForgetHistory();
  const RawResponse answer = client->Exchange(
      "GET", std::string(kSecrets) + "?watch=1&resourceVersion=1");
  EXPECT_EQ(answer.code, 200);
  EXPECT_THAT(answer.body,
              HasSubstr(R"({"type":"ERROR","object":{"kind":"Status")"));
  EXPECT_THAT(answer.body, HasSubstr(R"("code":410)"));
}

TEST_F(HttpFaceTest, AWatcherThatDoesNotReadHoldsNobodyUp) {
  auto watcher = Connect();
  watcher->Send(
      fmt::format("GET {}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n", kSecrets));
  watcher->ReadUntil("\r\n\r\n");
  auto writer = Connect();
  const std::string large(500'000, 'A');
  for (int i = 0; i < 20; ++i) {
    const RawResponse created = writer->Exchange(
        "POST", kSecrets, kJson,
        fmt::format(R"({{"metadata":{{"name":"s{}"}},"data":{{"a":"{}"}}}})", i,
                    large));
    ASSERT_EQ(created.code, 201);
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(watcher->ReadUntil("\n\r\n"),
                HasSubstr(fmt::format(R"("name":"s{}")", i)));
  }
}

TEST_F(HttpFaceTest, TheFaceEndsWithWatchesOpenAndWritersAtWork) {
  std::vector<std::unique_ptr<RawHttpsClient>> watchers;
  for (int i = 0; i < 20; ++i) {
    watchers.push_back(Connect());
    watchers.back()->Send(
        fmt::format("GET {}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n", kSecrets));
    watchers.back()->ReadUntil("\r\n\r\n");
  }
  std::jthread writer([this](const std::stop_token& stop) {
    kubernetes::Secret secret;
    for (int i = 0; !stop.stop_requested(); ++i) {
      secret.mutable_metadata()->set_name(fmt::format("s{}", i % 100));
      cluster()
          .api()
          .Create(latchkey::AdminUser(), latchkey::kSecrets, "kube-public",
                  secret)
          .IgnoreError();
      cluster()
          .api()
          .Delete(latchkey::AdminUser(), latchkey::kSecrets,
                  {"kube-public", secret.metadata().name()}, {})
          .IgnoreError();
    }
  });
  watchers[0]->ReadUntil("\n\r\n");
  cluster().StopFace();
  for (const auto& watcher : watchers) {
    EXPECT_NE(watcher->ReadToEnd(), std::nullopt);
  }
}

// What tests of clients ask for.

TEST_F(HttpFaceTest, FaultsReplaceCutAndDelayAnswers) {
  std::map<std::string, latchkey::HttpFaceOptions::Fault> faults = {
      {std::string(kSecrets) + "?refused",
       {.code = 429, .retry_after_seconds = 3}},
      {std::string(kSecrets) + "?applied", {.apply = true, .code = 500}},
      {std::string(kSecrets) + "?cut", {.apply = true, .cut_after = 20}},
      {std::string(kSecrets) + "?torn", {.cut_after = 300}},
      {std::string(kSecrets) + "?lost", {.cut_after = 0}},
      {std::string(kSecrets) + "?late", {.delay = absl::Milliseconds(50)}}};
  Serve({.fault_hook = [&faults](std::string_view, std::string_view target) {
    const auto found = faults.find(std::string(target));
    return found == faults.end() ? latchkey::HttpFaceOptions::Fault()
                                 : found->second;
  }});
  const auto post = [&](const std::string& how) {
    return Connect()->Exchange("POST", std::string(kSecrets) + "?" + how, kJson,
                               SecretJson(how));
  };
  const auto exists = [&](const std::string& name) {
    return Connect()
               ->Exchange("GET", std::string(kSecrets) + "/" + name)
               .code == 200;
  };
  const RawResponse refused = post("refused");
  EXPECT_EQ(refused.code, 429);
  EXPECT_EQ(refused.headers.at("retry-after"), "3");
  EXPECT_FALSE(exists("refused"));
  EXPECT_EQ(post("applied").code, 500);
  EXPECT_TRUE(exists("applied"));
  EXPECT_EQ(post("cut").code, 0);
  EXPECT_TRUE(exists("cut"));
  const RawResponse torn = post("torn");
  EXPECT_EQ(torn.code, 201);
  EXPECT_THAT(torn.body, StartsWith("{"));
  EXPECT_LT(torn.body.size(), 300U);
  EXPECT_EQ(post("lost").code, 0);
  EXPECT_FALSE(exists("lost"));
  EXPECT_EQ(post("late").code, 201);
}

}  // namespace
}  // namespace latchkey_testing
