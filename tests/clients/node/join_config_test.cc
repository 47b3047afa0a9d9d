#include "clients/node/join_config.h"

#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "crypto/certificate_authority.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using latchkey_testing::TempDir;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kToken[] = "abcdef.012345678hunter2";
constexpr char kTicketSecret[] = "hunter2hunter2hunter2hunter2hunt";

std::string TicketText() {
  return std::string(
      Ticket::FromSecret(*TokenId::Parse("abcdef"), SecretString(kTicketSecret))
          ->text()
          .Reveal());
}

class JoinConfigTest : public ::testing::Test {
 protected:
  JoinConfigTest() {
    const FakeClock clock;
    ca_pem_ = CertificateAuthority::Create("test", clock.Now(),
                                           clock.Now() + absl::Hours(1))
                  ->certificate_pem();
    dir_.Write("ca.pem", ca_pem_);
    dir_.Write("ticket", TicketText() + "\n");
    dir_.Write("token", std::string(kToken) + "\n");
  }

  // DIR in the text stands for the test's folder.
  absl::StatusOr<JoinConfig> Parse(std::string text) const {
    const std::string word = "DIR";
    for (size_t at = text.find(word); at != std::string::npos;
         at = text.find(word, at)) {
      text.replace(at, word.size(), dir_.path().string());
    }
    return ParseJoinConfig("join.yaml", text, environment_);
  }
  static std::string TicketMode(std::string_view more = "") {
    return fmt::format(
        "broker: {{endpoint: \"broker.example:7444\", ca_file: DIR/ca.pem}}\n"
        "ticket_file: DIR/ticket\n{}",
        more);
  }

  TempDir dir_;
  std::string ca_pem_;
  JoinEnvironment environment_ = {.host_name = "Worker-1.Example"};
};

TEST_F(JoinConfigTest, ReadsTicketModeWithItsDefaults) {
  const auto config = Parse(TicketMode());
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->plan.node_name, "worker-1.example");
  EXPECT_EQ(config->plan.key_type, KeyType::kP256);
  EXPECT_EQ(config->plan.timeout, absl::Minutes(10));
  EXPECT_FALSE(config->plan.prove);
  EXPECT_EQ(std::get<Ticket>(config->plan.credential).text().Reveal(),
            TicketText());
  ASSERT_TRUE(config->broker.has_value());
  EXPECT_EQ(config->broker->address, "broker.example:7444");
  EXPECT_EQ(config->broker->ca_pem, ca_pem_);
  EXPECT_EQ(config->broker->server_name, "");
  EXPECT_EQ(config->output.cert_dir, "/var/lib/kubelet/pki");
  EXPECT_EQ(config->output.kubeconfig, "/etc/kubernetes/kubelet.conf");
  EXPECT_EQ(config->output.ca_file, "/etc/kubernetes/pki/ca.crt");
}

TEST_F(JoinConfigTest, ReadsEveryField) {
  const auto config = Parse(R"(
node_name: node-7
broker:
  endpoint: "[fd00::1]:443"
  ca_file: DIR/ca.pem
  server_name: broker.internal
ticket_file: DIR/ticket
key_type: ed25519
timeout: 90s
prove: true
output:
  cert_dir: /pki
  kubeconfig: /kubelet.conf
  ca_file: /ca.crt
)");
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->plan.node_name, "node-7");
  EXPECT_EQ(config->plan.key_type, KeyType::kEd25519);
  EXPECT_EQ(config->plan.timeout, absl::Seconds(90));
  EXPECT_TRUE(config->plan.prove);
  EXPECT_EQ(config->broker->address, "[fd00::1]:443");
  EXPECT_EQ(config->broker->server_name, "broker.internal");
  EXPECT_EQ(config->output.cert_dir, "/pki");
  EXPECT_EQ(config->output.kubeconfig, "/kubelet.conf");
  EXPECT_EQ(config->output.ca_file, "/ca.crt");
}

TEST_F(JoinConfigTest, ReadsDirectMode) {
  const auto config = Parse(R"(
direct:
  token_file: DIR/token
  api_server: https://10.0.0.1:6443
  ca_file: DIR/ca.pem
  certificate_lifetime: 24h
)");
  ASSERT_THAT(config, IsOk());
  EXPECT_FALSE(config->broker.has_value());
  const auto& grant = std::get<BootstrapGrant>(config->plan.credential);
  EXPECT_EQ(grant.token.Joined().Reveal(), kToken);
  EXPECT_THAT(grant.api_servers, ElementsAre("https://10.0.0.1:6443"));
  EXPECT_EQ(grant.ca_pem, ca_pem_);
  EXPECT_EQ(grant.certificate_expiration_seconds, 24 * 3600);
}

TEST_F(JoinConfigTest, TheTicketMayBeASystemdCredential) {
  dir_.Write("latchkey-ticket", TicketText());
  environment_.credentials_dir = dir_.path().string();
  const auto config = Parse(
      "broker: {endpoint: \"broker.example:7444\", ca_file: DIR/ca.pem}\n");
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(std::get<Ticket>(config->plan.credential).text().Reveal(),
            TicketText());
}

