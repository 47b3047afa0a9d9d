#include "devcluster/controllers.h"

#include <algorithm>
#include <set>
#include <string>

#include "devcluster/bootstrap_signer.h"
#include "devcluster/csr_cleaner.h"
#include "devcluster/csr_signer.h"
#include "devcluster/stock_approver.h"
#include "devcluster/token_cleaner.h"
#include "devcluster/watched_objects.h"

namespace latchkey {
namespace {

constexpr absl::Duration kRetryAfter = absl::Seconds(1);
// A watch that ends is opened anew; this only keeps that from being often.
constexpr absl::Duration kWatchTime = absl::Hours(1);

// Whether it is worth trying again. What has changed or gone meanwhile comes
// back by the watch.
bool MustTryAgain(const absl::Status& status) {
  return !status.ok() && !absl::IsAborted(status) && !absl::IsNotFound(status);
}

}  // namespace

class Controllers::Impl {
 public:
  Impl(KubernetesClient& client, const CertificateAuthority& ca,
       const Clock& clock, const ControllerOptions& options)
      : client_(client),
        clock_(clock),
        options_(options),
        csrs_(client, {.timeout = kWatchTime}),
        secrets_(client, {.name_space = "kube-system",
                          .field_selector = "type=bootstrap.kubernetes.io/"
                                            "token",
                          .timeout = kWatchTime}),
        cluster_info_(client, {.name_space = "kube-public",
                               .field_selector = "metadata.name=cluster-info",
                               .timeout = kWatchTime}),
        approver_(client),
        signer_(client, ca, clock, options.signing_duration),
        token_cleaner_(client),
        bootstrap_signer_(client),
        next_csr_cleaning_(clock.Now() + kCsrCleaningInterval) {}

  absl::Time Step() {
    const absl::Time now = clock_.Now();
    wake_ = absl::InfiniteFuture();
    Watch(csrs_.Refresh(csrs_to_do_));
    std::set<std::string> changed;
    Watch(secrets_.Refresh(changed));
    Watch(cluster_info_.Refresh(info_to_do_));
    HandleCsrs();
    CleanCsrs(now);
    for (const std::string& name : changed) NoteSecret(name);
    CleanTokens(now);
    SignClusterInfo(now);
    return std::min({wake_, next_csr_cleaning_, token_cleaner_.NextDue()});
  }

 private:
  // An error of looking is tried again soon.
  void Watch(const absl::Status& status) {
    if (!status.ok()) wake_ = clock_.Now() + kRetryAfter;
  }
  // Whether `status` ends the work on something.
  bool IsDone(const absl::Status& status) {
    if (!MustTryAgain(status)) return true;
    wake_ = clock_.Now() + kRetryAfter;
    return false;
  }

  void HandleCsrs() {
    std::erase_if(csrs_to_do_, [&](const std::string& name) {
      const auto* csr = csrs_.Find(name);
      if (csr == nullptr) return true;
      const bool judged =
          !options_.stock_approver || IsDone(approver_.Handle(*csr));
      return IsDone(signer_.Handle(*csr)) && judged;
    });
  }

  void CleanCsrs(absl::Time now) {
    if (now < next_csr_cleaning_) return;
    next_csr_cleaning_ = now + kCsrCleaningInterval;
    for (const auto& [name, csr] : csrs_.all()) {
      if (!IsOutdated(csr, now)) continue;
      client_
          .Delete<kubernetes::CertificateSigningRequest>(
              {"", name}, {.uid = csr.metadata().uid()})
          .IgnoreError();  // the next round tries again
    }
  }

  void NoteSecret(const std::string& name) {
    const kubernetes::Secret* secret = secrets_.Find(name);
    if (secret != nullptr) token_cleaner_.Note(*secret);
    bootstrap_signer_.Note(name, secret);
    info_to_do_.insert(std::string(kClusterInfoName));
  }

  void CleanTokens(absl::Time now) {
    tokens_to_do_.merge(token_cleaner_.TakeDue(now));
    std::erase_if(tokens_to_do_, [&](const std::string& name) {
      const kubernetes::Secret* secret = secrets_.Find(name);
      return secret == nullptr || IsDone(token_cleaner_.Handle(*secret, now));
    });
  }

  void SignClusterInfo(absl::Time now) {
    const auto* info = cluster_info_.Find(std::string(kClusterInfoName));
    if (info_to_do_.empty() || info == nullptr) return;
    if (IsDone(bootstrap_signer_.Handle(*info, now))) info_to_do_.clear();
  }

  KubernetesClient& client_;
  const Clock& clock_;
  const ControllerOptions options_;
  WatchedObjects<kubernetes::CertificateSigningRequest,
                 kubernetes::CertificateSigningRequestList>
      csrs_;
  WatchedObjects<kubernetes::Secret, kubernetes::SecretList> secrets_;
  WatchedObjects<kubernetes::ConfigMap, kubernetes::ConfigMapList>
      cluster_info_;
  StockApprover approver_;
  CsrSigner signer_;
  TokenCleaner token_cleaner_;
  BootstrapSigner bootstrap_signer_;

  std::set<std::string> csrs_to_do_;
  std::set<std::string> tokens_to_do_;
  std::set<std::string> info_to_do_;
  absl::Time next_csr_cleaning_;
  absl::Time wake_ = absl::InfiniteFuture();
};

Controllers::Controllers(KubernetesClient& client,
                         const CertificateAuthority& ca, const Clock& clock,
                         const ControllerOptions& options)
    : impl_(std::make_unique<Impl>(client, ca, clock, options)) {}

Controllers::~Controllers() = default;

absl::Time Controllers::Step() { return impl_->Step(); }

}  // namespace latchkey
