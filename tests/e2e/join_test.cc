#include "tests/e2e/join_test.h"

#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <grpcpp/client_context.h>

#include "clients/broker/broker_channel.h"
#include "clients/broker/grpc_error.h"
#include "clients/http/curl_http_client.h"
#include "clients/kubernetes/http_kubernetes_client.h"
#include "crypto/certificate_request.h"
#include "latchkey/v1/node_bootstrap.grpc.pb.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "services/csr_rules.h"
#include "storage/kubernetes_token_store.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

constexpr absl::Duration kCallTime = absl::Seconds(30);

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + kCallTime));
}

std::unique_ptr<latchkey::KubernetesClient> MakeClient(
    latchkey::CurlHttpClientOptions options, const std::string& token) {
  auto http = latchkey::CurlHttpClient::Create(std::move(options));
  if (!http.ok()) throw std::runtime_error(http.status().ToString());
  return std::make_unique<latchkey::HttpKubernetesClient>(
      std::make_shared<latchkey::FixedApiAccess>(latchkey::ApiSession{
          *std::move(http), latchkey::SecretString(token)}));
}

}  // namespace

void Machine::UseTicket(const std::string& ca_file, const std::string& broker,
                        const std::string& ticket) {
  const std::string file = dir_.Write("ticket", ticket + "\n");
  WriteConfig(
      fmt::format("broker:\n  endpoint: {}\n  ca_file: {}\nticket_file: {}\n",
                  broker, ca_file, file));
}

void Machine::UseToken(const std::string& api_server,
                       const std::string& ca_file, const std::string& token) {
  const std::string file = dir_.Write("token", token + "\n");
  WriteConfig(fmt::format(
      "direct:\n  api_server: {}\n  ca_file: {}\n  token_file: {}\n",
      api_server, ca_file, file));
}

void Machine::WriteConfig(const std::string& credential) const {
  dir_.Write("join.yaml",
             fmt::format("node_name: {}\ntimeout: 2m\nprove: true\n{}output:\n"
                         "  cert_dir: {}\n  kubeconfig: {}\n  ca_file: {}\n",
                         node_name_, credential, dir_.File("pki"), kubeconfig(),
                         dir_.File("ca.crt")));
}

ProgramResult Machine::Join() const {
  return RunProgram(
      {BuiltProgram("latchkey-join"), "--config", dir_.File("join.yaml")}, {},
      absl::Minutes(3));
}

absl::StatusOr<std::unique_ptr<ChildProcess>> Machine::StartJoin() const {
  return ChildProcess::Start(
      {"setpriv", "--pdeathsig", "KILL", BuiltProgram("latchkey-join"),
       "--config", dir_.File("join.yaml")},
      {.stdout_path = dir_.File("join.log"),
       .stderr_path = dir_.File("join.log")});
}

JoinTest::JoinTest(const ControlPlaneOptions& options)
    : ControlPlaneTest(options) {}

void JoinTest::SetUp() {
  ControlPlaneTest::SetUp();
  if (IsSkipped() || HasFatalFailure()) return;
  ASSERT_THAT(GrantBrokerAccess(cluster(), dir_), IsOk());
  const std::string token = ReadFile(dir_.File("broker.token"));
  KeepSecret(token.substr(0, token.size() - 1));
  admin_ = MakeClient(
      {.base_url = cluster().url(),
       .ca_pem = ReadFile(cluster_ca_file()),
       .client_certificate_pem = ReadFile(cluster().Path("pki/admin.crt")),
       .client_key_pem =
           latchkey::SecretString(ReadFile(cluster().Path("pki/admin.key")))},
      "");
}

void JoinTest::TearDown() {
  for (const std::string& file : logs_) {
    const std::string text = ReadFile(file);
    for (const std::string& secret : secrets_) {
      EXPECT_EQ(text.find(secret), std::string::npos)
          << "a secret is in " << file;
    }
    if (HasFailure()) {
      std::fprintf(stderr, "---- %s\n%s\n", file.c_str(), text.c_str());
    }
  }
  admin_.reset();
  ControlPlaneTest::TearDown();
}

std::unique_ptr<BrokerProcess> JoinTest::StartBroker(
    BrokerProcess::Options options) {
  if (options.kubeconfig.empty()) options.kubeconfig = broker_kubeconfig();
  auto broker = std::make_unique<BrokerProcess>(pki_, options);
  // The broker's own folder goes with it; a hard link keeps the log.
  const std::string kept =
      dir_.File(fmt::format("broker-{}.log", broker->pid()));
  std::filesystem::create_hard_link(broker->log_file(), kept);
  SearchLater(kept);
  return broker;
}

std::shared_ptr<grpc::Channel> JoinTest::ProvisionerChannel(
    const BrokerProcess& broker, const std::string& who) {
  const latchkey::IssuedIdentity identity = pki_.Client(who);
  return latchkey::OpenBrokerChannel(
      {.endpoint = broker.provisioner_endpoint(),
       .certificate_authorities = pki_.ca_pem(),
       .certificate_pem = identity.certificate_pem,
       .private_key_pem = identity.private_key_pem});
}

