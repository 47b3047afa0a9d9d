#include "services/token_messages.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "core/node_name.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "crypto/digest.h"
#include "services/grpc_status.h"

namespace latchkey {
namespace {

// Far beyond every limit, and far from the limits of the arithmetic.
constexpr int64_t kMaxSeconds = int64_t{100} * 365 * 24 * 3600;
constexpr size_t kDigestBytes = 32;
// 9999-12-31T23:59:59Z, the last time of google.protobuf.Timestamp.
constexpr int64_t kMaxTimestamp = 253'402'300'799;
// Names come from certificates and tokens; longer ones are nobody's.
constexpr size_t kMaxIdentityName = 4096;

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

v1::IdentityKind ToMessage(IdentityKind kind) {
  switch (kind) {
    case IdentityKind::kCertificate:
      return v1::IDENTITY_KIND_CERTIFICATE;
    case IdentityKind::kServiceAccount:
      return v1::IDENTITY_KIND_SERVICE_ACCOUNT;
    case IdentityKind::kJwt:
      return v1::IDENTITY_KIND_JWT;
  }
  return v1::IDENTITY_KIND_UNSPECIFIED;
}

google::protobuf::Timestamp ToMessage(absl::Time time) {
  google::protobuf::Timestamp message;
  message.set_seconds(absl::ToUnixSeconds(time));
  return message;
}

// What has happened to the token.
void AddProgress(const TokenRecord& record, v1::Token& message) {
  if (const auto& claim = record.claim) {
    v1::TokenClaim& to = *message.mutable_claim();
    to.set_public_key_sha256(HexDecode(claim->key_digest));
    to.set_claimant(claim->claimant);
    *to.mutable_claim_time() = ToMessage(claim->time);
  }
  if (const auto& held = record.reservation) {
    v1::TokenReservation& to = *message.mutable_reservation();
    to.set_csr_name(held->csr_name);
    to.set_csr_uid(held->csr_uid);
    to.set_public_key_sha256(HexDecode(held->key_digest));
    *to.mutable_reserve_time() = ToMessage(held->time);
  }
  if (const auto& bought = record.certificate) {
    v1::TokenCertificate& to = *message.mutable_certificate();
    // There is none of a certificate that could not be read.
    if (IsKeyDigest(bought->fingerprint)) {
      to.set_sha256(HexDecode(bought->fingerprint));
    }
    to.set_serial(bought->serial);
    *to.mutable_not_after() = ToMessage(bought->not_after);
  }
  if (const auto& revoked = record.revocation) {
    v1::TokenRevocation& to = *message.mutable_revocation();
    to.set_revoked_by(revoked->who);
    to.set_reason(revoked->why);
    *to.mutable_revoke_time() = ToMessage(revoked->time);
  }
  for (const RefusedAttempt& attempt : record.refused) {
    v1::RefusedAttempt& to = *message.add_refused_attempts();
    to.set_reason(attempt.reason);
    to.set_by(attempt.by);
    *to.mutable_time() = ToMessage(attempt.time);
  }
}

void ToMessage(const ClusterEndpoints& cluster, v1::ClusterInfo& message) {
  for (const std::string& url : cluster.api_servers) {
    message.add_api_servers(url);
  }
  message.set_certificate_authorities(cluster.certificate_authorities);
  message.set_name(cluster.name);
}

std::optional<TokenState> FromMessage(int state) {
  switch (state) {
    case v1::TOKEN_STATE_ISSUED:
      return TokenState::kIssued;
    case v1::TOKEN_STATE_ACTIVE:
      return TokenState::kActive;
    case v1::TOKEN_STATE_RESERVED:
      return TokenState::kReserved;
    case v1::TOKEN_STATE_SPENT:
      return TokenState::kSpent;
    case v1::TOKEN_STATE_REVOKED:
      return TokenState::kRevoked;
    default:
      return std::nullopt;
  }
}

absl::StatusOr<absl::Time> FromMessage(
    std::string_view field, const google::protobuf::Timestamp& message) {
  if (message.seconds() < 0 || message.seconds() > kMaxTimestamp ||
      message.nanos() < 0 || message.nanos() > 999'999'999) {
    return InvalidField(field, "not a time from 1970 to 9999");
  }
  return absl::FromUnixSeconds(message.seconds()) +
         absl::Nanoseconds(message.nanos());
}

bool IsIdentityName(std::string_view name) {
  return name.size() <= kMaxIdentityName &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return c > ' ' && c < '\x7f'; });
}

TokenLabels ToLabels(
    const google::protobuf::Map<std::string, std::string>& labels) {
  return {labels.begin(), labels.end()};
}

