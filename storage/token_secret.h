// A token's record as a Kubernetes Secret of type bootstrap.kubernetes.io/token
// in kube-system, and back.
//
// `data` holds what the API server, the token-cleaner and kubeadm read, and the
// ticket's salt; labels and annotations under latchkey.dev/ hold the rest, all
// of it public, so that `kubectl describe` tells an operator where a token
// stands and a label selector finds them:
//
//   labels       app.kubernetes.io/managed-by=latchkey, latchkey.dev/state,
//                latchkey.dev/provisioner (half the SHA-256 of its name),
//                label.latchkey.dev/<key> for each of the token's own
//   annotations  latchkey.dev/{node-name,provisioner,rule,delivery,…}
//
// Only records with the managed-by label are ours.
// usage-bootstrap-authentication is "true" in the states kActive and kReserved
// and in no other; usage-bootstrap-signing never, since a signing token puts an
// HMAC under its secret on public display.

#ifndef LATCHKEY_STORAGE_TOKEN_SECRET_H_
#define LATCHKEY_STORAGE_TOKEN_SECRET_H_

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "clients/kubernetes/token_secret_keys.h"
#include "kubernetes/core.pb.h"
#include "storage/token_filter.h"
#include "storage/token_record.h"

namespace latchkey {

// Selects our records and no others.
inline constexpr std::string_view kTokenLabelSelector =
    "app.kubernetes.io/managed-by=latchkey";

// Value of the label latchkey.dev/provisioner of that provisioner's tokens.
std::string ProvisionerLabelValue(std::string_view provisioner);

// Selects our records that `filter` may select, as far as labels can tell:
// whoever uses it asks filter.Matches() as well.
std::string LabelSelectorOf(const TokenFilter& filter);

// Writes `record` into `secret`, over what stands there; whatever Latchkey does
// not know (other annotations, managed fields) stays.
void WriteTokenSecret(const TokenRecord& record, kubernetes::Secret& secret);

// kFailedPrecondition if `secret` is not ours. kDataLoss if it is ours but does
// not make sense; the message says which field, never its value. The origin is
// the Secret, as a std::shared_ptr<const kubernetes::Secret>.
absl::StatusOr<StoredToken> ReadTokenSecret(kubernetes::Secret secret);
// The same without an origin, for those who write nothing back.
absl::StatusOr<StoredToken> ReadWithoutOrigin(const kubernetes::Secret& secret);

}  // namespace latchkey

#endif  // LATCHKEY_STORAGE_TOKEN_SECRET_H_
