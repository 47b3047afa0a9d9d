// The programs as a user starts them, without a cluster: what they say of their
// configuration, and how they end.

#include <signal.h>
#include <sys/stat.h>

#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>

#include "clients/broker/broker_channel.h"
#include "clients/broker/grpc_error.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "core/ticket.h"
#include "latchkey/v1/node_bootstrap.grpc.pb.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "tests/e2e/broker_process.h"
#include "tests/testing/child_process.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ProgramsTest : public ::testing::Test {
 protected:
  static ProgramResult Run(const std::string& program,
                           std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), BuiltProgram(program));
    return RunProgram(arguments, {{"HOME", "/nonexistent"}}, absl::Seconds(30));
  }
  // A broker's configuration over an API server that is not there.
  std::string BrokerConfig(const std::string& listen = "127.0.0.1:0",
                           const std::string& key = "") {
    dir_.Write("kubeconfig",
               fmt::format("clusters: [{{name: c, cluster: {{server: "
                           "\"https://127.0.0.1:1\", certificate-authority: "
                           "\"{}\"}}}}]\n"
                           "users: [{{name: u, user: {{token: t}}}}]\n"
                           "contexts: [{{name: x, context: {{cluster: c, user: "
                           "u}}}}]\ncurrent-context: x\n",
                           pki_.ca_file()));
    const IdentityFiles server = pki_.Save("server", pki_.Server());
    return dir_.Write(
        "broker.yaml",
        fmt::format(
            "cluster: {{kubeconfig: {}}}\n"
            "provisioner_api: {{listen: \"{}\", certificate_file: {}, "
            "private_key_file: {}, client_ca_file: {}}}\n"
            "node_api: {{listen: \"127.0.0.1:0\", certificate_file: {}, "
            "private_key_file: {}}}\n"
            "policy: [{{name: a, provisioners: [{{spiffe_id: \"{}\"}}], "
            "allow: {{node_names: [\"*\"]}}}}]\n",
            dir_.File("kubeconfig"), listen, server.certificate,
            key.empty() ? server.private_key : key, pki_.ca_file(),
            server.certificate, server.private_key, kAutoscaler));
  }
  std::unique_ptr<ChildProcess> StartBroker() {
    auto broker = ChildProcess::Start(
        {"setpriv", "--pdeathsig", "KILL", BuiltProgram("latchkeyd"),
         "--config", BrokerConfig()},
        {.stdout_path = dir_.File("log"), .stderr_path = dir_.File("log")});
    EXPECT_THAT(broker, IsOk());
    EXPECT_TRUE(WaitUntil([&] { return PortOf("node_port") != 0; }))
        << ReadFile(dir_.File("log"));
    return *std::move(broker);
  }
  int PortOf(const std::string& which) const {
    const std::string log = ReadFile(dir_.File("log"));
    const std::string key = "\"" + which + "\":\"";
    const size_t at = log.find(key);
    return at == std::string::npos ? 0 : std::stoi(log.substr(at + key.size()));
  }
  std::shared_ptr<grpc::Channel> Channel(const std::string& which) {
    const latchkey::IssuedIdentity identity = pki_.Client(kAutoscaler);
    return latchkey::OpenBrokerChannel(
        {.endpoint = fmt::format("localhost:{}", PortOf(which)),
         .certificate_authorities = pki_.ca_pem(),
         .certificate_pem = identity.certificate_pem,
         .private_key_pem = identity.private_key_pem});
  }
  // Whether the policy would let it, which takes no cluster.
  absl::Status MayIssue(const std::string& node_name) {
    latchkey::v1::IssueTokenRequest request;
    request.mutable_scope()->set_node_name(node_name);
    request.set_validate_only(true);
    latchkey::v1::IssueTokenResponse response;
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
    return latchkey::FromGrpcStatus(
        latchkey::v1::TokenBroker::NewStub(Channel("provisioner_port"))
            ->IssueToken(&context, request, &response));
  }
  static std::string Ticket() {
    const auto ticket = latchkey::Ticket::FromSecret(
        latchkey::TokenId::Parse("abc123").value(),
        latchkey::SecretString(std::string(32, 'x')));
    return std::string(ticket->text().Reveal());
  }
  bool Logs(const std::string& event) const {
    return ReadFile(dir_.File("log")).find("\"event\":\"" + event + "\"") !=
           std::string::npos;
  }
  absl::Status Claim(
      const std::string& ticket, const std::string& csr,
      grpc_compression_algorithm compression = GRPC_COMPRESS_NONE) {
    latchkey::v1::ClaimTokenRequest request;
    request.set_ticket(ticket);
    request.set_certificate_signing_request(csr);
    latchkey::v1::ClaimTokenResponse response;
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
    context.set_compression_algorithm(compression);
    return latchkey::FromGrpcStatus(
        latchkey::v1::NodeBootstrap::NewStub(Channel("node_port"))
            ->ClaimToken(&context, request, &response));
  }

  TestPki pki_;
  TempDir dir_;
};

