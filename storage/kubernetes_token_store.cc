#include "storage/kubernetes_token_store.h"

#include <any>
#include <string>
#include <utility>

#include "core/status_macros.h"
#include "storage/token_secret.h"

namespace latchkey {

absl::StatusOr<StoredToken> KubernetesTokenStore::Insert(
    const TokenRecord& record) {
  kubernetes::Secret secret;
  WriteTokenSecret(record, secret);
  LATCHKEY_ASSIGN_OR_RETURN(kubernetes::Secret created, client_.Create(secret));
  return ReadTokenSecret(std::move(created));
}

absl::StatusOr<StoredToken> KubernetesTokenStore::Find(const TokenId& id) {
  LATCHKEY_ASSIGN_OR_RETURN(
      kubernetes::Secret secret,
      client_.Get<kubernetes::Secret>(
          {std::string(kTokenNamespace), id.SecretName()}));
  return ReadTokenSecret(std::move(secret));
}

absl::StatusOr<StoredToken> KubernetesTokenStore::Replace(
    const StoredToken& seen, const TokenRecord& next) {
  auto secret = std::any_cast<kubernetes::Secret>(seen.origin);
  WriteTokenSecret(next, secret);
  // uid and resourceVersion make the PUT conditional on what was seen.
  secret.mutable_metadata()->set_uid(seen.uid);
  secret.mutable_metadata()->set_resource_version(seen.version);
  LATCHKEY_ASSIGN_OR_RETURN(kubernetes::Secret updated, client_.Update(secret));
  return ReadTokenSecret(std::move(updated));
}

absl::Status KubernetesTokenStore::Remove(const StoredToken& seen) {
  return client_.Delete<kubernetes::Secret>(
      {std::string(kTokenNamespace), seen.record.id.SecretName()},
      {.uid = seen.uid, .resource_version = seen.version});
}

}  // namespace latchkey
