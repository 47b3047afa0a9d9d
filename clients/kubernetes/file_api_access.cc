#include "clients/kubernetes/file_api_access.h"

#include <cstdlib>
#include <optional>
#include <utility>

#include "clients/http/curl_http_client.h"
#include "clients/kubernetes/kubeconfig.h"
#include "clients/log/event_log.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(1);

std::optional<std::string> FromEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

FileApiAccess::ClientFactory CurlFactory(const std::string& user_agent) {
  return [user_agent](const ApiCredentials& credentials)
             -> absl::StatusOr<std::shared_ptr<HttpClient>> {
    CurlHttpClientOptions options;
    options.base_url = credentials.server;
    options.ca_pem = credentials.ca_pem;
    options.client_certificate_pem = credentials.client_certificate_pem;
    options.client_key_pem = credentials.client_key_pem;
    options.tls_server_name = credentials.tls_server_name;
    options.user_agent = user_agent;
    return CurlHttpClient::Create(std::move(options));
  };
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileApiAccess>> FileApiAccess::Create(
    Options options, const Clock& clock) {
  if (options.make_client == nullptr) {
    options.make_client = CurlFactory(options.user_agent);
  }
  std::unique_ptr<FileApiAccess> access(
      new FileApiAccess(std::move(options), clock));
  const MutexLock lock(access->mutex_);
  LATCHKEY_RETURN_IF_ERROR(access->Load());
  return access;
}

FileApiAccess::FileApiAccess(Options options, const Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

std::shared_ptr<const ApiSession> FileApiAccess::Current() {
  const MutexLock lock(mutex_);
  const absl::Time now = clock_.Now();
  // A clock that was set back must not keep us from looking.
  if (now - looked_ >= kLookInterval || now < looked_) LoadIfChanged();
  return session_;
}

bool FileApiAccess::Renew(const ApiSession& rejected) {
  const MutexLock lock(mutex_);
  if (session_.get() == &rejected) LoadIfChanged();
  return session_.get() != &rejected;
}

std::string FileApiAccess::server() const {
  const MutexLock lock(mutex_);
  return credentials_.server;
}

std::string FileApiAccess::certificate_authorities() const {
  const MutexLock lock(mutex_);
  return credentials_.ca_pem;
}

void FileApiAccess::LoadIfChanged() {
  looked_ = clock_.Now();
  if (!files_.AnyChanged()) return;
  if (const absl::Status status = Load(); !status.ok()) {
    LogEvent(LogLevel::kWarning, "kubernetes credentials not reloaded",
             {{"error", std::string(status.message())}});
  }
}

absl::Status FileApiAccess::Load() {
  looked_ = clock_.Now();
  // Each file is noted before it is read, whatever comes of reading it: the
  // next change is what makes it worth reading again.
  files_.Note(options_.kubeconfig_path);
  WatchedFiles files;
  files.Note(options_.kubeconfig_path);
  LATCHKEY_ASSIGN_OR_RETURN(const ApiServerConfig config,
                            options_.kubeconfig_path.empty()
                                ? InClusterConfig(FromEnvironment)
                                : LoadKubeconfig(options_.kubeconfig_path));
  for (const ConfiguredBytes* source :
       {&config.certificate_authority, &config.client_certificate,
        &config.client_key, &config.token}) {
    files.Note(source->path);
  }
  files_ = std::move(files);
  LATCHKEY_ASSIGN_OR_RETURN(ApiCredentials credentials,
                            ReadCredentials(config));
  return Adopt(std::move(credentials));
}

absl::Status FileApiAccess::Adopt(ApiCredentials credentials) {
  if (session_ != nullptr && credentials == credentials_) {
    return absl::OkStatus();
  }
  ApiSession session;
  session.bearer_token = credentials.token;
  if (session_ != nullptr && credentials.SameConnection(credentials_)) {
    session.http = session_->http;
  } else {
    LATCHKEY_ASSIGN_OR_RETURN(session.http, options_.make_client(credentials));
  }
  const bool first = session_ == nullptr;
  // Requests under way keep the old session, and with it the old connections.
  session_ = std::make_shared<const ApiSession>(std::move(session));
  credentials_ = std::move(credentials);
  if (!first) LogEvent(LogLevel::kInfo, "kubernetes credentials reloaded");
  return absl::OkStatus();
}

}  // namespace latchkey