TEST_F(ProgramsTest, ABadBrokerConfigurationIsReportedWholeAndNothingStarts) {
  const std::string config = dir_.Write("broker.yaml", R"(
provisioner_api:
  listen: here
  certificate_file: a.crt
nodeapi: {}
policy: []
)");
  const ProgramResult result = Run("latchkeyd", {"--config", config});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr(config + ":3:"), HasSubstr("listen"),
                    HasSubstr("private_key_file"), HasSubstr("client_ca_file"),
                    HasSubstr("nodeapi"), HasSubstr("policy")));
  EXPECT_EQ(result.err.find("broker listens"), std::string::npos);
}

TEST_F(ProgramsTest, FilesThatDoNotFitAreNamed) {
  const std::string other =
      pki_.Save("other", pki_.Client(kAutoscaler)).private_key;
  const ProgramResult wrong_key =
      Run("latchkeyd", {"--config", BrokerConfig("127.0.0.1:0", other)});
  EXPECT_EQ(wrong_key.exit_code, 2) << wrong_key.err;
  EXPECT_THAT(wrong_key.err, HasSubstr(other));
  const ProgramResult missing =
      Run("latchkeyd", {"--config", BrokerConfig("127.0.0.1:0", "/no/such")});
  EXPECT_THAT(missing.err, HasSubstr("/no/such"));
  EXPECT_NE(missing.exit_code, 0);
  EXPECT_EQ(Run("latchkeyd", {"--config", "/no/such"}).exit_code, 2);
}

TEST_F(ProgramsTest, APortThatIsTakenIsSaid) {
  const auto broker = StartBroker();
  const std::string listen =
      fmt::format("127.0.0.1:{}", PortOf("provisioner_port"));
  const ProgramResult second =
      Run("latchkeyd", {"--config", BrokerConfig(listen)});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.err, HasSubstr(listen));
  broker->Signal(SIGTERM);
  EXPECT_EQ(broker->AwaitExit(absl::Seconds(20)), 0);
}

TEST_F(ProgramsTest, WithoutItsClusterABrokerSaysSoAndSpendsNothing) {
  const auto broker = StartBroker();
  latchkey::v1::IssueTokenRequest request;
  request.mutable_scope()->set_node_name("worker-1");
  latchkey::v1::IssueTokenResponse response;
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  const absl::Status status = latchkey::FromGrpcStatus(
      latchkey::v1::TokenBroker::NewStub(Channel("provisioner_port"))
          ->IssueToken(&context, request, &response));
  EXPECT_THAT(status, ReasonIs(latchkey::reason::kClusterUnavailable));
  EXPECT_EQ(ReadFile(dir_.File("log")).find("broker serves"),
            std::string::npos);
  broker->Signal(SIGTERM);
  EXPECT_EQ(broker->AwaitExit(absl::Seconds(20)), 0);
}

