#include "server/broker.h"

#include <cstddef>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/e2e/test_pki.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::ReadFile;
using latchkey_testing::StatusIs;
using latchkey_testing::TempDir;
using latchkey_testing::TestPki;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A broker whose API server is not there.
class BrokerTest : public ::testing::Test {
 protected:
  BrokerConfig Config() {
    const auto files = pki_.Save("server", pki_.Server());
    dir_.Write("ca.crt", pki_.ca_pem());
    dir_.Write("token", "token-1");
    BrokerConfig config;
    config.kubeconfig = dir_.Write("config", R"(
current-context: x
contexts: [{name: x, context: {cluster: x, user: x}}]
clusters: [{name: x, cluster: {server: "https://127.0.0.1:1", certificate-authority: ca.crt}}]
users: [{name: x, user: {tokenFile: token}}]
)");
    config.provisioner_api = {.listen = "127.0.0.1:0",
                              .certificate_file = files.certificate,
                              .private_key_file = files.private_key,
                              .client_ca_file = pki_.ca_file()};
    config.node_api = {.listen = "127.0.0.1:0",
                       .certificate_file = files.certificate,
                       .private_key_file = files.private_key};
    config.audit.file = audit_file_;
    return config;
  }
  // The lines of the audit log about `action`.
  std::vector<std::string> Recorded(const std::string& action) const {
    std::vector<std::string> lines;
    std::istringstream text(ReadFile(audit_file_));
    for (std::string line; std::getline(text, line);) {
      if (line.find(fmt::format("\"action\":\"{}\"", action)) !=
          std::string::npos) {
        lines.push_back(line);
      }
    }
    return lines;
  }

  const TestPki pki_;
  const TempDir dir_;
  const std::string audit_file_ = dir_.File("audit.log");
  const SystemClock clock_;
};

TEST_F(BrokerTest, DoesNotStartIfAnRpcIsNotDeclared) {
  const std::span<const RpcDeclaration> all = RpcTable();
  for (size_t i = 0; i < all.size(); ++i) {
    std::vector<RpcDeclaration> table(all.begin(), all.end());
    table.erase(table.begin() + static_cast<std::ptrdiff_t>(i));
    const auto broker = Broker::Start(Config(), clock_, table);
    EXPECT_THAT(broker, StatusIs(absl::StatusCode::kInternal,
                                 HasSubstr(std::string(all[i].method))));
  }
}

TEST_F(BrokerTest, WhichPolicyIsInUseAndWhichWasRefusedIsOnRecord) {
  const auto broker = Broker::Start(Config(), clock_);
  ASSERT_THAT(broker, IsOk());
  (*broker)->NotePolicy(/*in_use=*/true, "first");
  (*broker)->NotePolicy(/*in_use=*/false, "first");
  const std::vector<std::string> lines = Recorded("policy.reload");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(lines[0], AllOf(HasSubstr(R"("verdict":"allowed")"),
                              HasSubstr(R"("digest":"first")")));
  EXPECT_THAT(lines[1], AllOf(HasSubstr(R"("verdict":"denied")"),
                              HasSubstr(R"("digest":"first")")))
      << "the one that stays";
}

}  // namespace
}  // namespace latchkey
