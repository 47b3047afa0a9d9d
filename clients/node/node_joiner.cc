#include "clients/node/node_joiner.h"

#include <algorithm>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "clients/node/credential_proof.h"
#include "clients/node/node_certificate.h"
#include "core/fault_point.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "crypto/certificate_request.h"
#include "crypto/digest.h"
#include "crypto/random.h"

namespace latchkey {
namespace {

using Csr = kubernetes::CertificateSigningRequest;

constexpr std::string_view kSigner =
    "kubernetes.io/kube-apiserver-client-kubelet";
constexpr absl::Duration kClaimTimeout = absl::Seconds(15);
// How long a watch is trusted without a word: a connection may be dead without
// anybody telling.
constexpr absl::Duration kWatchSlice = absl::Seconds(30);
constexpr absl::Duration kLockPoll = absl::Milliseconds(200);
// CSRs of one key and token that were denied or failed and are still there.
constexpr int kMaxDeadRequests = 9;
// On a CSR: which run of latchkey-join made it. Of the key, the token and the
// name an earlier run's is the same.
constexpr char kRunAnnotation[] = "latchkey.dev/run";

// A claim that ended so may succeed when it is made again.
bool IsWorthAnotherClaim(const absl::Status& status) {
  return OutcomeIsUnknown(status) || absl::IsResourceExhausted(status) ||
         absl::IsAborted(status);
}

// The same error as the verdict "refused".
absl::Status Refused(const absl::Status& status) {
  if (status.ok()) return status;
  return Refuse(absl::StatusCode::kPermissionDenied, ReasonOf(status),
                std::string(status.message()));
}

// What denies the CSR or makes it fail; null if nothing does.
const kubernetes::CertificateSigningRequestCondition* DeathOf(const Csr& csr) {
  for (const auto& condition : csr.status().conditions()) {
    if (condition.type() == "Denied" || condition.type() == "Failed") {
      return &condition;
    }
  }
  return nullptr;
}

bool IsDecided(const Csr& csr) {
  return DeathOf(csr) != nullptr || !csr.status().certificate().empty();
}

std::string SelectorOf(const Csr& csr) {
  return "metadata.name=" + csr.metadata().name();
}

// The certificate of a decided `csr`, or why there is none.
absl::StatusOr<std::string> OutcomeOf(const Csr& csr) {
  if (const auto* death = DeathOf(csr)) {
    return Refuse(
        absl::StatusCode::kPermissionDenied, death->reason(),
        fmt::format("the certificate request {} {}: {}: {}",
                    csr.metadata().name(),
                    death->type() == "Denied" ? "was denied" : "has failed",
                    death->reason(), death->message()));
  }
  return csr.status().certificate();
}

// What a grant says ends up in a kubeconfig.
absl::Status CheckGrant(const BootstrapGrant& grant) {
  for (const std::string& url : grant.api_servers) {
    LATCHKEY_RETURN_IF_ERROR(Refused(CheckApiServerUrl(url)));
  }
  if (grant.api_servers.empty()) {
    return absl::PermissionDeniedError("no API server was named");
  }
  const auto authorities = Certificate::ParseAll(grant.ca_pem);
  if (authorities.ok()) return absl::OkStatus();
  return absl::PermissionDeniedError(
      fmt::format("the cluster's certificate authorities: {}",
                  std::string(authorities.status().message())));
}

}  // namespace

// One run of the joiner.
class NodeJoiner::Attempt {
 public:
  Attempt(const JoinPlan& plan, const Collaborators& with)
      : plan_(plan),
        with_(with),
        deadline_(with.pace.Elapsed() + plan.timeout) {}

  absl::StatusOr<JoinResult> Run();

