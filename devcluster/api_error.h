// The errors of an API server: an absl::Status that carries the metav1.Status
// it stands for, with its HTTP code, reason and details as kube-apiserver words
// them (k8s.io/apimachinery/pkg/api/errors).

#ifndef LATCHKEY_DEVCLUSTER_API_ERROR_H_
#define LATCHKEY_DEVCLUSTER_API_ERROR_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "clients/kubernetes/resource.h"
#include "kubernetes/meta.pb.h"

namespace latchkey {

// The status of `error`, with `error` in its payload: the same code and message
// that a KubernetesClient makes of that answer over HTTP.
absl::Status ApiError(const kubernetes::Status& error);
// What an ApiError carries; of any other status, the Status that fits its code
// and repeats nothing internal.
kubernetes::Status KubernetesStatusOf(const absl::Status& error);

absl::Status NotFoundError(const Resource& resource, std::string_view name);
// `being_deleted`: finalizers hold what is there.
absl::Status AlreadyExistsError(const Resource& resource, std::string_view name,
                                bool being_deleted = false);
absl::Status ConflictError(const Resource& resource, std::string_view name,
                           std::string_view why);
absl::Status BadRequestError(std::string_view why);
// The caller may not do this: "secrets \"x\" is forbidden: WHY". `name` may be
// empty.
absl::Status ForbiddenError(const Resource& resource, std::string_view name,
                            std::string_view why);
// The same of a path that is no resource.
absl::Status ForbiddenPathError(std::string_view user, std::string_view verb,
                                std::string_view path);
absl::Status UnauthorizedError();
// 410 Expired: the resourceVersion is too old.
absl::Status ExpiredError(std::string_view why);
// 504 Timeout: the resourceVersion is not reached yet. A KubernetesClient makes
// kOutOfRange of it too: the caller knows a version that this server does not,
// and must list again.
absl::Status TooNewVersionError(int64_t asked, int64_t current);
// 404 and 405, which name nothing.
absl::Status UnknownPathError();
absl::Status MethodNotSupportedError();
// 500, of a mistake of the caller's for which upstream has no better code.
absl::Status ServerError(std::string_view why);

// 500 as well: etcd takes no object that large.
absl::Status TooLargeError();
// 429: the store is full.
absl::Status StoreFullError();

// One finding of validation, e.g. {"FieldValueRequired", "Required value: ...",
// "spec.usages"}; the findings of an object are reported at once (422).
struct FieldError {
  std::string reason;
  std::string message;
  std::string field;
};

// The first findings; what is found after kMax of them is dropped, so that a
// large object with a million mistakes costs no more than one with a few. Who
// checks a list that a request made as long as it liked stops when this is
// full().
class FieldErrors {
 public:
  static constexpr size_t kMax = 32;

  FieldErrors() = default;
  FieldErrors(std::initializer_list<FieldError> findings) {
    for (const FieldError& finding : findings) push_back(finding);
  }

  void push_back(FieldError finding) {
    if (!full()) findings_.push_back(std::move(finding));
  }
  void Append(FieldErrors more) {
    for (FieldError& finding : more.findings_) push_back(std::move(finding));
  }
  bool full() const { return findings_.size() >= kMax; }
  bool empty() const { return findings_.empty(); }
  auto begin() const { return findings_.begin(); }
  auto end() const { return findings_.end(); }

 private:
  std::vector<FieldError> findings_;
};

// `detail` may be empty. Values are quoted: never that of a secret.
FieldError RequiredField(std::string_view field, std::string_view detail);
FieldError InvalidField(std::string_view field, std::string_view value,
                        std::string_view detail);
// Of a value that is no text: a number, "null".
FieldError InvalidLiteral(std::string_view field, std::string_view literal,
                          std::string_view detail);
FieldError ForbiddenField(std::string_view field, std::string_view detail);
FieldError DuplicateField(std::string_view field, std::string_view value);
FieldError UnsupportedField(std::string_view field, std::string_view value,
                            std::vector<std::string_view> supported);
FieldError TooLongField(std::string_view field, size_t max_bytes);

// OK if there are no findings.
absl::Status InvalidError(const Resource& resource, std::string_view name,
                          const FieldErrors& findings);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_API_ERROR_H_