TEST_F(JoinConfigTest, AFileEndsWithOneLineBreakAtMost) {
  for (const char* end : {"", "\n"}) {
    dir_.Write("ticket", TicketText() + end);
    EXPECT_THAT(Parse(TicketMode()), IsOk());
  }
  for (const char* end : {"\n\n", " ", " \n", "\r\n"}) {
    SCOPED_TRACE(end);
    dir_.Write("ticket", TicketText() + end);
    EXPECT_THAT(Parse(TicketMode()),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("join.yaml:2: ticket_file: ")));
  }
}

TEST_F(JoinConfigTest, AFileOfNothingButALineBreakIsEmpty) {
  dir_.Write("ticket", "\n");
  EXPECT_THAT(Parse(TicketMode()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("join.yaml:2: ticket_file: ")));
}

TEST_F(JoinConfigTest, NamesEachMistake) {
  struct Case {
    std::string text;
    const char* want;
  };
  dir_.Write("junk", "junk");
  dir_.Write("empty", "");
  const std::vector<Case> cases = {
      {TicketMode("node_name: Bad_Name"), "join.yaml:3: node_name: "},
      {TicketMode("key_type: p521"), "join.yaml:3: key_type: must be one of"},
      {TicketMode("timeout: 0s"), "join.yaml:3: timeout: must be a duration"},
      {TicketMode("output: {cert_dir: pki}"),
       "join.yaml:3: output.cert_dir: must be an absolute path"},
      {TicketMode("output: {kubeconfig: /etc/}"),
       "join.yaml:3: output.kubeconfig: must be an absolute path"},
      {TicketMode("output: {ca_file: \"/a\\nb\"}"),
       "join.yaml:3: output.ca_file: must be an absolute path"},
      {TicketMode("ouput: {}"), "join.yaml:3: ouput: unknown field"},
      {TicketMode("broker: {}"), "join.yaml:3: broker: given twice"},
      {"ticket_file: DIR/ticket", "join.yaml:1: broker.endpoint: is missing"},
      {"broker: {endpoint: \"a:1\", ca_file: DIR/ca.pem}",
       "join.yaml:1: ticket_file: is missing"},
      {"broker: {endpoint: \"a:1\", ca_file: DIR/none}\n",
       "join.yaml:1: broker.ca_file: "},
      {"broker: {endpoint: \"a:1\", ca_file: DIR/junk}\n",
       "join.yaml:1: broker.ca_file: "},
      {"ticket_file: \"-\"", "join.yaml:1: ticket_file: must be an absolute"},
      {"ticket_file: DIR/none", "No such file"},
      {"ticket_file: DIR", "not a regular file"},
      {"ticket_file: DIR/empty", "is empty"},
      {"ticket_file: DIR/junk", "a ticket begins with lk1_"},
      {"ticket_file: DIR/token", "a ticket begins with lk1_"},
      {"ticket_file: DIR/ticket\ndirect: {}",
       "join.yaml:2: direct: ticket_file is given too"},
      {"direct: {token_file: DIR/ticket}",
       "join.yaml:1: direct.token_file: a bootstrap token is"},
      {"direct: {api_server: \"http://a\"}",
       "join.yaml:1: direct.api_server: the URL of an API server is https"},
      {"direct: {token_file: DIR/token}",
       "join.yaml:1: direct.api_server: is missing"},
      {"direct: {certificate_lifetime: 5m}",
       "join.yaml:1: direct.certificate_lifetime: must be a duration"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    EXPECT_THAT(Parse(c.text),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(c.want), Not(HasSubstr("hunter2")))));
  }
}

TEST_F(JoinConfigTest, KnowsAnAddressFromAMistake) {
  for (const char* good :
       {"a:1", "10.0.0.1:65535", "[::1]:443", "a.b-c:7444"}) {
    SCOPED_TRACE(good);
    EXPECT_THAT(Parse(fmt::format("broker: {{endpoint: \"{}\", ca_file: "
                                  "DIR/ca.pem}}\nticket_file: DIR/ticket",
                                  good)),
                IsOk());
  }
  for (const char* bad :
       {"a", "a:", ":1", "a:0", "a:65536", "a:1x", "https://a:1", "::1:443",
        "a b:1", "a:+1", "user@a:1", "[]:1"}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(Parse(fmt::format("broker: {{endpoint: \"{}\"}}", bad)),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("broker.endpoint: must be host:port")));
  }
}

TEST_F(JoinConfigTest, AllMistakesComeAtOnce) {
  EXPECT_THAT(
      Parse("node_name: A_\nbroker: {endpoint: x}\nticket_file: rel\n"
            "timeout: no\n"),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("node_name: "), HasSubstr("broker.endpoint: "),
                     HasSubstr("broker.ca_file: "), HasSubstr("ticket_file: "),
                     HasSubstr("timeout: "))));
}

TEST_F(JoinConfigTest, AHostNameThatIsNoNodeNameIsAMistake) {
  environment_.host_name = "my_host";
  EXPECT_THAT(Parse(TicketMode()), StatusIs(absl::StatusCode::kInvalidArgument,
                                            HasSubstr("node_name: ")));
}

}  // namespace
}  // namespace latchkey