 private:
  absl::StatusOr<std::shared_ptr<void>> Lock();
  absl::StatusOr<BootstrapGrant> Claim(const std::string& csr_pem);
  absl::StatusOr<Csr> Ask(ClusterSession& session, const PrivateKey& key,
                          Csr csr);
  absl::StatusOr<std::string> Wait(ClusterSession& session, Csr csr);
  // Reads `csr` again, by a list: that tells the version to watch from. The
  // object's own may be older than what the server remembers.
  static absl::Status Reread(KubernetesClient& client, Csr& csr,
                             std::string& version);
  // Follows `csr` from `version` until it is decided, or nothing was heard for
  // a while. Like Reread, kNotFound if it is gone.
  absl::Status Watch(KubernetesClient& client, const std::string& version,
                     Csr& csr) const;
  static absl::Status TakeOver(Csr newer, Csr& csr);
  absl::StatusOr<Certificate> CheckCertificate(const PrivateKey& key,
                                               const std::string& pem) const;
  absl::Status Prove(const ApiServerLogin& login);
  // Of this machine's key and token, whichever run made it.
  bool IsOurs(const Csr& found, const PrivateKey& key) const;
  bool IsOfThisRun(const Csr& found) const;
  Csr NewRequest(const BootstrapGrant& grant, const PrivateKey& key,
                 const std::string& csr_pem) const;

  // Waits before another attempt at `step`; kDeadlineExceeded if there is no
  // time left for one.
  absl::Status Pause(std::string_view step, const absl::Status& cause,
                     absl::Duration wait);
  // The same after an error of an API server, unless it is final.
  absl::Status PauseOrGiveUp(ClusterSession& session, std::string_view step,
                             const absl::Status& error);

  absl::Duration TimeLeft() const { return deadline_ - with_.pace.Elapsed(); }
  void Tell(JoinProgress progress) const {
    if (with_.on_progress) with_.on_progress(progress);
  }

