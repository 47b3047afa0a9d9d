// Who may do what: a table of bindings, each with the name that RBAC objects
// have for it in a cluster of kubeadm's with Latchkey in it. What nothing
// allows is denied.

#ifndef LATCHKEY_DEVCLUSTER_AUTHORIZER_H_
#define LATCHKEY_DEVCLUSTER_AUTHORIZER_H_

#include <optional>
#include <string>
#include <string_view>

#include "devcluster/user.h"
#include "kubernetes/authorization.pb.h"

namespace latchkey {

// What is to be done: with a resource, as in ResourceAttributes of a
// SubjectAccessReview, or, where `path` is not empty, with that.
struct Access {
  std::string verb;
  std::string group = {};
  std::string resource = {};
  std::string subresource = {};
  std::string name_space = {};
  std::string name = {};
  std::string path = {};
};

// Immutable.
class Authorizer {
 public:
  // With `stock_approver`, tokens of kubeadm's default group pass the
  // SubjectAccessReview by which the stock approver lets them in.
  explicit Authorizer(bool stock_approver) : stock_approver_(stock_approver) {}

  // Why `user` may, in RBAC's words, or "" where no binding is the reason;
  // nullopt: it may not.
  std::optional<std::string> WhyAllowed(const User& user,
                                        const Access& access) const;
  bool Allows(const User& user, const Access& access) const;

 private:
  const bool stock_approver_;
};

// The name of the Node whose kubelet `user` is; nullopt: it is none.
std::optional<std::string> NodeOfUser(const User& user);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_AUTHORIZER_H_
