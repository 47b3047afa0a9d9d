#include "storage/kubernetes_token_store.h"

#include <any>
#include <memory>
#include <string>
#include <utility>

#include "clients/log/event_log.h"
#include "core/reasons.h"
#include "core/refusal.h"
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
  kubernetes::Secret secret =
      *std::any_cast<const std::shared_ptr<const kubernetes::Secret>&>(
          seen.origin);
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

absl::StatusOr<TokenPage> KubernetesTokenStore::List(const TokenQuery& query) {
  // No resourceVersion: the first page is as new as a Find(), and the continue
  // token keeps the pages that follow at its version.
  absl::StatusOr<kubernetes::SecretList> secrets =
      client_.List<kubernetes::SecretList>(
          {.name_space = std::string(kTokenNamespace),
           .label_selector = LabelSelectorOf(query.filter),
           .field_selector = std::string(kTokenFieldSelector),
           .limit = static_cast<int64_t>(query.page_size),
           .continue_token = query.page_token});
  if (absl::IsOutOfRange(secrets.status())) {
    return Refuse(absl::StatusCode::kAborted, reason::kPageExpired,
                  "the cluster has forgotten the moment of the first page; "
                  "list again");
  }
  if (absl::IsInvalidArgument(secrets.status()) && !query.page_token.empty()) {
    return InvalidField("page_token", "not of a listing");
  }
  LATCHKEY_RETURN_IF_ERROR(secrets.status());
  TokenPage page{.tokens = {},
                 .next_page_token = secrets->metadata().continue_()};
  for (kubernetes::Secret& secret : *secrets->mutable_items()) {
    absl::StatusOr<StoredToken> token = ReadTokenSecret(std::move(secret));
    if (token.ok() && query.filter.Matches(token->record)) {
      page.tokens.push_back(*std::move(token));
    } else if (absl::IsDataLoss(token.status())) {
      LogEvent(LogLevel::kWarning, "record left out of a listing",
               {{"status", token.status().ToString()}});
    }
  }
  return page;
}

}  // namespace latchkey
