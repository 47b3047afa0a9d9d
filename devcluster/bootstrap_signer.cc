#include "devcluster/bootstrap_signer.h"

#include <optional>

#include <absl/strings/escaping.h>
#include <fmt/format.h>

#include "core/bootstrap_token.h"
#include "crypto/digest.h"
#include "devcluster/bootstrap_secret.h"

namespace latchkey {
namespace {

constexpr std::string_view kSignaturePrefix = "jws-kubeconfig-";

// The id, if the Secret is that of a token for signing.
std::optional<TokenId> SigningIdOf(const kubernetes::Secret& secret) {
  const auto id = TokenId::Parse(BootstrapValueOf(secret, "token-id"));
  if (!id.ok() || secret.metadata().name() != id->SecretName() ||
      BootstrapValueOf(secret, "token-secret").empty() ||
      BootstrapValueOf(secret, "usage-bootstrap-signing") != "true") {
    return std::nullopt;
  }
  return *id;
}

}  // namespace

std::string DetachedSignature(std::string_view payload, std::string_view id,
                              std::string_view secret) {
  const std::string header = absl::WebSafeBase64Escape(
      fmt::format(R"({{"alg":"HS256","kid":"{}"}})", id));
  const std::string body = absl::WebSafeBase64Escape(std::string(payload));
  const std::string signature = absl::WebSafeBase64Escape(
      HmacSha256(secret, fmt::format("{}.{}", header, body)));
  return fmt::format("{}..{}", header, signature);
}

void BootstrapSigner::Note(const std::string& name,
                           const kubernetes::Secret* secret) {
  tokens_.erase(name);
  if (secret == nullptr) return;
  const auto id = SigningIdOf(*secret);
  if (!id) return;
  tokens_.emplace(name, SigningToken{.id = id->text(),
                                     .secret = std::string(BootstrapValueOf(
                                         *secret, "token-secret")),
                                     .expiration = TokenExpirationOf(*secret)});
}

absl::Status BootstrapSigner::Handle(const kubernetes::ConfigMap& cluster_info,
                                     absl::Time now) {
  const auto kubeconfig = cluster_info.data().find("kubeconfig");
  if (kubeconfig == cluster_info.data().end()) return absl::OkStatus();
  std::map<std::string, std::string> before(cluster_info.data().begin(),
                                            cluster_info.data().end());
  std::map<std::string, std::string> after = before;
  std::erase_if(after, [](const auto& entry) {
    return entry.first.starts_with(kSignaturePrefix);
  });
  for (const auto& [name, token] : tokens_) {
    if (token.expiration <= now) continue;
    after[fmt::format("{}{}", kSignaturePrefix, token.id)] =
        DetachedSignature(kubeconfig->second, token.id, token.secret);
  }
  if (after == before) return absl::OkStatus();
  kubernetes::ConfigMap signed_info = cluster_info;
  signed_info.mutable_data()->clear();
  signed_info.mutable_data()->insert(after.begin(), after.end());
  return client_.Update(signed_info).status();
}

}  // namespace latchkey