  const JoinPlan& plan_;
  const Collaborators& with_;
  const absl::Duration deadline_;
  const std::string run_ = HexEncode(RandomBytes(8));
  // Set from the grant, for IsOurs().
  std::string requester_;
};

absl::StatusOr<JoinResult> NodeJoiner::Attempt::Run() {
  // Once without the lock: a machine that has joined needs no writable disk to
  // hear so.
  auto found = with_.files.FindCredential(plan_.node_name, with_.clock.Now());
  if (found.ok()) {
    return JoinResult{JoinResult::Kind::kAlreadyJoined, *std::move(found)};
  }
  // It has joined, perhaps, and its clock is behind or its disk fails: a new
  // key would not fit the ticket.
  if (absl::IsUnavailable(found.status())) return found.status();
  LATCHKEY_ASSIGN_OR_RETURN(const std::shared_ptr<void> lock, Lock());
  LATCHKEY_RETURN_IF_ERROR(with_.files.Prepare());
  found = with_.files.FindCredential(plan_.node_name, with_.clock.Now());
  if (absl::IsNotFound(found.status())) {
    found = with_.files.Recover(plan_.node_name, with_.clock.Now());
  }
  if (absl::IsUnavailable(found.status())) return found.status();
  if (found.ok()) {
    return JoinResult{JoinResult::Kind::kAlreadyJoined, *std::move(found)};
  }

  LATCHKEY_ASSIGN_OR_RETURN(const PrivateKey key,
                            with_.files.LoadOrCreateKey(plan_.key_type));
  Tell(
      {"key", "the key is on disk", {{"key_digest", key.public_key_digest()}}});
  FaultPoint("node_joiner.key");
  LATCHKEY_ASSIGN_OR_RETURN(
      const std::string csr_pem,
      BuildCertificateRequest(key,
                              {.common_name = NodeUserName(plan_.node_name),
                               .organizations = {std::string(kNodesGroup)}}));

  LATCHKEY_ASSIGN_OR_RETURN(const BootstrapGrant grant, Claim(csr_pem));
  LATCHKEY_RETURN_IF_ERROR(CheckGrant(grant));
  FaultPoint("node_joiner.claimed");
  requester_ = grant.token.id().Username();
  ClusterSession session(grant, with_.api_servers, with_.pace);
  LATCHKEY_ASSIGN_OR_RETURN(Csr csr,
                            Ask(session, key, NewRequest(grant, key, csr_pem)));
  Tell(
      {"ask",
       fmt::format("the certificate request is {}", csr.metadata().name()),
       {{"csr", csr.metadata().name()}, {"api_server", session.api_server()}}});
  FaultPoint("node_joiner.asked");
  LATCHKEY_ASSIGN_OR_RETURN(const std::string certificates_pem,
                            Wait(session, std::move(csr)));
  Tell({"wait", "the certificate is issued", {}});
  FaultPoint("node_joiner.issued");

  LATCHKEY_ASSIGN_OR_RETURN(Certificate certificate,
                            CheckCertificate(key, certificates_pem));
  LATCHKEY_RETURN_IF_ERROR(
      with_.files.Install({.certificates_pem = certificates_pem,
                           .key = key,
                           .api_server = session.api_server(),
                           .ca_pem = grant.ca_pem},
                          with_.clock.Now()));
  if (plan_.prove) {
    LATCHKEY_RETURN_IF_ERROR(
        Prove({.url = session.api_server(),
               .ca_pem = grant.ca_pem,
               .credential = IssuedIdentity{certificates_pem, key.ToPem()}}));
  }
  return JoinResult{JoinResult::Kind::kJoined, std::move(certificate)};
}

absl::Status NodeJoiner::Attempt::Prove(const ApiServerLogin& login) {
  auto client = with_.api_servers(login);
  LATCHKEY_RETURN_IF_ERROR(client.status());
  Backoff backoff(with_.pace);
  std::optional<absl::Duration> forbidden_since;
  while (true) {
    const absl::Duration asked = with_.pace.Elapsed();
    const absl::Status proof = ProveCredential(**client, plan_.node_name);
    if (proof.ok()) {
      Tell(
          {"prove", "the API server knows the machine by its certificate", {}});
      return proof;
    }
    if (absl::IsUnimplemented(proof)) {
      Tell({"prove",
            fmt::format("cannot be proved: {}", std::string(proof.message())),
            {}});
      return absl::OkStatus();
    }
    if (absl::IsPermissionDenied(proof)) return proof;
    if (!absl::IsAborted(proof)) {
      forbidden_since.reset();
    } else if (!forbidden_since) {
      forbidden_since = with_.pace.Elapsed();
    } else if (asked - *forbidden_since >= ClusterSession::kPatience) {
      return Refused(proof);
    }
    LATCHKEY_RETURN_IF_ERROR(Pause(
        "prove", proof,
        backoff.Next(RetryAfterOf(proof).value_or(absl::ZeroDuration()))));
  }
}

absl::StatusOr<std::shared_ptr<void>> NodeJoiner::Attempt::Lock() {
  bool told = false;
  while (true) {
    auto lock = with_.files.TryLock();
    if (!absl::IsUnavailable(lock.status())) return lock;
    if (!told) {
      Tell({"lock", "another latchkey-join is at work; waiting for it", {}});
      told = true;
    }
    if (TimeLeft() <= kLockPoll) return lock;
    with_.pace.Sleep(kLockPoll);
  }
}

absl::StatusOr<BootstrapGrant> NodeJoiner::Attempt::Claim(
    const std::string& csr_pem) {
  if (const auto* grant = std::get_if<BootstrapGrant>(&plan_.credential)) {
    return *grant;
  }
  const NodeClaim claim = {.ticket = std::get<Ticket>(plan_.credential),
                           .node_name = plan_.node_name,
                           .csr_pem = csr_pem};
  Backoff backoff(with_.pace);
  while (true) {
    auto grant =
        with_.broker->Claim(claim, std::min(kClaimTimeout, TimeLeft()));
    if (grant.ok()) {
      Tell({"claim",
            fmt::format("the broker gave the bootstrap token {}",
                        grant->token.id().text()),
            {{"token", grant->token.id().text()}}});
      return grant;
    }
    if (!IsWorthAnotherClaim(grant.status())) return Refused(grant.status());
    LATCHKEY_RETURN_IF_ERROR(Pause(
        "claim", grant.status(),
        backoff.Next(
            RetryAfterOf(grant.status()).value_or(absl::ZeroDuration()))));
  }
}

Csr NodeJoiner::Attempt::NewRequest(const BootstrapGrant& grant,
                                    const PrivateKey& key,
                                    const std::string& csr_pem) const {
  // The token is part of the name: a new token for the same machine and key is
  // a new request, made by another user.
  constexpr size_t kDigits = 40;
  const std::string digest = DigestOfParts(
      "latchkey csr name",
      {key.public_key_digest(), grant.token.id().text(), plan_.node_name});
  Csr csr;
  csr.mutable_metadata()->set_name("latchkey-" + digest.substr(0, kDigits));
  (*csr.mutable_metadata()->mutable_annotations())[kRunAnnotation] = run_;
  auto& spec = *csr.mutable_spec();
  spec.set_request(csr_pem);
  spec.set_signer_name(std::string(kSigner));
  spec.add_usages("digital signature");
  spec.add_usages("client auth");
  if (grant.certificate_expiration_seconds > 0) {
    spec.set_expiration_seconds(grant.certificate_expiration_seconds);
  }
  return csr;
}

absl::StatusOr<Csr> NodeJoiner::Attempt::Ask(ClusterSession& session,
                                             const PrivateKey& key, Csr csr) {
  const std::string base_name = csr.metadata().name();
  int dead = 0;
  while (true) {
    LATCHKEY_ASSIGN_OR_RETURN(KubernetesClient* const client, session.Client());
    absl::StatusOr<Csr> answer = client->Create(csr);
    if (answer.ok()) {
      session.Succeeded();
      return answer;
    }
    if (absl::IsAlreadyExists(answer.status())) {
      answer = client->Get<Csr>({"", csr.metadata().name()});
      if (answer.ok()) {
        session.Succeeded();
        if (!IsOurs(*answer, key)) {
          return absl::PermissionDeniedError(fmt::format(
              "there is a certificate request {} already, and it is not of "
              "this key and token",
              csr.metadata().name()));
        }
        // What this run made, and had no answer to, is taken as it is. One
        // that an earlier run left denied or failed has had its answer, and is
        // passed over: what was wrong may have been mended since.
        if (DeathOf(*answer) == nullptr || IsOfThisRun(*answer) ||
            dead >= kMaxDeadRequests) {
          return answer;
        }
        csr.mutable_metadata()->set_name(
            fmt::format("{}-{}", base_name, ++dead + 1));
        continue;
      }
      // Removed in between: the next attempt will make it.
      if (absl::IsNotFound(answer.status())) {
        answer = absl::UnavailableError("the certificate request is gone");
      }
    }
    LATCHKEY_RETURN_IF_ERROR(PauseOrGiveUp(session, "ask", answer.status()));
  }
}

bool NodeJoiner::Attempt::IsOurs(const Csr& found,
                                 const PrivateKey& key) const {
  if (found.spec().username() != requester_ ||
      found.spec().signer_name() != kSigner) {
    return false;
  }
  const auto request = CertificateRequest::Parse(found.spec().request());
  return request.ok() && request->key_digest == key.public_key_digest() &&
         request->common_names ==
             std::vector<std::string>{NodeUserName(plan_.node_name)};
}

bool NodeJoiner::Attempt::IsOfThisRun(const Csr& found) const {
  const auto& annotations = found.metadata().annotations();
  const auto run = annotations.find(kRunAnnotation);
  return run != annotations.end() && run->second == run_;
}

absl::StatusOr<std::string> NodeJoiner::Attempt::Wait(ClusterSession& session,
                                                      Csr csr) {
  const std::string name = csr.metadata().name();
  std::string version = csr.metadata().resource_version();
  for (bool fresh = true;; fresh = false) {
    if (IsDecided(csr)) return OutcomeOf(csr);
    if (TimeLeft() <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          fmt::format("the certificate request {} was not answered within {}",
                      name, absl::FormatDuration(plan_.timeout)));
    }
    LATCHKEY_ASSIGN_OR_RETURN(KubernetesClient* const client, session.Client());
    absl::Status status =
        fresh ? absl::OkStatus() : Reread(*client, csr, version);
    if (status.ok() && !IsDecided(csr)) status = Watch(*client, version, csr);
    if (status.ok()) {
      session.Succeeded();
    } else if (absl::IsNotFound(status)) {
      // Whoever removed it: nothing more will become of this one.
      return absl::UnavailableError(
          fmt::format("the certificate request {} was removed", name));
    } else {
      LATCHKEY_RETURN_IF_ERROR(PauseOrGiveUp(session, "wait", status));
    }
  }
}

