// What all easy handles of a client have in common.

#ifndef LATCHKEY_CLIENTS_HTTP_CURL_SETTINGS_H_
#define LATCHKEY_CLIENTS_HTTP_CURL_SETTINGS_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "clients/http/curl_http_client.h"
#include "clients/http/curl_stream.h"
#include "core/mutex.h"

namespace latchkey {

// The URL of an HTTPS server, taken apart.
struct HttpsUrl {
  std::string host;  // an IPv6 address in brackets
  int port = 443;
  std::string path;  // without a slash at the end

  // kInvalidArgument unless it is https://host[:port][/path].
  static absl::StatusOr<HttpsUrl> Parse(std::string_view text);
};

// Makes easy handles and keeps used ones: a handle remembers TLS sessions, and
// setting one up takes longer than the rest of a request. Safe for concurrent
// use; must outlive its handles.
class CurlHandles {
 public:
  static absl::StatusOr<std::unique_ptr<CurlHandles>> Create(
      CurlHttpClientOptions options);

  CurlHandles(const CurlHandles&) = delete;
  CurlHandles& operator=(const CurlHandles&) = delete;
  ~CurlHandles();

  enum class Use { kRequest, kStream };
  // Never null: ends the program if there is no memory, as operator new would.
  CurlEasyPtr Take(Use use);
  // Gives back a handle that was taken for a request.
  void GiveBack(CurlEasyPtr easy);

  // The URL of a target, and the Host header if it is another than the URL's.
  std::string UrlOf(std::string_view target) const {
    return url_ + std::string(target);
  }
  const std::string& host_header() const { return host_header_; }

 private:
  CurlHandles(CurlHttpClientOptions options, const HttpsUrl& url);
  CurlEasyPtr Make(Use use) const;
  void SetTls(CURL* easy, Use use) const;
  void SetConnection(CURL* easy) const;

  const CurlHttpClientOptions options_;
  std::string url_;
  std::string host_header_;
  // CURLOPT_CONNECT_TO; empty unless the server's name is not its address.
  std::string connect_to_;
  mutable curl_slist connect_to_node_ = {};

  Mutex mutex_;
  std::vector<CurlEasyPtr> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_HTTP_CURL_SETTINGS_H_
