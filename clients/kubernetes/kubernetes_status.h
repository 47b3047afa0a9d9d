// The border between the API server's errors and absl::Status.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_KUBERNETES_STATUS_H_
#define LATCHKEY_CLIENTS_KUBERNETES_KUBERNETES_STATUS_H_

#include <string_view>

#include <absl/status/status.h>

#include "clients/http/http_client.h"
#include "kubernetes/meta.pb.h"

namespace latchkey {

// The status of a metav1.Status, which knows more than the HTTP code: the two
// kinds of 409, for one. `what` begins the message, e.g. "create secrets
// kube-system/x". Of a refused object (422) the message repeats no values.
absl::Status StatusOfKubernetes(const kubernetes::Status& error,
                                std::string_view what);

// The status of a response to `what`; kOk for 2xx. Overload is refused in plain
// text, before anything looks at what the client accepts.
absl::Status StatusOfResponse(const HttpResponse& response,
                              std::string_view what);

// Whether an error of StatusOfResponse() came without a metav1.Status. Then the
// API server may never have seen the request: a proxy before it answers so too,
// while there is none behind it.
bool IsWithoutKubernetesStatus(const absl::Status& error);

// The same error; but a 404 of that kind, which does not tell that there is no
// such object, is kUnavailable.
absl::Status BelieveNotFoundOnlyWithStatus(absl::Status error);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_KUBERNETES_STATUS_H_
