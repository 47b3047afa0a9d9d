#include "devcluster/reviews.h"

#include <algorithm>
#include <string>

#include "core/status_macros.h"
#include "devcluster/api_error.h"
#include "kubernetes/authentication.pb.h"

namespace latchkey {
namespace {

using ::google::protobuf::Message;
using kubernetes::SelfSubjectAccessReview;
using kubernetes::SelfSubjectReview;
using kubernetes::SubjectAccessReview;
using kubernetes::TokenReview;

constexpr char kAudience[] = "https://kubernetes.default.svc";

void Describe(const User& user, kubernetes::UserInfo& info) {
  info.set_username(user.name);
  if (!user.uid.empty()) info.set_uid(user.uid);
  for (const std::string& group : user.groups) info.add_groups(group);
  for (const auto& [key, values] : user.extra) {
    auto& items = (*info.mutable_extra())[key];
    for (const std::string& value : values) items.add_items(value);
  }
}

absl::Status Answer(const TokenAuthenticator& authenticate,
                    TokenReview& review) {
  if (review.spec().token().empty()) {
    return BadRequestError(
        "token is required for TokenReview in authentication");
  }
  review.clear_status();
  auto& status = *review.mutable_status();
  // Bootstrap tokens are for whatever the API server itself is.
  const auto& asked = review.spec().audiences();
  const bool ours = asked.empty() || std::find(asked.begin(), asked.end(),
                                               kAudience) != asked.end();
  const auto user = ours ? authenticate(review.spec().token())
                         : absl::StatusOr<User>(UnauthorizedError());
  status.set_authenticated(user.ok());
  if (user.ok()) {
    Describe(*user, *status.mutable_user());
    status.add_audiences(kAudience);
  } else {
    status.mutable_user();
    status.set_error("invalid bearer token");
  }
  return absl::OkStatus();
}

Access AccessOf(const kubernetes::ResourceAttributes& attributes) {
  return {.verb = attributes.verb(),
          .group = attributes.group(),
          .resource = attributes.resource(),
          .subresource = attributes.subresource(),
          .name_space = attributes.namespace_(),
          .name = attributes.name()};
}

// What is asked, unless something is wrong with the question.
template <typename Spec>
Access AccessOf(const Spec& spec, FieldErrors& errors) {
  const bool of_resource = spec.has_resource_attributes();
  if (of_resource == spec.has_non_resource_attributes()) {
    errors.push_back(InvalidLiteral("spec", "null",
                                    "exactly one of nonResourceAttributes or "
                                    "resourceAttributes must be specified"));
    return {};
  }
  if (of_resource) return AccessOf(spec.resource_attributes());
  // An empty path is no resource either.
  const auto& asked = spec.non_resource_attributes();
  return {.verb = asked.verb(),
          .path = asked.path().empty() ? "/" : asked.path()};
}

// Upstream's errors about these reviews name no kind.
absl::Status InvalidReview(const FieldErrors& errors) {
  Resource nameless = kSubjectAccessReviews;
  nameless.kind = "";
  return InvalidError(nameless, "", errors);
}

void SetAnswer(const Authorizer& authorizer, const User& user,
               const Access& access,
               kubernetes::SubjectAccessReviewStatus& status) {
  const auto why = authorizer.WhyAllowed(user, access);
  status.set_allowed(why.has_value());
  if (why && !why->empty()) status.set_reason(*why);
}

// A review is no object that could be told from another.
absl::Status CheckUnnamed(const Resource& resource,
                          const kubernetes::ObjectMeta& metadata) {
  if (metadata.name().empty() && metadata.generate_name().empty() &&
      metadata.namespace_().empty() && metadata.labels().empty() &&
      metadata.annotations().empty()) {
    return absl::OkStatus();
  }
  return InvalidError(resource, metadata.name(),
                      {InvalidField("metadata", "", "must be empty")});
}

absl::Status Answer(const Authorizer& authorizer, SubjectAccessReview& review) {
  LATCHKEY_RETURN_IF_ERROR(
      CheckUnnamed(kSubjectAccessReviews, review.metadata()));
  const auto& spec = review.spec();
  FieldErrors errors;
  const Access access = AccessOf(spec, errors);
  if (spec.user().empty() && spec.groups().empty()) {
    errors.push_back(InvalidField(
        "spec.user", "", "at least one of user or group must be specified"));
  }
  LATCHKEY_RETURN_IF_ERROR(InvalidReview(errors));
  review.clear_status();
  const User user{.name = spec.user(),
                  .groups = {spec.groups().begin(), spec.groups().end()}};
  SetAnswer(authorizer, user, access, *review.mutable_status());
  return absl::OkStatus();
}

absl::Status Answer(const Authorizer& authorizer, const User& user,
                    SelfSubjectAccessReview& review) {
  LATCHKEY_RETURN_IF_ERROR(
      CheckUnnamed(kSelfSubjectAccessReviews, review.metadata()));
  FieldErrors errors;
  const Access access = AccessOf(review.spec(), errors);
  LATCHKEY_RETURN_IF_ERROR(InvalidReview(errors));
  review.clear_status();
  SetAnswer(authorizer, user, access, *review.mutable_status());
  return absl::OkStatus();
}

}  // namespace

bool IsReview(const Message& object) {
  return dynamic_cast<const TokenReview*>(&object) != nullptr ||
         dynamic_cast<const SelfSubjectReview*>(&object) != nullptr ||
         dynamic_cast<const SubjectAccessReview*>(&object) != nullptr ||
         dynamic_cast<const SelfSubjectAccessReview*>(&object) != nullptr;
}

absl::Status AnswerReview(const Authorizer& authorizer,
                          const TokenAuthenticator& authenticate,
                          const User& user, Message& review) {
  if (auto* token = dynamic_cast<TokenReview*>(&review)) {
    return Answer(authenticate, *token);
  }
  if (auto* self = dynamic_cast<SelfSubjectReview*>(&review)) {
    self->clear_status();
    Describe(user, *self->mutable_status()->mutable_user_info());
    return absl::OkStatus();
  }
  if (auto* access = dynamic_cast<SubjectAccessReview*>(&review)) {
    return Answer(authorizer, *access);
  }
  if (auto* access = dynamic_cast<SelfSubjectAccessReview*>(&review)) {
    return Answer(authorizer, user, *access);
  }
  return absl::InternalError("not a review");
}

}  // namespace latchkey
