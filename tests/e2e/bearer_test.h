// Provisioners that show a bearer token: ServiceAccounts of the cluster, and
// JWTs of issuers of our own. The fixture of the end-to-end tests with them.

#ifndef LATCHKEY_TESTS_E2E_BEARER_TEST_H_
#define LATCHKEY_TESTS_E2E_BEARER_TEST_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "clients/broker/broker_channel.h"
#include "clients/broker/grpc_error.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "tests/e2e/join_test.h"
#include "tests/fakes/https_folder.h"
#include "tests/testing/jwt_issuer.h"

namespace latchkey_testing {

inline constexpr char kBearerRule[] = R"(  - name: bearers
    provisioners:
      - service_account: default/scaler
      - issuer: https://file.example
        subject: job-1
      - issuer: https://url.example
        subject: job-1
    allow:
      node_names: ["worker-*"]
      delivery: [ticket, direct]
)";

class BearerTest : public JoinTest {
 protected:
  // A broker that takes tokens of the cluster and of both issuers. What
  // `options` has is added.
  std::unique_ptr<BrokerProcess> StartBrokerForBearers(
      BrokerProcess::Options options = {}) {
    keys_.Write("file.json", JwkSetOf({old_key_.Jwk()}));
    site_.folder().Write("url.json", JwkSetOf({old_key_.Jwk()}));
    options.more_policy += kBearerRule;
    options.more_config += fmt::format(
        "authentication:\n"
        "  service_accounts: {{audience: latchkey}}\n"
        "  jwt:\n"
        "    - {{name: file, issuer: \"https://file.example\", audience: "
        "latchkey, jwks_file: {}, attributes: {{instance_id: instance}}}}\n"
        "    - {{name: url, issuer: \"https://url.example\", audience: "
        "latchkey, jwks_url: \"{}\", ca_file: {}, refresh: 1m}}\n",
        keys_.File("file.json"), site_.Url("url.json"), pki().ca_file());
    return StartBroker(std::move(options));
  }

  static bool HasPythonGrpc() {
    return RunProgram({"/usr/bin/python3", "-c", "import grpc"}, {})
               .exit_code == 0;
  }
  void Kubectl(const std::vector<std::string>& arguments) {
    std::vector<std::string> command = {"kubectl"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const ProgramResult done = cluster().Run(command);
    ASSERT_EQ(done.exit_code, 0) << done.err;
  }
  // A token of a ServiceAccount.
  std::string TokenOf(const std::string& account,
                      const std::string& audience = "latchkey",
                      const std::string& name_space = "default") {
    std::vector<std::string> command = {"kubectl", "-n",    name_space,
                                        "create",  "token", account};
    if (!audience.empty()) command.push_back("--audience=" + audience);
    const ProgramResult made = cluster().Run(command);
    EXPECT_EQ(made.exit_code, 0) << made.err;
    return Keep(made.out.substr(0, made.out.find('\n')));
  }
  // What a JWT says; the issuer is https://file.example or https://url.example.
  struct Jwt {
    std::string issuer = "file";
    absl::Duration lifetime = absl::Minutes(10);
    std::string audience = "latchkey";
    std::string subject = "job-1";
    // The claim "instance".
    std::string instance = "none";
  };
  std::string JwtOf(const JwtKey& key, const Jwt& jwt) {
    return Keep(SignJwt(
        key, fmt::format(R"({{"iss":"https://{}.example","aud":"{}",)"
                         R"("sub":"{}","exp":{},"jti":"{}","instance":"{}"}})",
                         jwt.issuer, jwt.audience, jwt.subject,
                         absl::ToUnixSeconds(absl::Now() + jwt.lifetime),
                         ++jwts_, jwt.instance)));
  }
  std::string Keep(const std::string& token) {
    KeepSecret(token.substr(token.rfind('.') + 1));
    return token;
  }

  // Issues a ticket for worker-1 with a bearer token and no certificate.
  absl::StatusOr<latchkey::v1::IssueTokenResponse> IssueAs(
      const BrokerProcess& broker, const std::string& token) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
    context.AddMetadata("authorization", "Bearer " + token);
    latchkey::v1::IssueTokenResponse response;
    const auto channel = latchkey::OpenBrokerChannel(
        {.endpoint = broker.provisioner_endpoint(),
         .certificate_authorities = pki().ca_pem()});
    const absl::Status status = latchkey::FromGrpcStatus(
        latchkey::v1::TokenBroker::NewStub(channel)->IssueToken(
            &context, RequestFor("worker-1"), &response));
    if (!status.ok()) return status;
    KeepSecret(response.ticket().substr(11, 32));
    return response;
  }
  // True if the broker knows whose the token is, whatever that one may do.
  bool Knows(const BrokerProcess& broker, const std::string& token) {
    return latchkey::ReasonOf(IssueAs(broker, token).status()) !=
           latchkey::reason::kUnauthenticated;
  }

  const JwtKey old_key_{"RS256", "old"};
  const JwtKey new_key_{"ES256", "new"};
  const TempDir keys_;
  const HttpsFolder site_{pki()};
  int jwts_ = 0;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_E2E_BEARER_TEST_H_
