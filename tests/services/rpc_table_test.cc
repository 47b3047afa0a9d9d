#include "services/rpc_table.h"

#include <vector>

#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<RpcDeclaration> Copy() {
  return {RpcTable().begin(), RpcTable().end()};
}

TEST(RpcTableTest, DeclaresEachRpcOfTheProtoAndNoOther) {
  EXPECT_THAT(CheckRpcTable(), IsOk());
  EXPECT_EQ(DeclarationOf(Rpc::kClaimToken).action(), "ClaimToken");
}

TEST(RpcTableTest, AnRpcWithoutADeclarationIsNamed) {
  std::vector<RpcDeclaration> table = Copy();
  table.pop_back();
  EXPECT_THAT(CheckRpcTable(table),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr("NodeBootstrap/ClaimToken has no")));
}

TEST(RpcTableTest, ADeclarationWithoutAnRpcIsNamed) {
  std::vector<RpcDeclaration> table = Copy();
  table.push_back(table.back());
  table.back().method = "latchkey.v1.TokenBroker/Renamed";
  EXPECT_THAT(CheckRpcTable(table),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("Renamed")));
}

TEST(RpcTableTest, ADeclarationOfTheOtherPortIsNamed) {
  std::vector<RpcDeclaration> table = Copy();
  table.front().port = RpcPort::kNodeApi;
  EXPECT_THAT(CheckRpcTable(table),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("other port")));
}

TEST(RpcTableTest, SaysWhichFactsARecordLacks) {
  const RpcDeclaration& issue = DeclarationOf(Rpc::kIssueToken);
  AuditEvent event{.action = "IssueToken", .rule = "workers"};
  EXPECT_THAT(MissingFacts(issue, event),
              ElementsAre("token", "token_uid", "node", "delivery", "request"));
  event.facts = {
      {"node", "worker-1"}, {"delivery", "ticket"}, {"request", "digest"}};
  event.token_id = "abc123";
  event.token_uid = "uid";
  EXPECT_THAT(MissingFacts(issue, event), IsEmpty());
}

TEST(RpcTableTest, AQuestionHasNoToken) {
  const AuditEvent event{.action = "IssueToken",
                         .rule = "workers",
                         .facts = {{"node", "worker-1"},
                                   {"delivery", "ticket"},
                                   {"validate_only", "true"}}};
  EXPECT_THAT(MissingFacts(DeclarationOf(Rpc::kIssueToken), event), IsEmpty());
}

}  // namespace
}  // namespace latchkey
