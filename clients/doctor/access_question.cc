#include "clients/doctor/access_question.h"

#include <fmt/format.h>

#include "core/status_macros.h"

namespace latchkey {
namespace {

void Fill(const AccessQuestion& question,
          kubernetes::ResourceAttributes& attributes) {
  attributes.set_verb(std::string(question.verb));
  attributes.set_group(std::string(question.group));
  attributes.set_resource(std::string(question.resource));
  attributes.set_subresource(std::string(question.subresource));
  attributes.set_name(std::string(question.name));
  attributes.set_namespace_(std::string(question.name_space));
}

AccessAnswer AnswerIn(const kubernetes::SubjectAccessReviewStatus& status) {
  return {.allowed = status.allowed(), .reason = status.reason()};
}

}  // namespace

std::string AccessQuestion::Text() const {
  if (verb == "*" && resource == "*") return "every verb on every resource";
  std::string text = fmt::format("{} {}", verb, resource);
  if (!subresource.empty()) text += fmt::format("/{}", subresource);
  if (!name.empty()) text += fmt::format(" {}", name);
  if (!name_space.empty()) text += fmt::format(" in {}", name_space);
  return text;
}

ReviewedUser ReviewedUser::Named(const std::string& name) {
  constexpr std::string_view kServiceAccount = "system:serviceaccount:";
  ReviewedUser user{.name = name, .groups = {}};
  if (name.starts_with(kServiceAccount)) {
    const std::string rest = name.substr(kServiceAccount.size());
    user.groups = {"system:serviceaccounts",
                   "system:serviceaccounts:" + rest.substr(0, rest.find(':'))};
  }
  user.groups.emplace_back("system:authenticated");
  return user;
}

absl::StatusOr<AccessAnswer> Ask(KubernetesClient& client,
                                 const std::optional<ReviewedUser>& who,
                                 const AccessQuestion& question) {
  if (!who.has_value()) {
    kubernetes::SelfSubjectAccessReview review;
    Fill(question, *review.mutable_spec()->mutable_resource_attributes());
    LATCHKEY_ASSIGN_OR_RETURN(review, client.Create(review));
    return AnswerIn(review.status());
  }
  kubernetes::SubjectAccessReview review;
  Fill(question, *review.mutable_spec()->mutable_resource_attributes());
  review.mutable_spec()->set_user(who->name);
  for (const std::string& group : who->groups) {
    review.mutable_spec()->add_groups(group);
  }
  LATCHKEY_ASSIGN_OR_RETURN(review, client.Create(review));
  return AnswerIn(review.status());
}

}  // namespace latchkey
