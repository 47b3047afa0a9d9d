#include "devcluster/dev_cluster.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/mutex.h"
#include "core/status_macros.h"
#include "devcluster/bootstrap_signer.h"
#include "devcluster/cluster_authority.h"
#include "devcluster/kubeconfig_text.h"
#include "devcluster/local_kubernetes_client.h"

namespace latchkey {
namespace {

constexpr absl::Duration kBookmarkInterval = absl::Minutes(1);
// The clock may jump; this is how soon the controllers see it.
constexpr absl::Duration kLongestNap = absl::Seconds(1);

// Makes the folder, for its owner alone; one that is there is left as it is.
absl::Status EnsurePrivateFolder(const std::string& path) {
  std::error_code error;
  if (std::filesystem::create_directories(path, error)) {
    std::filesystem::permissions(path, std::filesystem::perms::owner_all,
                                 error);
  }
  if (!error) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("{}: cannot make the folder: {}", path, error.message()));
}

absl::StatusOr<std::unique_ptr<ObjectStore>> OpenStore(
    const DevClusterOptions& options) {
  if (options.data_dir.empty()) return MakeMemoryObjectStore();
  return OpenObjectDatabase(options.data_dir + "/objects.db");
}

absl::StatusOr<CertificateAuthority> OpenAuthority(
    const DevClusterOptions& options, absl::Time now) {
  if (options.data_dir.empty()) return CreateClusterAuthority(now);
  return KeptClusterAuthority(options.data_dir, now);
}

// Where clients on this machine find a server that listens on `address`.
std::string HostOf(const std::string& address) {
  if (address == "0.0.0.0") return "127.0.0.1";
  if (address == "::") return "[::1]";
  return address.find(':') == std::string::npos ? address
                                                : fmt::format("[{}]", address);
}

absl::StatusOr<IssuedIdentity> IssueServerCertificate(
    const CertificateAuthority& ca, const std::string& address,
    absl::Time now) {
  std::vector<std::string> addresses = {"127.0.0.1", "::1"};
  if (std::find(addresses.begin(), addresses.end(), address) ==
      addresses.end()) {
    addresses.push_back(address);
  }
  return ca.Issue(
      {.common_name = "kube-apiserver",
       .dns_names = {"localhost", "kubernetes", "kubernetes.default.svc"},
       .ip_addresses = std::move(addresses),
       .not_before = now - absl::Hours(1),
       .not_after = now + absl::Hours(365 * 24),
       .server_auth = true});
}

// Publishes where the cluster is; signatures of another text go.
absl::Status PublishClusterInfo(KubernetesClient& client,
                                const std::string& kubeconfig) {
  auto info =
      client.Get<kubernetes::ConfigMap>({"kube-public", "cluster-info"});
  if (!info.ok() && !absl::IsNotFound(info.status())) return info.status();
  if (info.ok() && info->data().count("kubeconfig") == 1 &&
      info->data().at("kubeconfig") == kubeconfig) {
    return absl::OkStatus();
  }
  kubernetes::ConfigMap wanted;
  if (info.ok()) wanted = *std::move(info);
  wanted.mutable_metadata()->set_namespace_("kube-public");
  wanted.mutable_metadata()->set_name(std::string(kClusterInfoName));
  wanted.mutable_data()->clear();
  (*wanted.mutable_data())["kubeconfig"] = kubeconfig;
  if (wanted.metadata().uid().empty()) return client.Create(wanted).status();
  return client.Update(wanted).status();
}

}  // namespace

class DevCluster::Impl {
 public:
  Impl(const Clock& clock, std::unique_ptr<ObjectStore> store,
       CertificateAuthority ca, const DevClusterOptions& options)
      : clock_(clock),
        store_(std::move(store)),
        ca_(std::move(ca)),
        api_(*store_, clock,
             {.stock_approver = options.controllers.stock_approver}),
        client_(MakeLocalKubernetesClient(api_, AdminUser())),
        controllers_(*client_, ca_, clock, options.controllers) {}

