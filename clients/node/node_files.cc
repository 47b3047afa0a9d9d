#include "clients/node/node_files.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <absl/strings/escaping.h>
#include <fmt/format.h>

#include "clients/files/durable_file.h"
#include "clients/files/read_file.h"
#include "clients/node/node_certificate.h"
#include "core/config_reader.h"
#include "core/fault_point.h"
#include "core/secret_string.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

constexpr std::string_view kFilePrefix = "kubelet-client-";
constexpr std::string_view kFileSuffix = ".pem";
constexpr std::string_view kCurrent = "kubelet-client-current.pem";
constexpr std::string_view kKey = "latchkey-join.key";
constexpr std::string_view kLock = "latchkey-join.lock";

constexpr size_t kMaxCredentialBytes = 256 << 10;

std::string FolderOf(const std::string& path) {
  return path.substr(0, std::max<size_t>(path.rfind('/'), 1));
}

// The private key's block of `pem`, which holds certificates too; empty if
// there is none.
std::string_view PrivateKeyBlock(std::string_view pem) {
  constexpr std::string_view kLabelEnd = "PRIVATE KEY-----";
  constexpr std::string_view kBegin = "-----BEGIN ";
  constexpr std::string_view kEnd = "-----END ";
  const size_t label = pem.find(kLabelEnd);
  if (label == std::string_view::npos) return {};
  const size_t begin = pem.rfind(kBegin, label);
  const size_t end = pem.find(kEnd, label);
  if (begin == std::string_view::npos || end == std::string_view::npos) {
    return {};
  }
  const size_t last = pem.find(kLabelEnd, end);
  if (last == std::string_view::npos) return {};
  return pem.substr(begin, last + kLabelEnd.size() - begin);
}

// In YAML's single quotes. The text has no line break.
std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

// As the kubelet itself writes it.
std::string KubeconfigFor(const NodeCredential& credential,
                          const std::string& current) {
  return fmt::format(
      R"(apiVersion: v1
kind: Config
clusters:
- name: default-cluster
  cluster:
    server: {}
    certificate-authority-data: {}
users:
- name: default-auth
  user:
    client-certificate: {}
    client-key: {}
contexts:
- name: default-context
  context:
    cluster: default-cluster
    namespace: default
    user: default-auth
current-context: default-context
)",
      Quoted(credential.api_server), absl::Base64Escape(credential.ca_pem),
      Quoted(current), Quoted(current));
}

std::string WithNewline(std::string_view text) {
  std::string lines(text);
  if (!lines.empty() && lines.back() != '\n') lines += '\n';
  return lines;
}

absl::Status CheckNotInTheWay(const std::string& path, bool link_wanted) {
  struct stat info = {};
  if (lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return absl::InternalError(
        fmt::format("{}: {}", path, std::generic_category().message(errno)));
  }
  if (S_ISDIR(info.st_mode) || (link_wanted && !S_ISLNK(info.st_mode))) {
    return absl::FailedPreconditionError(
        fmt::format("{}: is not a {}; move it away", path,
                    link_wanted ? "symbolic link" : "file"));
  }
  return absl::OkStatus();
}

// A file that cannot be read now, for want of descriptors or for a disk that
// fails, may be all that it should be.
absl::Status Unread(const absl::Status& why) {
  const std::string what(why.message());
  return absl::IsInternal(why) ? absl::UnavailableError(what)
                               : absl::NotFoundError(what);
}

}  // namespace

NodeFiles::NodeFiles(NodeFilePaths paths) : paths_(std::move(paths)) {}

std::string NodeFiles::InCertDir(std::string_view name) const {
  return fmt::format("{}/{}", paths_.cert_dir, name);
}

absl::StatusOr<Certificate> NodeFiles::CheckCredentialFile(
    const std::string& path, std::string_view node_name, absl::Time now) const {
  const auto unfit = [&path](const absl::Status& why) {
    const std::string what =
        fmt::format("{}: {}", path, std::string(why.message()));
    return absl::IsUnavailable(why) ? absl::UnavailableError(what)
                                    : absl::NotFoundError(what);
  };
  auto content = ReadFileBounded(path, kMaxCredentialBytes);
  if (!content.ok()) return Unread(content.status());
  const SecretString pem(*content);
  Wipe(*content);
  const auto certificates = Certificate::ParseAll(pem.Reveal());
  if (!certificates.ok()) return unfit(certificates.status());
  const auto key = PrivateKey::FromPem(PrivateKeyBlock(pem.Reveal()));
  if (!key.ok()) return unfit(key.status());
  const Certificate& certificate = certificates->front();
  const absl::Status fits = CheckNodeCertificate(
      certificate, key->public_key_digest(), node_name, now);
  if (!fits.ok()) return unfit(fits);
  return certificate;
}

// OK if the kubeconfig has a user with our credential. What else it says is the
// operator's to change.
absl::Status NodeFiles::CheckKubeconfig() const {
  const auto text =
      ReadFileBounded(paths_.kubeconfig, ConfigDocument::kMaxBytes);
  if (!text.ok()) return Unread(text.status());
  const auto document = ConfigDocument::Parse(paths_.kubeconfig, *text);
  if (!document.ok()) {
    return absl::NotFoundError(std::string(document.status().message()));
  }
  const std::string current = InCertDir(kCurrent);
  for (const ConfigReader& user : (*document)->root().Sections("users")) {
    if (user.Section("user").String("client-certificate", "") == current) {
      return absl::OkStatus();
    }
  }
  return absl::NotFoundError(
      fmt::format("{}: has no user with the client-certificate {}",
                  paths_.kubeconfig, current));
}

