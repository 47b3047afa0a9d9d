// The stable reasons of refusals: what google.rpc.ErrorInfo.reason and the
// reason of a Denied condition on a CSR may say. docs/errors.md lists the
// meaning and the cure of each, and a test holds the two together.

#ifndef LATCHKEY_CORE_REASONS_H_
#define LATCHKEY_CORE_REASONS_H_

#include <string_view>

namespace latchkey::reason {

// Requests.
inline constexpr std::string_view kInvalidField = "INVALID_FIELD";
inline constexpr std::string_view kUnauthenticated = "UNAUTHENTICATED";
inline constexpr std::string_view kPolicyDenied = "POLICY_DENIED";
inline constexpr std::string_view kPageExpired = "PAGE_EXPIRED";
inline constexpr std::string_view kRequestIdReused = "REQUEST_ID_REUSED";
inline constexpr std::string_view kQuotaOutstanding = "QUOTA_OUTSTANDING";
inline constexpr std::string_view kTooManyWatches = "TOO_MANY_WATCHES";
inline constexpr std::string_view kBrokerStopping = "BROKER_STOPPING";
inline constexpr std::string_view kCallerGone = "CALLER_GONE";
inline constexpr std::string_view kOverloaded = "OVERLOADED";
inline constexpr std::string_view kRateLimited = "RATE_LIMITED";
inline constexpr std::string_view kClusterUnavailable = "CLUSTER_UNAVAILABLE";
inline constexpr std::string_view kIssuerUnavailable = "ISSUER_UNAVAILABLE";
inline constexpr std::string_view kAuditUnavailable = "AUDIT_UNAVAILABLE";
inline constexpr std::string_view kInternal = "INTERNAL";

// Tickets.
inline constexpr std::string_view kTicketMalformed = "TICKET_MALFORMED";
inline constexpr std::string_view kTicketUnknown = "TICKET_UNKNOWN";
inline constexpr std::string_view kTicketAlreadyClaimed =
    "TICKET_ALREADY_CLAIMED";

// Tokens.
inline constexpr std::string_view kTokenUnknown = "TOKEN_UNKNOWN";
inline constexpr std::string_view kTokenExpired = "TOKEN_EXPIRED";
inline constexpr std::string_view kTokenSpent = "TOKEN_SPENT";
inline constexpr std::string_view kTokenRevoked = "TOKEN_REVOKED";
inline constexpr std::string_view kTokenNotClaimed = "TOKEN_NOT_CLAIMED";
inline constexpr std::string_view kTokenReserved = "TOKEN_RESERVED";

// CSRs against their scope.
inline constexpr std::string_view kCsrMalformed = "CSR_MALFORMED";
inline constexpr std::string_view kCsrKeyWeak = "CSR_KEY_WEAK";
inline constexpr std::string_view kCsrSubject = "CSR_SUBJECT";
inline constexpr std::string_view kCsrSubjectAltName = "CSR_SUBJECT_ALT_NAME";
inline constexpr std::string_view kCsrExtensions = "CSR_EXTENSIONS";
inline constexpr std::string_view kCsrUsages = "CSR_USAGES";
inline constexpr std::string_view kCsrTooOld = "CSR_TOO_OLD";
inline constexpr std::string_view kScopeNodeName = "SCOPE_NODE_NAME";
inline constexpr std::string_view kScopePublicKey = "SCOPE_PUBLIC_KEY";
inline constexpr std::string_view kScopeGroups = "SCOPE_GROUPS";
inline constexpr std::string_view kScopeCertificateLifetime =
    "SCOPE_CERTIFICATE_LIFETIME";
inline constexpr std::string_view kNodeExists = "NODE_EXISTS";

}  // namespace latchkey::reason

#endif  // LATCHKEY_CORE_REASONS_H_