// Takes over what is newer of the same object; kNotFound if it is another.
absl::Status NodeJoiner::Attempt::TakeOver(Csr newer, Csr& csr) {
  if (newer.metadata().uid() != csr.metadata().uid()) {
    return absl::NotFoundError("another certificate request has its name");
  }
  csr = std::move(newer);
  return absl::OkStatus();
}

absl::Status NodeJoiner::Attempt::Reread(KubernetesClient& client, Csr& csr,
                                         std::string& version) {
  using CsrList = kubernetes::CertificateSigningRequestList;
  LATCHKEY_ASSIGN_OR_RETURN(
      CsrList list, client.List<CsrList>({.field_selector = SelectorOf(csr)}));
  if (list.items().empty()) return absl::NotFoundError("it is gone");
  version = list.metadata().resource_version();
  return TakeOver(std::move(*list.mutable_items(0)), csr);
}

absl::Status NodeJoiner::Attempt::Watch(KubernetesClient& client,
                                        const std::string& version,
                                        Csr& csr) const {
  LATCHKEY_ASSIGN_OR_RETURN(
      const std::unique_ptr<WatchStream> stream,
      client.WatchObjects(
          kCertificateSigningRequests,
          {.field_selector = SelectorOf(csr), .resource_version = version}));
  while (!IsDecided(csr)) {
    const auto event =
        stream->Next(std::clamp(TimeLeft(), absl::ZeroDuration(), kWatchSlice));
    if (absl::IsDeadlineExceeded(event.status())) return absl::OkStatus();
    LATCHKEY_RETURN_IF_ERROR(event.status());
    if (event->type == WatchEventType::kBookmark) continue;
    if (event->type == WatchEventType::kDeleted) {
      return absl::NotFoundError("it was deleted");
    }
    Csr newer;
    if (!newer.ParseFromString(event->object)) {
      return absl::InternalError("a watch event that does not decode");
    }
    LATCHKEY_RETURN_IF_ERROR(TakeOver(std::move(newer), csr));
  }
  return absl::OkStatus();
}

