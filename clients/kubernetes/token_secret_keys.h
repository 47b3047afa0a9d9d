// What the Secret of a bootstrap token has in it, by name: the keys that
// Kubernetes gave them ("Bootstrap Token Secret Format"), and those of
// Latchkey's own by which a record can be told and checked from outside. The
// whole record is storage/token_secret.h's.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_TOKEN_SECRET_KEYS_H_
#define LATCHKEY_CLIENTS_KUBERNETES_TOKEN_SECRET_KEYS_H_

#include <string_view>

namespace latchkey {

inline constexpr std::string_view kTokenNamespace = "kube-system";
inline constexpr std::string_view kTokenSecretType =
    "bootstrap.kubernetes.io/token";
inline constexpr std::string_view kTokenFieldSelector =
    "type=bootstrap.kubernetes.io/token";
// Of Latchkey's tokens, unless its configuration says otherwise.
inline constexpr std::string_view kLatchkeyTokenGroup =
    "system:bootstrappers:latchkey";

namespace token_secret {

// Keys of `data`.
inline constexpr char kTokenId[] = "token-id";
inline constexpr char kTokenSecret[] = "token-secret";
inline constexpr char kExpiration[] = "expiration";
inline constexpr char kDescription[] = "description";
inline constexpr char kGroups[] = "auth-extra-groups";
inline constexpr char kUsageAuthentication[] = "usage-bootstrap-authentication";
inline constexpr char kUsageSigning[] = "usage-bootstrap-signing";

// Labels.
inline constexpr char kManagedByLabel[] = "app.kubernetes.io/managed-by";
inline constexpr char kManagedBy[] = "latchkey";
inline constexpr char kStateLabel[] = "latchkey.dev/state";

// Annotations.
inline constexpr char kNodeName[] = "latchkey.dev/node-name";
inline constexpr char kDelivery[] = "latchkey.dev/delivery";
inline constexpr char kProvisioner[] = "latchkey.dev/provisioner";
inline constexpr char kRequestKey[] = "latchkey.dev/request-key";
inline constexpr char kRequestDigest[] = "latchkey.dev/request-digest";
inline constexpr char kClaimKey[] = "latchkey.dev/claim-public-key-sha256";
inline constexpr char kCsrUid[] = "latchkey.dev/csr-uid";

}  // namespace token_secret

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_TOKEN_SECRET_KEYS_H_
