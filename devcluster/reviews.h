// Reviews: questions about identities and permissions, answered and forgotten.

#ifndef LATCHKEY_DEVCLUSTER_REVIEWS_H_
#define LATCHKEY_DEVCLUSTER_REVIEWS_H_

#include <functional>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

#include "devcluster/authorizer.h"
#include "devcluster/user.h"

namespace latchkey {

using TokenAuthenticator =
    std::function<absl::StatusOr<User>(std::string_view token)>;

// Whether `object` is a review.
bool IsReview(const google::protobuf::Message& object);

// Fills in the answer of a review that `user` asks. kInvalidArgument for a
// question that is none.
absl::Status AnswerReview(const Authorizer& authorizer,
                          const TokenAuthenticator& authenticate,
                          const User& user, google::protobuf::Message& review);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_REVIEWS_H_