v1::TokenEvent::Type ToMessage(LineageEvent event) {
  switch (event) {
    case LineageEvent::kIssued:
      return v1::TokenEvent::ISSUED;
    case LineageEvent::kClaimed:
      return v1::TokenEvent::CLAIMED;
    case LineageEvent::kReserved:
      return v1::TokenEvent::RESERVED;
    case LineageEvent::kApproved:
      return v1::TokenEvent::APPROVED;
    case LineageEvent::kJoined:
      return v1::TokenEvent::JOINED;
    case LineageEvent::kRefused:
      return v1::TokenEvent::REFUSED;
    case LineageEvent::kRevoked:
      return v1::TokenEvent::REVOKED;
    case LineageEvent::kExpired:
      return v1::TokenEvent::EXPIRED;
  }
  return v1::TokenEvent::TYPE_UNSPECIFIED;
}

const char* VerdictName(LineageCsr::Verdict verdict) {
  switch (verdict) {
    case LineageCsr::Verdict::kPending:
      return "Pending";
    case LineageCsr::Verdict::kApproved:
      return "Approved";
    case LineageCsr::Verdict::kDenied:
      return "Denied";
    case LineageCsr::Verdict::kFailed:
      return "Failed";
  }
  return "";
}

void ToMessage(const LineageCsr& csr, v1::ExplainCsr& message) {
  message.set_name(csr.name);
  message.set_uid(csr.uid);
  *message.mutable_create_time() = ToMessage(csr.create_time);
  message.set_holds_token(csr.holds_token);
  message.set_verdict(VerdictName(csr.verdict));
  message.set_reason(csr.reason);
  message.set_message(csr.message);
  message.set_certificate_issued(csr.certificate_issued);
}

void AddIssued(const IssuedToken& issued, v1::IssueTokenResponse& message) {
  ToMessage(issued.record, *message.mutable_token());
  if (issued.ticket.has_value()) {
    message.set_ticket(std::string(issued.ticket->text().Reveal()));
  } else if (issued.token.has_value()) {
    message.set_bootstrap_token(std::string(issued.token->Joined().Reveal()));
  } else {
    message.mutable_token()->clear_id();  // nothing was minted
  }
}

std::string ItemField(int index, std::string_view field) {
  return fmt::format("requests[{}].{}", index, field);
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
  request.request_id = SecretString(message.request_id());
  request.labels = ToLabels(message.labels());
  request.validate_only = message.validate_only();
  return request;
}

absl::StatusOr<TokenFilter> FromMessage(const v1::TokenFilter& message) {
  TokenFilter filter;
  for (const int state : message.states()) {
    const std::optional<TokenState> known = FromMessage(state);
    if (!known.has_value()) {
      return InvalidField("filter.states", "not a known state");
    }
    if (std::find(filter.states.begin(), filter.states.end(), *known) ==
        filter.states.end()) {
      filter.states.push_back(*known);
    }
  }
  filter.node_name = message.node_name();
  if (!filter.node_name.empty()) {
    const absl::Status valid = ValidateNodeNamePattern(filter.node_name);
    if (!valid.ok()) {
      return InvalidField("filter.node_name", std::string(valid.message()));
    }
  }
  filter.provisioner = message.provisioner();
  if (!IsIdentityName(filter.provisioner)) {
    return InvalidField("filter.provisioner", "not the name of an identity");
  }
  filter.labels = ToLabels(message.labels());
  if (const absl::Status valid = ValidateLabels(filter.labels); !valid.ok()) {
    return InvalidField("filter.labels", std::string(valid.message()));
  }
  if (message.has_expires_before()) {
    LATCHKEY_ASSIGN_OR_RETURN(
        filter.expires_before,
        FromMessage("filter.expires_before", message.expires_before()));
  }
  if (message.has_expires_after()) {
    LATCHKEY_ASSIGN_OR_RETURN(
        filter.expires_after,
        FromMessage("filter.expires_after", message.expires_after()));
  }
  return filter;
}

absl::StatusOr<ListRequest> FromMessage(const v1::ListTokensRequest& message) {
  ListRequest request{.page_size = message.page_size(),
                      .page_token = message.page_token()};
  LATCHKEY_ASSIGN_OR_RETURN(request.filter, FromMessage(message.filter()));
  return request;
}

absl::StatusOr<absl::Time> FromMessage(const v1::ExtendTokenRequest& message) {
  if (!message.has_expire_time()) {
    return InvalidField("expire_time", "required");
  }
  return FromMessage("expire_time", message.expire_time());
}

absl::StatusOr<RevokeTarget> FromMessage(
    const v1::RevokeTokenRequest& message) {
  RevokeTarget target;
  switch (message.target_case()) {
    case v1::RevokeTokenRequest::kId:
      target.id = message.id();
      return target;
    case v1::RevokeTokenRequest::kFilter: {
      LATCHKEY_ASSIGN_OR_RETURN(target.filter, FromMessage(message.filter()));
      if (*target.filter == TokenFilter()) {
        return InvalidField("filter", "must not be empty: it would be all");
      }
      return target;
    }
    case v1::RevokeTokenRequest::TARGET_NOT_SET:
      break;
  }
  return InvalidField("target", "an id or a filter is required");
}

