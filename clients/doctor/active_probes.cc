#include "clients/doctor/active_probes.h"

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "clients/doctor/server_checks.h"
#include "clients/doctor/shown_text.h"
#include "clients/kubernetes/kube_time.h"
#include "clients/kubernetes/token_secret_keys.h"
#include "core/bootstrap_token.h"
#include "core/status_macros.h"
#include "core/text_time.h"
#include "crypto/certificate_request.h"
#include "crypto/private_key.h"
#include "crypto/random.h"

namespace latchkey {
namespace {

using Csr = kubernetes::CertificateSigningRequest;

constexpr absl::Duration kTokenLifetime = absl::Minutes(2);
constexpr absl::Duration kInterval = absl::Milliseconds(250);
constexpr int kLoginAttempts = 60;    // 15 s
constexpr int kSignerAttempts = 120;  // 30 s
constexpr int kRemovalAttempts = 4;
constexpr char kAuthentication[] = "bootstrap-authentication";
constexpr char kSigner[] = "signer";
constexpr std::string_view kKubeletSigner =
    "kubernetes.io/kube-apiserver-client-kubelet";

// Not labelled as Latchkey's own, or the brokers would look after them.
void MarkAsOurs(kubernetes::ObjectMeta& metadata) {
  (*metadata.mutable_labels())[token_secret::kManagedByLabel] =
      "latchkey-doctor";
}

// Gone, or a finding with the command. Whether the creation was answered or
// not, there may be an object.
template <typename Object>
void Remove(KubernetesClient& client, const ObjectName& name,
            const Pause& pause, Findings& findings) {
  absl::Status removed;
  for (int i = 0; i < kRemovalAttempts; ++i) {
    removed = client.Delete<Object>(name);
    if (removed.ok() || absl::IsNotFound(removed)) return;
    // Asked to stop, it tries the harder.
    static_cast<void>(pause(kInterval));
  }
  const Resource& resource = ResourceOf<Object>();
  findings.push_back(
      {.id = "left-behind",
       .severity = Severity::kWarning,
       .message = "what --active made could not be removed",
       .evidence = {fmt::format("{} {}", resource.kind, name.name),
                    Shown(std::string(removed.message()))},
       .commands = {
           name.name_space.empty()
               ? fmt::format("kubectl delete {} {}", resource.plural, name.name)
               : fmt::format("kubectl -n {} delete {} {}", name.name_space,
                             resource.plural, name.name)}});
}

Finding Interrupted(std::string_view check) {
  return NotChecked(check, Severity::kInfo, absl::CancelledError("interrupted"),
                    "");
}

// ---- bootstrap authentication

BootstrapToken NewToken() {
  const TokenId id =
      TokenId::Parse(RandomBase36(TokenId::kLength).Reveal()).value();
  return BootstrapToken::FromParts(id,
                                   RandomBase36(BootstrapToken::kSecretLength))
      .value();
}

kubernetes::Secret SecretOf(const BootstrapToken& token, absl::Time expires) {
  kubernetes::Secret secret;
  auto& metadata = *secret.mutable_metadata();
  metadata.set_name(token.id().SecretName());
  metadata.set_namespace_(std::string(kTokenNamespace));
  MarkAsOurs(metadata);
  secret.set_type(std::string(kTokenSecretType));
  auto& data = *secret.mutable_data();
  data[token_secret::kTokenId] = token.id().text();
  data[token_secret::kTokenSecret] = std::string(token.secret().Reveal());
  data[token_secret::kExpiration] = FormatRfc3339(expires);
  data[token_secret::kDescription] =
      "latchkeyctl doctor --active: may nothing, and is removed at once";
  // Nobody binds anything to this group.
  data[token_secret::kGroups] = "system:bootstrappers:latchkey-doctor";
  data[token_secret::kUsageAuthentication] = "true";
  return secret;
}

Finding JudgeLogin(const BootstrapToken& token,
                   const absl::StatusOr<kubernetes::SelfSubjectReview>& who) {
  Finding finding{.id = kAuthentication};
  if (absl::IsUnauthenticated(who.status())) {
    finding.severity = Severity::kError;
    finding.message = "the API server accepts no bootstrap tokens";
    finding.evidence = {"a new token was refused with 401 for 15 seconds"};
    finding.advice =
        "start kube-apiserver with --enable-bootstrap-token-auth; a hosted "
        "cluster may not have it";
    return finding;
  }
  if (!who.ok()) {
    return NotChecked(kAuthentication, Severity::kWarning, who.status(),
                      "create selfsubjectreviews, as every user may "
                      "(system:basic-user)");
  }
  const std::string& user = who->status().user_info().username();
  if (user != token.id().Username()) {
    finding.severity = Severity::kError;
    finding.message = "the API server takes a bootstrap token for another user";
    finding.evidence = {
        fmt::format("{}, not {}", Shown(user), token.id().Username())};
    return finding;
  }
  finding.message =
      "the API server accepts bootstrap tokens (a token of two "
      "minutes proved it)";
  return finding;
}

Finding TryToken(const BootstrapToken& token, const BearerLogin& login,
                 const Pause& pause) {
  const auto client = login(token.Joined());
  if (!client.ok()) {
    return NotChecked(kAuthentication, Severity::kWarning, client.status(), "");
  }
  for (int attempt = 1;; ++attempt) {
    const auto who = (*client)->Create(kubernetes::SelfSubjectReview());
    if (!absl::IsUnauthenticated(who.status()) || attempt == kLoginAttempts) {
      return JudgeLogin(token, who);
    }
    if (!pause(kInterval)) return Interrupted(kAuthentication);
  }
}

// ---- signer

absl::StatusOr<Csr> NewCsr() {
  LATCHKEY_ASSIGN_OR_RETURN(const PrivateKey key,
                            PrivateKey::Generate(KeyType::kP256));
  const std::string name =
      fmt::format("latchkey-doctor-{}", RandomBase36(10).Reveal());
  Csr csr;
  csr.mutable_metadata()->set_name(name);
  MarkAsOurs(*csr.mutable_metadata());
  auto& spec = *csr.mutable_spec();
  LATCHKEY_ASSIGN_OR_RETURN(
      *spec.mutable_request(),
      BuildCertificateRequest(
          key, {.common_name = fmt::format("system:node:{}", name),
                .organizations = {"system:nodes"}}));
  spec.set_signer_name(std::string(kKubeletSigner));
  spec.add_usages("digital signature");
  spec.add_usages("client auth");
  spec.set_expiration_seconds(600);
  return csr;
}

absl::Status Approve(KubernetesClient& client, Csr csr, absl::Time now) {
  auto& condition = *csr.mutable_status()->add_conditions();
  condition.set_type("Approved");
  condition.set_status("True");
  condition.set_reason("LatchkeyDoctor");
  condition.set_message("latchkeyctl doctor --active: is there a signer?");
  *condition.mutable_last_update_time() = ToKubernetesTime(now);
  return client.Update(csr, "approval").status();
}

Finding AwaitSignature(KubernetesClient& client, const std::string& name,
                       const Pause& pause) {
  for (int attempt = 1; attempt <= kSignerAttempts; ++attempt) {
    const auto csr = client.Get<Csr>({"", name});
    if (!csr.ok()) {
      return NotChecked(kSigner, Severity::kWarning, csr.status(),
                        "get certificatesigningrequests");
    }
    if (ViewSigning(*csr).has_certificate) {
      return {.id = kSigner,
              .message =
                  "somebody signs certificate requests of Nodes (one "
                  "was made, approved, signed and removed)"};
    }
    for (const auto& condition : csr->status().conditions()) {
      if (condition.type() != "Failed" && condition.type() != "Denied")
        continue;
      return {.id = kSigner,
              .severity = Severity::kError,
              .message = "a certificate request for a Node was refused",
              .evidence = {fmt::format("{}: {} {}", condition.type(),
                                       Shown(condition.reason()),
                                       Shown(condition.message()))},
              .advice = kSignerAdvice};
    }
    if (!pause(kInterval)) return Interrupted(kSigner);
  }
  return {.id = kSigner,
          .severity = Severity::kError,
          .message = "nobody signs certificate requests of Nodes",
          .evidence = {"one was made, approved, and not signed within 30 s"},
          .advice = kSignerAdvice};
}

Finding TrySigner(KubernetesClient& client, const Csr& csr, const Pause& pause,
                  absl::Time now) {
  const absl::Status approved = Approve(client, csr, now);
  if (!approved.ok()) {
    return NotChecked(kSigner, Severity::kWarning, approved,
                      fmt::format("update certificatesigningrequests/approval, "
                                  "and approve signers {}",
                                  kKubeletSigner));
  }
  return AwaitSignature(client, csr.metadata().name(), pause);
}

}  // namespace

Findings ProbeBootstrapAuthentication(KubernetesClient& client,
                                      const BearerLogin& login,
                                      const Pause& pause, absl::Time now) {
  const BootstrapToken token = NewToken();
  kubernetes::Secret secret = SecretOf(token, now + kTokenLifetime);
  auto created = client.Create(secret);
  for (kubernetes::Secret* copy :
       {&secret, created.ok() ? &*created : &secret}) {
    Wipe((*copy->mutable_data())[token_secret::kTokenSecret]);
  }
  Findings findings;
  findings.push_back(
      created.ok()
          ? TryToken(token, login, pause)
          : NotChecked(kAuthentication, Severity::kWarning, created.status(),
                       "create and delete secrets in kube-system"));
  if (!absl::IsPermissionDenied(created.status())) {
    Remove<kubernetes::Secret>(
        client, {std::string(kTokenNamespace), token.id().SecretName()}, pause,
        findings);
  }
  return findings;
}

Findings ProbeSigner(KubernetesClient& client, const Pause& pause,
                     absl::Time now) {
  const absl::StatusOr<Csr> csr = NewCsr();
  if (!csr.ok()) {
    return {NotChecked(kSigner, Severity::kWarning, csr.status(), "")};
  }
  const auto created = client.Create(*csr);
  Findings findings;
  findings.push_back(
      created.ok()
          ? TrySigner(client, *created, pause, now)
          : NotChecked(kSigner, Severity::kWarning, created.status(),
                       "create and delete certificatesigningrequests"));
  if (!absl::IsPermissionDenied(created.status())) {
    Remove<Csr>(client, {"", csr->metadata().name()}, pause, findings);
  }
  return findings;
}

}  // namespace latchkey
