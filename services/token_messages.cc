#include "services/token_messages.h"

#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "crypto/digest.h"

namespace latchkey {
namespace {

// Far beyond every limit, and far from the limits of the arithmetic.
constexpr int64_t kMaxSeconds = int64_t{100} * 365 * 24 * 3600;
constexpr size_t kDigestBytes = 32;

absl::Status InvalidField(std::string_view field, std::string_view message) {
  return Refuse(absl::StatusCode::kInvalidArgument, reason::kInvalidField,
                fmt::format("{}: {}", field, message),
                {{"field", std::string(field)}});
}

absl::StatusOr<absl::Duration> FromMessage(
    std::string_view field, const google::protobuf::Duration& message) {
  if (message.seconds() < 0 || message.seconds() > kMaxSeconds ||
      message.nanos() < 0 || message.nanos() > 999'999'999) {
    return InvalidField(field, "not a positive duration");
  }
  return absl::Seconds(message.seconds()) + absl::Nanoseconds(message.nanos());
}

absl::StatusOr<TokenScope> FromMessage(const v1::TokenScope& message) {
  TokenScope scope;
  scope.node_name = message.node_name();
  scope.groups.assign(message.groups().begin(), message.groups().end());
  if (message.has_max_certificate_lifetime()) {
    LATCHKEY_ASSIGN_OR_RETURN(scope.max_certificate_lifetime,
                              FromMessage("scope.max_certificate_lifetime",
                                          message.max_certificate_lifetime()));
  }
  if (!message.public_key_sha256().empty()) {
    if (message.public_key_sha256().size() != kDigestBytes) {
      return InvalidField("scope.public_key_sha256",
                          "a SHA-256 digest of 32 bytes");
    }
    scope.key_digest = HexEncode(message.public_key_sha256());
  }
  scope.allow_node_replacement = message.allow_node_replacement();
  return scope;
}

std::string HexDecode(std::string_view digits) {
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(
        static_cast<char>(value(digits[i]) * 16 + value(digits[i + 1])));
  }
  return bytes;
}

v1::TokenState ToMessage(TokenState state) {
  switch (state) {
    case TokenState::kIssued:
      return v1::TOKEN_STATE_ISSUED;
    case TokenState::kActive:
      return v1::TOKEN_STATE_ACTIVE;
    case TokenState::kReserved:
      return v1::TOKEN_STATE_RESERVED;
    case TokenState::kSpent:
      return v1::TOKEN_STATE_SPENT;
    case TokenState::kRevoked:
      return v1::TOKEN_STATE_REVOKED;
  }
  return v1::TOKEN_STATE_UNSPECIFIED;
}

void ToMessage(const TokenScope& scope, v1::TokenScope& message) {
  message.set_node_name(scope.node_name);
  for (const std::string& group : scope.groups) message.add_groups(group);
  if (scope.max_certificate_lifetime.has_value()) {
    message.mutable_max_certificate_lifetime()->set_seconds(
        absl::ToInt64Seconds(*scope.max_certificate_lifetime));
  }
  if (scope.key_digest.has_value()) {
    message.set_public_key_sha256(HexDecode(*scope.key_digest));
  }
  message.set_allow_node_replacement(scope.allow_node_replacement);
}

void ToMessage(const TokenRecord& record, v1::Token& message) {
  message.set_state(ToMessage(record.state));
  message.set_delivery(record.delivery == Delivery::kTicket
                           ? v1::DELIVERY_TICKET
                           : v1::DELIVERY_DIRECT);
  ToMessage(record.scope, *message.mutable_scope());
  message.set_provisioner(record.provisioner);
  if (record.create_time != absl::InfinitePast()) {
    message.mutable_create_time()->set_seconds(
        absl::ToUnixSeconds(record.create_time));
  }
  message.mutable_expire_time()->set_seconds(
      absl::ToUnixSeconds(record.expire_time));
}

void ToMessage(const ClusterEndpoints& cluster, v1::ClusterInfo& message) {
  for (const std::string& url : cluster.api_servers) {
    message.add_api_servers(url);
  }
  message.set_certificate_authorities(cluster.certificate_authorities);
  message.set_name(cluster.name);
}

}  // namespace

absl::StatusOr<IssueRequest> FromMessage(const v1::IssueTokenRequest& message) {
  IssueRequest request;
  LATCHKEY_ASSIGN_OR_RETURN(request.scope, FromMessage(message.scope()));
  switch (message.delivery()) {
    case v1::DELIVERY_UNSPECIFIED:
    case v1::DELIVERY_TICKET:
      request.delivery = Delivery::kTicket;
      break;
    case v1::DELIVERY_DIRECT:
      request.delivery = Delivery::kDirect;
      break;
    default:
      return InvalidField("delivery", "not a known delivery");
  }
  if (message.has_lifetime()) {
    LATCHKEY_ASSIGN_OR_RETURN(request.lifetime,
                              FromMessage("lifetime", message.lifetime()));
  }
  request.request_id = message.request_id();
  request.validate_only = message.validate_only();
  return request;
}

void ToMessage(const IssuedToken& issued, const ClusterEndpoints& cluster,
               v1::IssueTokenResponse& message) {
  ToMessage(issued.record, *message.mutable_token());
  if (issued.ticket.has_value() || issued.token.has_value()) {
    message.mutable_token()->set_id(issued.record.id.text());
  }
  if (issued.ticket.has_value()) {
    message.set_ticket(std::string(issued.ticket->text().Reveal()));
  }
  if (issued.token.has_value()) {
    message.set_bootstrap_token(std::string(issued.token->Joined().Reveal()));
  }
  ToMessage(cluster, *message.mutable_cluster());
}

void ToMessage(const ClaimedToken& claimed, const ClusterEndpoints& cluster,
               v1::ClaimTokenResponse& message) {
  message.set_bootstrap_token(std::string(claimed.token.Joined().Reveal()));
  ToMessage(cluster, *message.mutable_cluster());
  message.mutable_expire_time()->set_seconds(
      absl::ToUnixSeconds(claimed.record.expire_time));
  if (const auto lifetime = claimed.record.scope.max_certificate_lifetime) {
    message.set_certificate_expiration_seconds(
        static_cast<int32_t>(absl::ToInt64Seconds(*lifetime)));
  }
}

}  // namespace latchkey