absl::StatusOr<Certificate> NodeFiles::FindCredential(
    std::string_view node_name, absl::Time now) const {
  auto certificate = CheckCredentialFile(InCertDir(kCurrent), node_name, now);
  if (absl::IsNotFound(certificate.status())) return certificate;
  LATCHKEY_RETURN_IF_ERROR(CheckKubeconfig());
  return certificate;
}

absl::StatusOr<std::shared_ptr<void>> NodeFiles::TryLock() {
  LATCHKEY_RETURN_IF_ERROR(EnsureDirectory(paths_.cert_dir));
  LATCHKEY_ASSIGN_OR_RETURN(FileLock lock,
                            FileLock::TryAcquire(InCertDir(kLock)));
  return std::make_shared<FileLock>(std::move(lock));
}

absl::Status NodeFiles::Prepare() {
  LATCHKEY_RETURN_IF_ERROR(CheckNotInTheWay(InCertDir(kCurrent), true));
  LATCHKEY_RETURN_IF_ERROR(CheckNotInTheWay(paths_.kubeconfig, false));
  LATCHKEY_RETURN_IF_ERROR(CheckNotInTheWay(paths_.ca_file, false));
  for (const std::string& folder :
       {paths_.cert_dir, FolderOf(paths_.kubeconfig),
        FolderOf(paths_.ca_file)}) {
    LATCHKEY_RETURN_IF_ERROR(EnsureDirectory(folder));
    LATCHKEY_RETURN_IF_ERROR(RemoveLeftovers(folder));
    LATCHKEY_RETURN_IF_ERROR(ProbeDirectory(folder));
  }
  return absl::OkStatus();
}

absl::StatusOr<Certificate> NodeFiles::Recover(std::string_view node_name,
                                               absl::Time now) {
  LATCHKEY_RETURN_IF_ERROR(CheckKubeconfig());
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(
      opendir(paths_.cert_dir.c_str()), closedir);
  if (dir == nullptr) return absl::NotFoundError("no folder of certificates");
  std::optional<Certificate> newest;
  std::string newest_path;
  absl::Status none = absl::NotFoundError("no credential to recover");
  while (const dirent* entry = readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name.substr(0, kFilePrefix.size()) != kFilePrefix || name == kCurrent) {
      continue;
    }
    const std::string path = InCertDir(name);
    auto certificate = CheckCredentialFile(path, node_name, now);
    if (absl::IsUnavailable(certificate.status())) none = certificate.status();
    if (!certificate.ok()) continue;
    if (newest && newest->not_before >= certificate->not_before) continue;
    newest = *std::move(certificate);
    newest_path = path;
  }
  if (!newest) return none;
  LATCHKEY_RETURN_IF_ERROR(MakeCurrent(newest_path));
  return *std::move(newest);
}

absl::StatusOr<PrivateKey> NodeFiles::LoadOrCreateKey(KeyType type) {
  const std::string path = InCertDir(kKey);
  auto content = ReadFileBounded(path, PrivateKey::kMaxPemBytes);
  if (content.ok()) {
    const SecretString pem(*content);
    Wipe(*content);
    auto key = PrivateKey::FromPem(pem.Reveal());
    if (key.ok()) return key;
    return absl::FailedPreconditionError(fmt::format(
        "{}: is damaged: {}; a ticket may be bound to its key, so it is not "
        "replaced: move it away to join with a new key",
        path, std::string(key.status().message())));
  }
  if (!absl::IsNotFound(content.status())) return content.status();

  LATCHKEY_ASSIGN_OR_RETURN(PrivateKey key, PrivateKey::Generate(type));
  LATCHKEY_RETURN_IF_ERROR(WriteFileDurably(path, key.ToPem().Reveal(), 0600));
  return key;
}

absl::Status NodeFiles::Install(const NodeCredential& credential,
                                absl::Time now) {
  const std::string current = InCertDir(kCurrent);
  LATCHKEY_RETURN_IF_ERROR(
      WriteFileDurably(paths_.ca_file, WithNewline(credential.ca_pem), 0644));
  FaultPoint("node_files.ca_written");
  LATCHKEY_RETURN_IF_ERROR(WriteFileDurably(
      paths_.kubeconfig, KubeconfigFor(credential, current), 0600));
  FaultPoint("node_files.kubeconfig_written");

  const std::string path = InCertDir(fmt::format(
      "{}{}{}", kFilePrefix,
      absl::FormatTime("%Y-%m-%d-%H-%M-%S", now, absl::LocalTimeZone()),
      kFileSuffix));
  const SecretString key_pem = credential.key.ToPem();
  std::string pem = WithNewline(credential.certificates_pem);
  // Room for all: growing would leave a copy of the key behind.
  pem.reserve(pem.size() + key_pem.size());
  pem += key_pem.Reveal();
  const absl::Status written = WriteFileDurably(path, pem, 0600);
  Wipe(pem);
  LATCHKEY_RETURN_IF_ERROR(written);
  FaultPoint("node_files.credential_written");

  return MakeCurrent(path);
}

absl::Status NodeFiles::MakeCurrent(const std::string& path) {
  // The key lives on in `path`. The link is last: once it is there, no run
  // comes back to tidy up.
  LATCHKEY_RETURN_IF_ERROR(RemoveFile(InCertDir(kKey)));
  FaultPoint("node_files.key_removed");
  LATCHKEY_RETURN_IF_ERROR(SwapSymlink(InCertDir(kCurrent), path));
  FaultPoint("node_files.current_swapped");
  return absl::OkStatus();
}

}  // namespace latchkey