TEST_F(ProgramsTest, APolicyIsTakenOverWhileTheBrokerRuns) {
  const auto broker = StartBroker();
  const std::string old = ReadFile(dir_.File("broker.yaml"));
  const auto with_names = [&](const std::string& names) {
    std::string text = old;
    return text.replace(text.find("[\"*\"]"), 5, names);
  };
  EXPECT_THAT(MayIssue("worker-1"), IsOk());

  dir_.Write("broker.yaml", with_names("[\"gpu-*\"]"));
  broker->Signal(SIGHUP);
  ASSERT_TRUE(WaitUntil([&] { return Logs("policy reloaded"); }));
  const absl::Status denied = MayIssue("worker-1");
  EXPECT_THAT(denied, ReasonIs(latchkey::reason::kPolicyDenied));
  EXPECT_EQ(latchkey::MetadataOf(denied)["limit"], "gpu-*");
  EXPECT_THAT(MayIssue("gpu-1"), IsOk());

  // Nobody asks from here on: the file is looked at.
  dir_.Write("broker.yaml", with_names("[\"GPU-*\"]"));
  ASSERT_TRUE(WaitUntil([&] { return Logs("policy not reloaded"); }));
  EXPECT_THAT(MayIssue("gpu-1"), IsOk());

  dir_.Write("broker.yaml",
             with_names("[\"worker-*\"]") + "tokens: {join_window: 5m}\n");
  ASSERT_TRUE(WaitUntil([&] { return Logs("changes that need a restart"); }));
  EXPECT_THAT(MayIssue("worker-1"), IsOk());
  EXPECT_THAT(MayIssue("gpu-1"), ReasonIs(latchkey::reason::kPolicyDenied));
  EXPECT_FALSE(Logs("policy would deny"));

  std::string observing = with_names("[\"worker-*\"]");
  observing.replace(observing.find("{name: a"), 8, "{mode: observe, name: a");
  dir_.Write("broker.yaml", observing);
  ASSERT_TRUE(WaitUntil([&] { return MayIssue("gpu-1").ok(); }));
  EXPECT_TRUE(Logs("policy would deny"));
  broker->Signal(SIGTERM);
  EXPECT_EQ(broker->AwaitExit(absl::Seconds(20)), 0);
}

TEST_F(ProgramsTest, APolicyIsJudgedByItsOwnTests) {
  const std::string config = BrokerConfig();
  const std::string good = ReadFile(config);
  const auto test = [&](const char* expect) {
    dir_.Write("broker.yaml",
               good + fmt::format("policy_tests: [{{name: t, identity: "
                                  "{{spiffe_id: \"{}\"}}, request: "
                                  "{{node_name: a}}, expect: {}}}]\n",
                                  kAutoscaler, expect));
  };
  test("allow");
  EXPECT_EQ(Run("latchkeyd", {"--config", config, "--check"}).exit_code, 0);
  EXPECT_EQ(Run("latchkeyctl", {"policy", "test", config}).exit_code, 0);
  test("deny");
  for (const ProgramResult& result :
       {Run("latchkeyd", {"--config", config, "--check"}),
        Run("latchkeyctl", {"policy", "test", config})}) {
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.out + result.err,
                HasSubstr("expected deny, came allow by rule 'a'"));
  }
  EXPECT_EQ(Run("latchkeyctl", {"policy"}).exit_code, 2);
  EXPECT_EQ(Run("latchkeyctl", {"policy", "test", "/no/such"}).exit_code, 2);
}

