// What a proxy answers in the API server's place, over the network.

#include "clients/node/api_server_client.h"

#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "clients/node/credential_proof.h"
#include "clients/node/node_files.h"
#include "clients/node/node_joiner.h"
#include "tests/clients/pace/fake_pace.h"
#include "tests/fakes/hostile_https_server.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using kubernetes::Secret;
using kubernetes::SecretList;
using latchkey_testing::FakeClock;
using latchkey_testing::FakePace;
using latchkey_testing::HostileHttpsServer;
using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using latchkey_testing::TempDir;
using ::testing::HasSubstr;

class ProxyTest : public ::testing::Test {
 protected:
  static HostileHttpsServer& server() {
    static HostileHttpsServer server;
    return server;
  }
  // Where each request is answered with `status` and "because".
  static std::string UrlOf(int status) {
    return fmt::format("{}/status/{}", server().url(), status);
  }
  static BootstrapToken Token() {
    return *BootstrapToken::Parse("abcdef.0123456789abcdef");
  }
  static std::unique_ptr<KubernetesClient> ClientOf(int status) {
    auto client = MakeApiServerClient({.url = UrlOf(status),
                                       .ca_pem = server().ca_pem(),
                                       .credential = Token()});
    EXPECT_THAT(client, IsOk());
    return *std::move(client);
  }
};

TEST_F(ProxyTest, ItsNotFoundSaysNothingOfAnObject) {
  const auto client = ClientOf(404);
  Secret secret;
  secret.mutable_metadata()->set_namespace_("ns");
  secret.mutable_metadata()->set_name("name");

  const auto unknown =
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr("proxy"));
  EXPECT_THAT(client->Get<Secret>({"ns", "name"}), unknown);
  EXPECT_THAT(client->Update(secret), unknown);
  EXPECT_THAT(client->Delete<Secret>({"ns", "name"}), unknown);
  EXPECT_THAT(client->List<SecretList>({.name_space = "ns"}), unknown);
  EXPECT_THAT(client->WatchObjects(kSecrets, {.resource_version = "1"}),
              unknown);
}

TEST_F(ProxyTest, ItsNoIsNoVerdictOnAJoin) {
  for (const int status : {400, 401, 403, 404, 405, 413, 501}) {
    SCOPED_TRACE(status);
    const TempDir dir;
    NodeFiles files({.cert_dir = dir.File("pki"),
                     .kubeconfig = dir.File("kubelet.conf"),
                     .ca_file = dir.File("ca.crt")});
    FakeClock clock;
    FakePace pace(clock);
    const JoinPlan plan = {
        .node_name = "node-1",
        .credential = BootstrapGrant{.token = Token(),
                                     .api_servers = {UrlOf(status)},
                                     .ca_pem = server().ca_pem()},
        .timeout = absl::Minutes(2)};

    const auto joined = NodeJoiner(plan, {.broker = nullptr,
                                          .api_servers = MakeApiServerClient,
                                          .files = files,
                                          .clock = clock,
                                          .pace = pace,
                                          .on_progress = {}})
                            .Run();

    EXPECT_THAT(joined, StatusIs(absl::StatusCode::kDeadlineExceeded,
                                 HasSubstr(fmt::format("HTTP {}", status))));
  }
}

TEST_F(ProxyTest, ItsNoIsNoVerdictOnACertificate) {
  for (const int status : {401, 403, 501}) {
    EXPECT_THAT(ProveCredential(*ClientOf(status), "node-1"),
                StatusIs(absl::StatusCode::kUnavailable))
        << status;
  }
  // An API server says that in the same way.
  EXPECT_THAT(ProveCredential(*ClientOf(404), "node-1"),
              StatusIs(absl::StatusCode::kUnimplemented));
}

}  // namespace
}  // namespace latchkey
