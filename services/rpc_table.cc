#include "services/rpc_table.h"

#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/descriptor.h>

#include "latchkey/v1/node_bootstrap.pb.h"
#include "latchkey/v1/token_broker.pb.h"

namespace latchkey {
namespace {

using enum RpcPort;

const std::vector<RpcDeclaration>& Table() {
  using Authentication = RpcAuthentication;
  using Authorization = RpcAuthorization;
  constexpr auto kByProvisioner = RpcLimit::kProvisioner;
  static const std::vector<RpcDeclaration> table = {
      {Rpc::kIssueToken,
       "latchkey.v1.TokenBroker/IssueToken",
       kProvisionerApi,
       Authentication::kProvisioner,
       Authorization::kGrant,
       kByProvisioner,
       RpcCost::kCall,
       {"rule", "token", "token_uid", "node", "delivery", "request"},
       "issue"},
      {Rpc::kBatchIssueTokens,
       "latchkey.v1.TokenBroker/BatchIssueTokens",
       kProvisionerApi,
       Authentication::kProvisioner,
       Authorization::kGrant,
       kByProvisioner,
       RpcCost::kItem,
       {"count"},
       "batch_issue"},
      {Rpc::kGetToken,
       "latchkey.v1.TokenBroker/GetToken",
       kProvisionerApi,
       Authentication::kProvisioner,
       Authorization::kOwner,
       kByProvisioner,
       RpcCost::kCall,
       {"token"},
       "get"},
      {Rpc::kListTokens,
       "latchkey.v1.TokenBroker/ListTokens",
       kProvisionerApi,
       Authentication::kProvisioner,
       Authorization::kReach,
       kByProvisioner,
       RpcCost::kCall,
       {"count", "filter"},
       "list"},
      {Rpc::kRevokeToken,
       "latchkey.v1.TokenBroker/RevokeToken",
       kProvisionerApi,
       Authentication::kProvisioner,
       Authorization::kOwner,
       kByProvisioner,
       RpcCost::kCall,
       {"count", "why"},
       "revoke"},
      {Rpc::kExtendToken,
       "latchkey.v1.TokenBroker/ExtendToken",
       kProvisionerApi,
       Authentication::kProvisioner,
       Authorization::kOwner,
       kByProvisioner,
       RpcCost::kCall,
       {"token", "expire_time"},
       "extend"},
      {Rpc::kWatchTokens,
       "latchkey.v1.TokenBroker/WatchTokens",
       kProvisionerApi,
       Authentication::kProvisioner,
       Authorization::kReach,
       kByProvisioner,
       RpcCost::kCall,
       {"filter"},
       "watch"},
      {Rpc::kExplainToken,
       "latchkey.v1.TokenBroker/ExplainToken",
       kProvisionerApi,
       Authentication::kProvisioner,
       Authorization::kOwner,
       kByProvisioner,
       RpcCost::kCall,
       {"token"},
       "explain"},
      {Rpc::kClaimToken,
       "latchkey.v1.NodeBootstrap/ClaimToken",
       kNodeApi,
       Authentication::kTicket,
       Authorization::kTicket,
       RpcLimit::kPeer,
       RpcCost::kCall,
       {"token", "token_uid", "node", "key"},
       "claim"},
  };
  return table;
}

// The methods of our services, each with the port that serves it.
std::map<std::string, RpcPort, std::less<>> MethodsOfServices() {
  const std::pair<const google::protobuf::FileDescriptor*, RpcPort> files[] = {
      {v1::IssueTokenRequest::descriptor()->file(), kProvisionerApi},
      {v1::ClaimTokenRequest::descriptor()->file(), kNodeApi}};
  std::map<std::string, RpcPort, std::less<>> methods;
  for (const auto& [file, port] : files) {
    for (int s = 0; s < file->service_count(); ++s) {
      const auto& service = *file->service(s);
      for (int m = 0; m < service.method_count(); ++m) {
        methods.emplace(fmt::format("{}/{}", service.full_name(),
                                    service.method(m)->name()),
                        port);
      }
    }
  }
  return methods;
}

}  // namespace

std::span<const RpcDeclaration> RpcTable() { return Table(); }

const RpcDeclaration& DeclarationOf(Rpc rpc) {
  return Table()[static_cast<size_t>(rpc)];
}

absl::Status CheckRpcTable() { return CheckRpcTable(Table()); }

absl::Status CheckRpcTable(std::span<const RpcDeclaration> table) {
  std::vector<std::string> wrong;
  auto undeclared = MethodsOfServices();
  std::set<std::string_view> metrics;
  for (size_t i = 0; i < table.size(); ++i) {
    const RpcDeclaration& one = table[i];
    const auto method = undeclared.find(one.method);
    if (method == undeclared.end()) {
      wrong.push_back(
          fmt::format("{} is declared, but no RPC, or declared "
                      "twice",
                      one.method));
      continue;
    }
    if (method->second != one.port) {
      wrong.push_back(fmt::format("{} is of the other port", one.method));
    }
    if (static_cast<size_t>(one.rpc) != i || one.metric.empty() ||
        !metrics.insert(one.metric).second) {
      wrong.push_back(fmt::format("{} is declared wrongly", one.method));
    }
    undeclared.erase(method);
  }
  for (const auto& [method, port] : undeclared) {
    wrong.push_back(fmt::format("{} has no declaration", method));
  }
  if (wrong.empty()) return absl::OkStatus();
  return absl::InternalError(
      fmt::format("services/rpc_table.cc: {}", fmt::join(wrong, "; ")));
}

std::vector<std::string_view> MissingFacts(const RpcDeclaration& declaration,
                                           const AuditEvent& event) {
  const auto has = [&event](std::string_view fact) {
    if (fact == "rule") return !event.rule.empty();
    const bool of_token =
        fact == "token" || fact == "token_uid" || fact == "request";
    if (of_token && event.facts.contains("validate_only")) return true;
    if (fact == "token") return !event.token_id.empty();
    if (fact == "token_uid") return !event.token_uid.empty();
    return event.facts.contains(std::string(fact));
  };
  std::vector<std::string_view> missing;
  for (const std::string_view fact : declaration.audit_facts) {
    if (!has(fact)) missing.push_back(fact);
  }
  return missing;
}

}  // namespace latchkey