std::shared_ptr<grpc::Channel> JoinTest::NodeChannel(
    const BrokerProcess& broker) {
  return latchkey::OpenBrokerChannel(
      {.endpoint = broker.node_endpoint(),
       .certificate_authorities = pki_.ca_pem()});
}

absl::StatusOr<latchkey::v1::IssueTokenResponse> JoinTest::Issue(
    const std::shared_ptr<grpc::Channel>& channel,
    const latchkey::v1::IssueTokenRequest& request) {
  grpc::ClientContext context;
  SetDeadline(context);
  latchkey::v1::IssueTokenResponse response;
  const absl::Status status = latchkey::FromGrpcStatus(
      latchkey::v1::TokenBroker::NewStub(channel)->IssueToken(&context, request,
                                                              &response));
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<latchkey::v1::ClaimTokenResponse> JoinTest::Claim(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& ticket,
    const std::string& node_name, const latchkey::PrivateKey& key) {
  latchkey::v1::ClaimTokenRequest request;
  request.set_ticket(ticket);
  request.set_node_name(node_name);
  request.set_certificate_signing_request(
      KubeletCsr("", node_name, key).spec().request());
  grpc::ClientContext context;
  SetDeadline(context);
  latchkey::v1::ClaimTokenResponse response;
  const absl::Status status = latchkey::FromGrpcStatus(
      latchkey::v1::NodeBootstrap::NewStub(channel)->ClaimToken(
          &context, request, &response));
  if (!status.ok()) return status;
  return response;
}

latchkey::v1::IssueTokenRequest JoinTest::RequestFor(
    const std::string& node_name, latchkey::v1::Delivery delivery) {
  latchkey::v1::IssueTokenRequest request;
  request.mutable_scope()->set_node_name(node_name);
  request.set_delivery(delivery);
  return request;
}

std::string JoinTest::IssueTicket(const BrokerProcess& broker,
                                  const std::string& node_name) {
  const auto issued = Issue(ProvisionerChannel(broker), RequestFor(node_name));
  EXPECT_THAT(issued, IsOk());
  if (!issued.ok()) return "";
  KeepSecret(issued->ticket().substr(11, 32));
  return issued->ticket();
}

std::string JoinTest::IssueDirect(const BrokerProcess& broker,
                                  const std::string& node_name) {
  const auto issued =
      Issue(ProvisionerChannel(broker),
            RequestFor(node_name, latchkey::v1::DELIVERY_DIRECT));
  EXPECT_THAT(issued, IsOk());
  if (!issued.ok()) return "";
  KeepSecret(issued->bootstrap_token().substr(7));
  return issued->bootstrap_token();
}

std::unique_ptr<latchkey::KubernetesClient> JoinTest::ClientWithToken(
    const std::string& token) const {
  auto& self = const_cast<JoinTest&>(*this);
  return MakeClient({.base_url = self.cluster().url(),
                     .ca_pem = ReadFile(self.cluster_ca_file())},
                    token);
}

Csr JoinTest::KubeletCsr(const std::string& name, const std::string& node_name,
                         const latchkey::PrivateKey& key) {
  Csr csr;
  csr.mutable_metadata()->set_name(name);
  auto& spec = *csr.mutable_spec();
  spec.set_signer_name(std::string(latchkey::kKubeletClientSigner));
  spec.add_usages("digital signature");
  spec.add_usages("client auth");
  spec.set_request(latchkey::BuildCertificateRequest(
                       key, {.common_name = "system:node:" + node_name,
                             .organizations = {"system:nodes"}})
                       .value());
  return csr;
}

void JoinTest::Post(const std::string& token, const Csr& csr) const {
  const auto client = ClientWithToken(token);
  absl::Status created;
  // The API server learns of a new token a moment after it was written.
  WaitUntil([&] {
    created = client->Create(csr).status();
    return !absl::IsUnauthenticated(created);
  });
  EXPECT_THAT(created, IsOk());
}

std::string JoinTest::DecisionOn(const std::string& name) {
  std::string decision;
  WaitUntil([&] {
    const auto csr = Admin().Get<Csr>({"", name});
    if (!csr.ok() || csr->status().conditions().empty()) return false;
    const auto& condition = csr->status().conditions(0);
    decision = condition.type() + " " + condition.reason();
    return true;
  });
  return decision;
}

bool JoinTest::AwaitCertificate(const std::string& name) {
  return WaitUntil([&] {
    const auto csr = Admin().Get<Csr>({"", name});
    return csr.ok() && !csr->status().certificate().empty();
  });
}

absl::StatusOr<latchkey::StoredToken> JoinTest::Record(const std::string& id) {
  latchkey::KubernetesTokenStore store(Admin());
  return store.Find(latchkey::TokenId::Parse(id).value());
}

bool JoinTest::AwaitState(const std::string& id, latchkey::TokenState state,
                          absl::Duration timeout) {
  return WaitUntil(
      [&] {
        const auto token = Record(id);
        return token.ok() && token->record.state == state;
      },
      timeout);
}

latchkey::PrivateKey JoinTest::NewKey() {
  return latchkey::PrivateKey::Generate(latchkey::KeyType::kP256).value();
}

std::string IdOf(const std::string& credential) {
  return credential.substr(0, 4) == "lk1_" ? credential.substr(4, 6)
                                           : credential.substr(0, 6);
}

}  // namespace latchkey_testing
