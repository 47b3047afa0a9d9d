// One HTTP request on its way through libcurl: what is common to requests that
// wait for the whole response and to streams.

#ifndef LATCHKEY_CLIENTS_HTTP_CURL_EXCHANGE_H_
#define LATCHKEY_CLIENTS_HTTP_CURL_EXCHANGE_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <curl/curl.h>

#include "clients/http/curl_loop.h"
#include "clients/http/http_client.h"
#include "clients/http/response_head.h"

namespace latchkey {

// A curl_slist over strings of our own: no copies, and wiped at the end, since
// one of them may hold a bearer token.
class CurlHeaderLines {
 public:
  CurlHeaderLines() = default;
  CurlHeaderLines(const CurlHeaderLines&) = delete;
  CurlHeaderLines& operator=(const CurlHeaderLines&) = delete;
  ~CurlHeaderLines();

  void Add(std::string_view name, std::string_view value);
  // For libcurl: send no such header, not even its own.
  void Suppress(std::string_view name);
  // Valid until the next Add().
  curl_slist* list();

 private:
  std::vector<std::string> lines_;
  std::vector<curl_slist> nodes_;
};

// The virtual functions run on the loop's thread; what they touch is read by
// other threads only after they were told so under a lock of the subclass.
class CurlExchange : public CurlTask {
 public:
  // `request.body` is not copied and must live until OnFinished(). `host` is
  // the Host header, if it is not what the URL says.
  CurlExchange(CURL* easy, const HttpRequest& request, std::string url,
               const std::string& host);

  // Makes the easy handle forget this exchange, so that another may use it.
  // Only when the loop has let go of it.
  void Detach();

 protected:
  // The head of the final response is complete.
  virtual void OnHead() = 0;
  // Answers how many bytes were taken, or CURL_WRITEFUNC_PAUSE. Anything else
  // than all ends the exchange.
  virtual size_t OnBody(std::string_view bytes) = 0;

  HttpResponse& response() { return response_; }
  const HttpResponse& response() const { return response_; }
  void NoteTooLarge() { too_large_ = true; }
  // For OnFinished().
  absl::Status StatusOf(CURLcode code) const;

 private:
  static size_t HeaderCallback(char* bytes, size_t size, size_t count,
                               void* self);
  static size_t WriteCallback(char* bytes, size_t size, size_t count,
                              void* self);
  static int BeforeSendingCallback(void* self, char* remote_ip, char* local_ip,
                                   int remote_port, int local_port);

  void SetMethod(const HttpRequest& request);
  void SetHeaders(const HttpRequest& request, const std::string& host);
  bool TakeHeaderLine(std::string_view line);
  bool MayBeSentNow();

  const std::string url_;
  const bool repeatable_;
  const absl::Duration timeout_;
  // Not after what libcurl counts CURLOPT_TIMEOUT_MS from, as the beginning of
  // its CURLINFO_TOTAL_TIME is.
  const std::chrono::steady_clock::time_point begun_ =
      std::chrono::steady_clock::now();
  CurlHeaderLines header_lines_;
  std::array<char, CURL_ERROR_SIZE> error_ = {};

  HttpResponse response_;
  ResponseHead head_{response_};
  bool too_large_ = false;
  int attempts_ = 0;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_HTTP_CURL_EXCHANGE_H_