absl::StatusOr<Certificate> NodeJoiner::Attempt::CheckCertificate(
    const PrivateKey& key, const std::string& pem) const {
  auto certificates = Certificate::ParseAll(pem);
  if (!certificates.ok()) return Refused(certificates.status());
  Certificate& certificate = certificates->front();
  const absl::Status fits = CheckNodeCertificate(
      certificate, key.public_key_digest(), plan_.node_name, with_.clock.Now());
  // A clock may yet be set right.
  if (absl::IsOutOfRange(fits) || absl::IsUnavailable(fits)) {
    return absl::UnavailableError(std::string(fits.message()));
  }
  if (!fits.ok()) {
    return Refused(absl::FailedPreconditionError(
        fmt::format("what the cluster issued is of no use: {}",
                    std::string(fits.message()))));
  }
  return std::move(certificate);
}

absl::Status NodeJoiner::Attempt::Pause(std::string_view step,
                                        const absl::Status& cause,
                                        absl::Duration wait) {
  const std::string message(cause.message());
  if (wait >= TimeLeft()) {
    return absl::DeadlineExceededError(
        fmt::format("not done within {}; at last: {}",
                    absl::FormatDuration(plan_.timeout), message));
  }
  Tell({"retry",
        fmt::format(
            "trying again in {}: {}",
            absl::FormatDuration(absl::Ceil(wait, absl::Milliseconds(1))),
            message),
        {{"of", std::string(step)}, {"reason", ReasonOf(cause)}}});
  with_.pace.Sleep(wait);
  return absl::OkStatus();
}

absl::Status NodeJoiner::Attempt::PauseOrGiveUp(ClusterSession& session,
                                                std::string_view step,
                                                const absl::Status& error) {
  LATCHKEY_ASSIGN_OR_RETURN(const absl::Duration wait, session.Failed(error));
  return Pause(step, error, wait);
}

NodeJoiner::NodeJoiner(JoinPlan plan, Collaborators collaborators)
    : plan_(std::move(plan)), with_(std::move(collaborators)) {}

absl::StatusOr<JoinResult> NodeJoiner::Run() {
  return Attempt(plan_, with_).Run();
}

}  // namespace latchkey
