#include "server/cluster_files.h"

#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "clients/files/read_file.h"
#include "clients/log/event_log.h"
#include "core/status_macros.h"
#include "crypto/certificate.h"

namespace latchkey {

namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(1);

// `file`: empty, if they come with the broker's own credentials.
absl::Status CheckAuthorities(const std::string& pem, const std::string& file) {
  const absl::Status parsed = Certificate::ParseAll(pem).status();
  if (parsed.ok()) return parsed;
  return absl::InvalidArgumentError(fmt::format(
      "{}: {}",
      file.empty() ? "the authorities of the broker's own credentials, which "
                     "machines get without cluster.ca_file"
                   : file,
      std::string(parsed.message())));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ClusterFiles>> ClusterFiles::Create(
    const BrokerConfig& config, std::shared_ptr<const FileApiAccess> own,
    const Clock& clock) {
  std::unique_ptr<ClusterFiles> files(
      new ClusterFiles(config, std::move(own), clock));
  const MutexLock lock(files->mutex_);
  LATCHKEY_ASSIGN_OR_RETURN(files->seen_, files->ReadAuthorities());
  LATCHKEY_RETURN_IF_ERROR(CheckAuthorities(files->seen_, files->ca_file_));
  files->authorities_ = files->seen_;
  return files;
}

ClusterFiles::ClusterFiles(const BrokerConfig& config,
                           std::shared_ptr<const FileApiAccess> own,
                           const Clock& clock)
    : api_servers_(config.api_servers),
      ca_file_(config.cluster_ca_file),
      name_(config.cluster_name),
      own_(std::move(own)),
      clock_(clock) {}

ClusterEndpoints ClusterFiles::Current() {
  const MutexLock lock(mutex_);
  const absl::Time now = clock_.Now();
  // A clock that was set back must not keep us from looking.
  if (now - looked_ >= kLookInterval || now < looked_) {
    looked_ = now;
    Look();
  }
  return {.api_servers = api_servers_.empty()
                             ? std::vector<std::string>{own_->server()}
                             : api_servers_,
          .certificate_authorities = authorities_,
          .name = name_};
}

absl::StatusOr<std::string> ClusterFiles::ReadAuthorities() {
  if (ca_file_.empty()) return own_->certificate_authorities();
  files_.Note(ca_file_);  // before it is read: a change meanwhile is noticed
  return ReadFileBounded(ca_file_, Certificate::kMaxPemBytes);
}

void ClusterFiles::Look() {
  if (!ca_file_.empty() && !files_.AnyChanged()) return;
  absl::StatusOr<std::string> read = ReadAuthorities();
  absl::Status usable = read.status();
  if (usable.ok()) {
    if (*read == seen_) return;
    seen_ = *std::move(read);
    usable = CheckAuthorities(seen_, ca_file_);
  }
  if (usable.ok()) {
    authorities_ = seen_;
    LogEvent(LogLevel::kInfo, "cluster authorities reloaded");
  } else {
    LogEvent(LogLevel::kWarning, "cluster authorities not reloaded",
             {{"error", std::string(usable.message())}});
  }
}

}  // namespace latchkey
