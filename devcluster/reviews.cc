#include "devcluster/reviews.h"

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
  // No audience but the API server's own, which goes without saying.
  const auto user = review.spec().audiences().empty()
                        ? authenticate(review.spec().token())
                        : absl::StatusOr<User>(UnauthorizedError());
  status.set_authenticated(user.ok());
  if (user.ok()) {
    Describe(*user, *status.mutable_user());
  } else {
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

template <typename Spec>
absl::StatusOr<Access> AccessOf(const Resource& resource, const Spec& spec) {
  const bool of_resource = spec.has_resource_attributes();
  if (of_resource == spec.has_non_resource_attributes()) {
    return InvalidError(resource, "",
                        {InvalidField("spec", "",
                                      "exactly one of nonResourceAttributes or "
                                      "resourceAttributes must be specified")});
  }
  if (of_resource) return AccessOf(spec.resource_attributes());
  // An empty path is no resource either.
  const auto& asked = spec.non_resource_attributes();
  return Access{.verb = asked.verb(),
                .path = asked.path().empty() ? "/" : asked.path()};
}

void SetAnswer(const Authorizer& authorizer, const User& user,
               const Access& access,
               kubernetes::SubjectAccessReviewStatus& status) {
  const auto why = authorizer.WhyAllowed(user, access);
  status.set_allowed(why.has_value());
  if (why) status.set_reason(*why);
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
  if (spec.user().empty() && spec.groups().empty()) {
    return InvalidError(
        kSubjectAccessReviews, "",
        {InvalidField("spec.user", "",
                      "at least one of user or group must be specified")});
  }
  LATCHKEY_ASSIGN_OR_RETURN(const Access access,
                            AccessOf(kSubjectAccessReviews, spec));
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
  LATCHKEY_ASSIGN_OR_RETURN(const Access access,
                            AccessOf(kSelfSubjectAccessReviews, review.spec()));
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
