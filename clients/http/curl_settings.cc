#include "clients/http/curl_settings.h"

#include <sys/socket.h>

#include <charconv>
#include <new>
#include <utility>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace latchkey {
namespace {

// Go's HTTP servers, the API server among them, close connections that have
// been idle for 90 s; a request that meets the closing is lost.
constexpr long kMaxIdleSeconds = 60;
// Behind a load balancer, a server that came back gets its share again.
constexpr long kMaxLifetimeSeconds = 600;
// A peer that went away without a word is noticed within half a minute.
constexpr long kKeepAliveIdleSeconds = 15;
constexpr long kKeepAliveIntervalSeconds = 5;
constexpr int kUnacknowledgedMilliseconds = 30'000;
// Idle handles beyond this are not kept.
constexpr size_t kMaxIdleHandles = 128;

int SetSocketOptions(void* /*unused*/, curl_socket_t socket,
                     curlsocktype /*purpose*/) {
  // Keep-alive probes are only sent on an idle connection; this ends one on
  // which data stays unacknowledged. Best effort.
  const int milliseconds = kUnacknowledgedMilliseconds;
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds,
             sizeof milliseconds);
  return CURL_SOCKOPT_OK;
}

// libcurl does not change what a NOCOPY blob points to.
curl_blob BlobOf(std::string_view bytes) {
  return {.data = const_cast<char*>(bytes.data()),
          .len = bytes.size(),
          .flags = CURL_BLOB_NOCOPY};
}

bool IsHostCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool IsHost(std::string_view host) {
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty()) return false;
  for (const char c : host) {
    if (!IsHostCharacter(c) && !(bracketed && c == ':')) return false;
  }
  return true;
}

bool ParsePort(std::string_view text, int& port) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() &&
         port >= 1 && port <= 65535;
}

}  // namespace

absl::StatusOr<HttpsUrl> HttpsUrl::Parse(std::string_view text) {
  constexpr std::string_view kScheme = "https://";
  const auto bad = absl::InvalidArgumentError(
      "not a URL of the form https://host[:port][/path]");
  if (!text.starts_with(kScheme)) return bad;
  text.remove_prefix(kScheme.size());
  for (const char c : text) {
    // What would change the meaning of the rest: queries, fragments, users.
    if (c <= ' ' || c > '~' || c == '?' || c == '#' || c == '@' || c == '\\') {
      return bad;
    }
  }
  HttpsUrl url;
  const size_t slash = text.find('/');
  std::string_view authority = text.substr(0, slash);
  if (slash != std::string_view::npos) url.path = text.substr(slash);
  while (url.path.ends_with('/')) url.path.pop_back();

  const size_t colon = authority.rfind(':');
  const size_t bracket = authority.rfind(']');
  const bool has_port = colon != std::string_view::npos &&
                        (bracket == std::string_view::npos || colon > bracket);
  if (has_port) {
    if (!ParsePort(authority.substr(colon + 1), url.port)) return bad;
    authority = authority.substr(0, colon);
  }
  if (!IsHost(authority)) return bad;
  url.host = authority;
  return url;
}

absl::StatusOr<std::unique_ptr<CurlHandles>> CurlHandles::Create(
    CurlHttpClientOptions options) {
  auto url = HttpsUrl::Parse(options.base_url);
  if (!url.ok()) return url.status();
  if (options.client_certificate_pem.empty() !=
      options.client_key_pem.empty()) {
    return absl::InvalidArgumentError(
        "a client certificate needs its key, and a key its certificate");
  }
  if (!options.tls_server_name.empty() && !IsHost(options.tls_server_name)) {
    return absl::InvalidArgumentError("the TLS server name is not a host name");
  }
  return std::unique_ptr<CurlHandles>(
      new CurlHandles(std::move(options), *url));
}

// To expect another name than the address has, the URL holds the name and
// CURLOPT_CONNECT_TO the address; the Host header stays as if nothing were.
CurlHandles::CurlHandles(CurlHttpClientOptions options, const HttpsUrl& url)
    : options_(std::move(options)) {
  const std::string& name = options_.tls_server_name;
  if (name.empty()) {
    url_ = fmt::format("https://{}:{}{}", url.host, url.port, url.path);
    return;
  }
  url_ = fmt::format("https://{}:{}{}", name, url.port, url.path);
  host_header_ = fmt::format("{}:{}", url.host, url.port);
  connect_to_ = fmt::format("{}:{}:{}:{}", name, url.port, url.host, url.port);
  connect_to_node_.data = connect_to_.data();
}

CurlHandles::~CurlHandles() = default;

CurlEasyPtr CurlHandles::Take(Use use) {
  if (use == Use::kRequest) {
    const MutexLock lock(mutex_);
    if (!idle_.empty()) {
      CurlEasyPtr easy = std::move(idle_.back());
      idle_.pop_back();
      return easy;
    }
  }
  return Make(use);
}

void CurlHandles::GiveBack(CurlEasyPtr easy) {
  const MutexLock lock(mutex_);
  if (idle_.size() < kMaxIdleHandles) idle_.push_back(std::move(easy));
}

CurlEasyPtr CurlHandles::Make(Use use) const {
  CurlEasyPtr easy(curl_easy_init());
  if (easy == nullptr) throw std::bad_alloc();
  SetTls(easy.get(), use);
  SetConnection(easy.get());
  return easy;
}

void CurlHandles::SetTls(CURL* easy, Use use) const {
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  // Connections are shared only between handles with equal TLS settings. The
  // upper bound says nothing new; it keeps requests off a stream's connection.
  const bool own_connection =
      use == Use::kStream &&
      options_.protocol == CurlHttpClientOptions::Protocol::kHttp2;
  const long least = CURL_SSLVERSION_TLSv1_2;
  const long most = own_connection ? long{CURL_SSLVERSION_MAX_TLSv1_3} : 0;
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, least | most);
  if (own_connection) {
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  }
  if (!options_.ca_pem.empty()) {
    const curl_blob ca = BlobOf(options_.ca_pem);
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &ca);
    // The blob takes the place of the file only: unless told otherwise, libcurl
    // would trust the system's folder of certificates too.
    curl_easy_setopt(easy, CURLOPT_CAINFO, nullptr);
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  }
  if (!options_.client_certificate_pem.empty()) {
    const curl_blob certificate = BlobOf(options_.client_certificate_pem);
    const curl_blob key = BlobOf(options_.client_key_pem.Reveal());
    curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &certificate);
    curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
  }
}

void CurlHandles::SetConnection(CURL* easy) const {
  const bool http2 =
      options_.protocol == CurlHttpClientOptions::Protocol::kHttp2;
  const long version = http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, version);
  // Wait for a connection that is being made rather than make another.
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, http2 ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, options_.user_agent.c_str());
  if (!options_.proxy_from_environment) {
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
  }
  if (!connect_to_.empty()) {
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, &connect_to_node_);
  }
  curl_easy_setopt(
      easy, CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(absl::ToInt64Milliseconds(options_.connect_timeout)));
  curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, kMaxIdleSeconds);
  curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, kMaxLifetimeSeconds);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, kKeepAliveIdleSeconds);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, kKeepAliveIntervalSeconds);
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, &SetSocketOptions);
}

}  // namespace latchkey