  ~Impl() {
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
    }
    wake_.SignalAll();
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Start(const DevClusterOptions& options) {
    const absl::Time now = clock_.Now();
    LATCHKEY_ASSIGN_OR_RETURN(
        IssuedIdentity identity,
        IssueServerCertificate(ca_, options.address, now));
    LATCHKEY_ASSIGN_OR_RETURN(
        face_,
        HttpFace::Start(api_,
                        {.address = options.address,
                         .port = options.port,
                         .certificate_pem = std::move(identity.certificate_pem),
                         .private_key_pem = std::move(identity.private_key_pem),
                         .client_ca_pem = ca_.certificate_pem(),
                         .fault_hook = options.fault_hook}));
    url_ = fmt::format("https://{}:{}", HostOf(options.address), face_->port());
    LATCHKEY_RETURN_IF_ERROR(PublishClusterInfo(
        *client_, ClusterInfoKubeconfig(url_, ca_.certificate_pem())));
    listener_ = store_->Listen([this] {
      {
        const MutexLock lock(mutex_);
        changed_ = true;
      }
      wake_.SignalAll();
    });
    thread_ = std::thread([this] { RunControllers(); });
    return absl::OkStatus();
  }

  absl::StatusOr<IssuedIdentity> IssueClientCertificate(
      const User& user, absl::Duration lifetime) const {
    const absl::Time now = clock_.Now();
    std::vector<std::string> organizations = user.groups;
    // What every user gets on its way in.
    std::erase(organizations, "system:authenticated");
    return ca_.Issue({.common_name = user.name,
                      .organizations = std::move(organizations),
                      .not_before = now - absl::Minutes(5),
                      .not_after = now + lifetime,
                      .client_auth = true});
  }

  const std::string& url() const { return url_; }
  const CertificateAuthority& ca() const { return ca_; }
  ApiServer& api() { return api_; }
  ObjectStore& store() { return *store_; }

 private:
  void RunControllers() {
    absl::Time next_bookmarks = clock_.Now() + kBookmarkInterval;
    absl::Time next;
    do {
      next = controllers_.Step();
      if (clock_.Now() >= next_bookmarks) {
        api_.SendBookmarks();
        next_bookmarks = clock_.Now() + kBookmarkInterval;
      }
    } while (AwaitWork(std::min(next, next_bookmarks)));
  }

  // False if it is over.
  bool AwaitWork(absl::Time next) {
    const MutexLock lock(mutex_);
    while (!stopping_ && !changed_) {
      const absl::Duration left = next - clock_.Now();
      if (left <= absl::ZeroDuration()) break;
      wake_.WaitFor(mutex_, std::min(left, kLongestNap));
    }
    changed_ = false;
    return !stopping_;
  }

  const Clock& clock_;
  const std::unique_ptr<ObjectStore> store_;
  const CertificateAuthority ca_;
  ApiServer api_;
  const std::unique_ptr<KubernetesClient> client_;
  Controllers controllers_;
  std::unique_ptr<HttpFace> face_;
  std::string url_;

  Mutex mutex_;
  CondVar wake_;
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<void> listener_;  // calls us: goes before what it uses
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<DevCluster>> DevCluster::Start(
    const DevClusterOptions& options, const Clock& clock) {
  if (!options.data_dir.empty()) {
    LATCHKEY_RETURN_IF_ERROR(EnsurePrivateFolder(options.data_dir));
  }
  // First: it keeps a second process out of the folder.
  LATCHKEY_ASSIGN_OR_RETURN(std::unique_ptr<ObjectStore> store,
                            OpenStore(options));
  LATCHKEY_ASSIGN_OR_RETURN(CertificateAuthority ca,
                            OpenAuthority(options, clock.Now()));
  auto impl =
      std::make_unique<Impl>(clock, std::move(store), std::move(ca), options);
  LATCHKEY_RETURN_IF_ERROR(impl->Start(options));
  return std::unique_ptr<DevCluster>(new DevCluster(std::move(impl)));
}

DevCluster::DevCluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

DevCluster::~DevCluster() = default;

const std::string& DevCluster::url() const { return impl_->url(); }
const CertificateAuthority& DevCluster::ca() const { return impl_->ca(); }
ApiServer& DevCluster::api() { return impl_->api(); }
ObjectStore& DevCluster::store() { return impl_->store(); }

absl::StatusOr<IssuedIdentity> DevCluster::IssueClientCertificate(
    const User& user, absl::Duration lifetime) const {
  return impl_->IssueClientCertificate(user, lifetime);
}

absl::StatusOr<SecretString> DevCluster::KubeconfigFor(
    const User& user, absl::Duration lifetime) const {
  LATCHKEY_ASSIGN_OR_RETURN(const IssuedIdentity identity,
                            IssueClientCertificate(user, lifetime));
  return ClientKubeconfig(url(), ca().certificate_pem(), identity);
}

}  // namespace latchkey