TEST_F(ProgramsTest, HostileClaimsGetAnErrorEach) {
  const auto broker = StartBroker();
  const std::string pem = "-----BEGIN CERTIFICATE REQUEST-----\n";
  EXPECT_THAT(Claim("lk1_", ""), ReasonIs(latchkey::reason::kTicketMalformed));
  EXPECT_THAT(Claim(std::string(50'000, 'a'), ""),
              ReasonIs(latchkey::reason::kTicketMalformed));
  for (const std::string& csr :
       {std::string(), pem, pem + pem, std::string("\0\xff", 2),
        pem + std::string(40'000, 'A')}) {
    EXPECT_THAT(Claim(Ticket(), csr),
                ReasonIs(latchkey::reason::kCsrMalformed));
  }
  EXPECT_THAT(Claim(Ticket(), std::string(1 << 20, 'A')),
              StatusIs(absl::StatusCode::kResourceExhausted))
      << "more than a claim can need is not even read";
  EXPECT_THAT(Claim(Ticket(), std::string(8 << 20, 'A'), GRPC_COMPRESS_GZIP),
              StatusIs(absl::StatusCode::kUnimplemented))
      << "nor is it inflated";
  broker->Signal(SIGTERM);
  EXPECT_EQ(broker->AwaitExit(absl::Seconds(20)), 0);
}

// What HardenProcess() does can be read of a process that runs.
bool IsHardened(pid_t pid) {
  return ReadFile(fmt::format("/proc/{}/status", pid)).find("Umask:\t0077\n") !=
             std::string::npos &&
         ::testing::Matches(
             ::testing::ContainsRegex("Max core file size +0 +0 "))(
             ReadFile(fmt::format("/proc/{}/limits", pid)));
}

TEST_F(ProgramsTest, EachKeepsItsMemoryAndItsFilesToItself) {
  const auto broker = StartBroker();
  EXPECT_TRUE(IsHardened(broker->pid()));
  // The other two wait: one for a writer, the other for a broker.
  const std::string log = dir_.File("audit.log");
  ASSERT_EQ(mkfifo(log.c_str(), 0600), 0);
  const auto ctl = ChildProcess::Start(
      {BuiltProgram("latchkeyctl"), "audit", "verify", log});
  ASSERT_THAT(ctl, IsOk());
  EXPECT_TRUE(WaitUntil([&] { return IsHardened((*ctl)->pid()); }));
  const auto join = ChildProcess::Start(
      {BuiltProgram("latchkey-join"), "--config",
       dir_.Write("join.yaml",
                  fmt::format("broker: {{endpoint: \"127.0.0.1:1\", ca_file: "
                              "{}}}\nticket_file: {}\noutput: {{cert_dir: "
                              "{}}}\n",
                              pki_.ca_file(), dir_.Write("ticket", Ticket()),
                              dir_.File("pki")))},
      {.stderr_path = dir_.File("join.log")});
  ASSERT_THAT(join, IsOk());
  EXPECT_TRUE(WaitUntil([&] { return IsHardened((*join)->pid()); }));
  // Neither heeds the end of its input.
  (*ctl)->Signal(SIGKILL);
  (*join)->Signal(SIGKILL);
}

TEST_F(ProgramsTest, TheOthersSayWhatIsWrongToo) {
  EXPECT_EQ(Run("latchkeyctl", {"issue"}).exit_code, 2);
  const ProgramResult no_config =
      Run("latchkeyctl", {"issue", "--node", "worker-1"});
  EXPECT_EQ(no_config.exit_code, 2);
  EXPECT_THAT(no_config.err, HasSubstr("latchkeyctl.yaml"));
  const IdentityFiles me = pki_.Save("me", pki_.Client(kAutoscaler));
  const std::string config = dir_.Write(
      "ctl.yaml",
      fmt::format("broker: {{endpoint: \"127.0.0.1:1\", ca_file: {}}}\n"
                  "identity: {{certificate_file: {}, private_key_file: {}}}\n",
                  pki_.ca_file(), me.certificate, me.private_key));
  const ProgramResult nobody = Run(
      "latchkeyctl",
      {"--config", config, "issue", "--node", "worker-1", "--timeout", "1s"});
  EXPECT_EQ(nobody.exit_code, 1) << nobody.err;
  EXPECT_EQ(Run("latchkeyctl", {"--config", config, "issue", "--node",
                                "worker-1", "--lifetime", "soon"})
                .exit_code,
            2);
  const ProgramResult join = Run(
      "latchkey-join", {"--config", dir_.Write("join.yaml", "brokr: {}\n")});
  EXPECT_EQ(join.exit_code, 2);
  EXPECT_THAT(join.err, AllOf(HasSubstr("brokr"), HasSubstr("join.yaml:1")));
  for (const char* program : {"latchkeyd", "latchkeyctl", "latchkey-join"}) {
    EXPECT_EQ(Run(program, {"--version"}).exit_code, 0);
    EXPECT_EQ(Run(program, {"--help"}).exit_code, 0);
  }
}

}  // namespace
}  // namespace latchkey_testing
