#include "services/service_account_verifier.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "policy/jwt_identity.h"

namespace latchkey {
namespace {

using kubernetes::TokenReview;
using kubernetes::TokenReviewStatus;

absl::Status Refused(std::string_view message) {
  return Refuse(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated,
                message);
}

// "system:serviceaccount:NAMESPACE:NAME", which is all that the API server lets
// a ServiceAccount be called, and nobody else.
std::optional<Identity> IdentityOfUser(const kubernetes::UserInfo& user) {
  constexpr std::string_view kPrefix = "system:serviceaccount:";
  std::string_view username = user.username();
  if (!username.starts_with(kPrefix) || !IsAttributeValue(username)) {
    return std::nullopt;
  }
  username.remove_prefix(kPrefix.size());
  const size_t colon = username.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string name_space(username.substr(0, colon));
  const std::string name(username.substr(colon + 1));
  // A slash would make two of them look like one.
  if (name_space.empty() || name.empty() ||
      username.find_first_of(":/", colon + 1) != std::string_view::npos ||
      name_space.find('/') != std::string::npos) {
    return std::nullopt;
  }
  const std::string both = fmt::format("{}/{}", name_space, name);
  Identity identity{
      .name = fmt::format("sa:{}", both),
      .kind = IdentityKind::kServiceAccount,
      .attributes = {{std::string(attribute::kServiceAccount), {both}},
                     {std::string(attribute::kNamespace), {name_space}}}};
  for (const std::string& group : user.groups()) {
    if (IsAttributeValue(group)) {
      identity.attributes[std::string(attribute::kGroup)].push_back(group);
    }
  }
  return identity;
}

}  // namespace

absl::StatusOr<TimedIdentity> ServiceAccountVerifier::Verify(
    std::string_view token, const JsonFields& claims) {
  if (!IsForAudience(claims, audience_)) {
    return Refused("the bearer token is for another audience");
  }
  const std::optional<absl::Time> expires = ExpirationOf(claims);
  if (!expires.has_value()) return Refused("the bearer token never expires");
  if (clock_.Now() >= *expires) return Refused("the bearer token has expired");
  TokenReview question;
  question.mutable_spec()->set_token(std::string(token));
  question.mutable_spec()->add_audiences(audience_);
  LATCHKEY_ASSIGN_OR_RETURN(const TokenReview review, client_.Create(question));
  const TokenReviewStatus& status = review.status();
  if (!status.authenticated()) {
    return Refused("the cluster does not accept the bearer token");
  }
  if (std::find(status.audiences().begin(), status.audiences().end(),
                audience_) == status.audiences().end()) {
    return Refused("the cluster does not say whom the bearer token is for");
  }
  std::optional<Identity> identity = IdentityOfUser(status.user());
  if (!identity.has_value()) {
    return Refused("the bearer token is not of a ServiceAccount");
  }
  return TimedIdentity{.identity = *std::move(identity), .expires = *expires};
}

}  // namespace latchkey