absl::StatusOr<BatchItems> FromMessage(
    const v1::BatchIssueTokensRequest& message) {
  if (message.requests_size() < 1 || message.requests_size() > kMaxBatchItems) {
    return InvalidField("requests", fmt::format("1 to {}", kMaxBatchItems));
  }
  BatchItems items;
  std::map<std::string_view, int> seen;
  for (int i = 0; i < message.requests_size(); ++i) {
    const v1::IssueTokenRequest& request = message.requests(i);
    if (request.validate_only()) {
      return InvalidField(ItemField(i, "validate_only"), "not in a batch");
    }
    const auto [first, is_new] = seen.emplace(request.request_id(), i);
    if (!is_new && !request.request_id().empty()) {
      return InvalidField(
          ItemField(i, "request_id"),
          fmt::format("the same as that of requests[{}]", first->second));
    }
    items.push_back(FromMessage(request));
  }
  return items;
}

void ToMessage(const TokenRecord& record, v1::Token& message) {
  message.set_id(record.id.text());
  message.set_state(ToMessage(record.state));
  message.set_delivery(record.delivery == Delivery::kTicket
                           ? v1::DELIVERY_TICKET
                           : v1::DELIVERY_DIRECT);
  ToMessage(record.scope, *message.mutable_scope());
  message.set_provisioner(record.provisioner);
  message.set_provisioner_kind(ToMessage(record.provisioner_kind));
  message.set_rule(record.rule);
  for (const auto& [key, value] : record.labels) {
    (*message.mutable_labels())[key] = value;
  }
  if (record.create_time != absl::InfinitePast()) {
    *message.mutable_create_time() = ToMessage(record.create_time);
  }
  *message.mutable_expire_time() = ToMessage(record.expire_time);
  AddProgress(record, message);
}

void ToMessage(const IssuedToken& issued, const ClusterEndpoints& cluster,
               v1::IssueTokenResponse& message) {
  AddIssued(issued, message);
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

void ToMessage(const BatchResults& results, const ClusterEndpoints& cluster,
               v1::BatchIssueTokensResponse& message) {
  for (const absl::StatusOr<IssuedToken>& result : results) {
    v1::BatchIssueResult& to = *message.add_results();
    if (result.ok()) {
      AddIssued(*result, *to.mutable_issued());
    } else {
      ToMessage(result.status(), *to.mutable_error());
    }
  }
  ToMessage(cluster, *message.mutable_cluster());
}

void ToMessage(const ListedTokens& listed, v1::ListTokensResponse& message) {
  for (const TokenRecord& record : listed.tokens) {
    ToMessage(record, *message.add_tokens());
  }
  message.set_next_page_token(listed.next_page_token);
}

void ToMessage(const RevokedTokens& revoked, v1::RevokeTokenResponse& message) {
  for (const StoredToken& token : revoked.tokens) {
    ToMessage(token.record, *message.add_tokens());
  }
  for (const auto& [token, why] : revoked.failed) {
    v1::FailedItem& to = *message.add_failed();
    to.set_id(token.record.id.text());
    ToMessage(why, *to.mutable_error());
  }
  message.set_more(revoked.more);
}

void ToMessage(const TokenLineage& lineage, v1::ExplainTokenResponse& message) {
  ToMessage(lineage.token.record, *message.mutable_token());
  for (const LineageStep& step : lineage.steps) {
    v1::ExplainStep& to = *message.add_steps();
    if (step.time != absl::InfinitePast()) {
      *to.mutable_time() = ToMessage(step.time);
    }
    to.set_type(ToMessage(step.event));
    to.set_description(step.description);
  }
  for (const LineageCsr& csr : lineage.csrs) {
    ToMessage(csr, *message.add_csrs());
  }
  message.set_more_csrs(lineage.more_csrs);
  if (const auto& node = lineage.node) {
    v1::ExplainNode& to = *message.mutable_node();
    to.set_name(node->name);
    to.set_uid(node->uid);
    *to.mutable_create_time() = ToMessage(node->create_time);
  }
}

void ToMessage(const absl::Status& refusal, v1::ItemError& message) {
  const absl::Status shown = PublicStatus(refusal);
  message.set_code(shown.raw_code());
  message.set_message(std::string(shown.message()));
  message.set_reason(ReasonOf(shown));
  for (const auto& [key, value] : MetadataOf(shown)) {
    (*message.mutable_metadata())[key] = value;
  }
  if (auto delay = RetryDelayOf(shown)) {
    *message.mutable_retry_delay() = *std::move(delay);
  }
}

}  // namespace latchkey
