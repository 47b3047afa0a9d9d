// A TokenStore whose records are the tokens' own Secrets: the cluster is the
// only database.

#ifndef LATCHKEY_STORAGE_KUBERNETES_TOKEN_STORE_H_
#define LATCHKEY_STORAGE_KUBERNETES_TOKEN_STORE_H_

#include "clients/kubernetes/kubernetes_client.h"
#include "storage/token_store.h"

namespace latchkey {

class KubernetesTokenStore final : public TokenStore {
 public:
  // `client` must outlive this.
  explicit KubernetesTokenStore(KubernetesClient& client) : client_(client) {}

  absl::StatusOr<StoredToken> Insert(const TokenRecord& record) override;
  absl::StatusOr<StoredToken> Find(const TokenId& id) override;
  absl::StatusOr<StoredToken> Replace(const StoredToken& seen,
                                      const TokenRecord& next) override;
  absl::Status Remove(const StoredToken& seen) override;
  absl::StatusOr<TokenPage> List(const TokenQuery& query) override;

 private:
  KubernetesClient& client_;
};

}  // namespace latchkey

#endif  // LATCHKEY_STORAGE_KUBERNETES_TOKEN_STORE_H_
