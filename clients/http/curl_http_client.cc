#include "clients/http/curl_http_client.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "clients/http/curl_exchange.h"
#include "clients/http/curl_loop.h"
#include "clients/http/curl_settings.h"
#include "clients/http/curl_stream.h"
#include "clients/http/http_status.h"
#include "core/mutex.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

// A declared length is believed up to here; the rest must arrive to be counted.
constexpr size_t kMaxReserved = 1 << 20;

// A request whose whole response is waited for.
class SendExchange final : public CurlExchange {
 public:
  SendExchange(CURL* easy, const HttpRequest& request, std::string url,
               const std::string& host)
      : CurlExchange(easy, request, std::move(url), host),
        max_bytes_(request.max_response_bytes) {}

  // Once.
  absl::Status Await() {
    const MutexLock lock(mutex_);
    while (!finished_) done_.Wait(mutex_);
    // Moved, not shared: the loop may let go of this exchange later, and Abseil
    // as packaged is not instrumented, so TSan would not see its count.
    return std::move(result_);
  }
  // After Await() succeeded.
  HttpResponse TakeResponse() { return std::move(response()); }

  void OnFinished(CURLcode code) override {
    {
      const MutexLock lock(mutex_);
      result_ = StatusOf(code);
      finished_ = true;
    }
    done_.SignalOne();
  }

 private:
  void OnHead() override {
    const auto length = response().headers.find("content-length");
    if (length == response().headers.end()) return;
    const size_t declared = std::strtoull(length->second.c_str(), nullptr, 10);
    response().body.reserve(std::min({declared, max_bytes_, kMaxReserved}));
  }
  size_t OnBody(std::string_view bytes) override {
    std::string& body = response().body;
    if (bytes.size() > max_bytes_ - body.size()) {
      NoteTooLarge();
      return 0;
    }
    body.append(bytes);
    return bytes.size();
  }

  const size_t max_bytes_;
  Mutex mutex_;
  CondVar done_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status result_ ABSL_GUARDED_BY(mutex_);
};

// An exchange of a stream, with all that must live as long as it.
struct OwnedStream {
  OwnedStream(std::shared_ptr<CurlHandles> owner, const HttpRequest& sent)
      : handles(std::move(owner)),
        request(sent),
        easy(handles->Take(CurlHandles::Use::kStream)),
        exchange(easy.get(), request, handles->UrlOf(request.target),
                 handles->host_header()) {
    curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, 0L);
  }
  OwnedStream(const OwnedStream&) = delete;
  OwnedStream& operator=(const OwnedStream&) = delete;
  ~OwnedStream() { exchange.Detach(); }

  const std::shared_ptr<CurlHandles> handles;
  const HttpRequest request;  // the exchange sends its body
  const CurlEasyPtr easy;
  CurlStreamExchange exchange;
};

// A handle keeps this from one request to the next: to be set back.
void ReportCertificates(CURL* easy, bool on) {
  curl_easy_setopt(easy, CURLOPT_CERTINFO, on ? 1L : 0L);
  // Only a handshake shows certificates.
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, on ? 1L : 0L);
}

std::string ReportedCertificates(CURL* easy) {
  constexpr std::string_view kField = "Cert:";
  curl_certinfo* chain = nullptr;
  std::string pem;
  if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK ||
      chain == nullptr) {
    return pem;
  }
  for (int i = 0; i < chain->num_of_certs; ++i) {
    for (const curl_slist* at = chain->certinfo[i]; at != nullptr;
         at = at->next) {
      const std::string_view text = at->data;
      if (!text.starts_with(kField)) continue;
      pem.append(text.substr(kField.size())).append("\n");
    }
  }
  return pem;
}

long TimeoutMilliseconds(absl::Duration timeout) {
  const absl::Duration bounded =
      std::clamp(timeout, absl::Milliseconds(1), absl::Hours(24));
  return static_cast<long>(
      absl::ToInt64Milliseconds(absl::Ceil(bounded, absl::Milliseconds(1))));
}

absl::Status CheckRequest(const HttpRequest& request) {
  if (!request.target.starts_with('/')) {
    return absl::InvalidArgumentError("a target must begin with '/'");
  }
  if (request.timeout <= absl::ZeroDuration()) {
    return MarkNotSent(absl::DeadlineExceededError("no time left to send"));
  }
  if (request.stop.stop_requested()) {
    return MarkNotSent(absl::CancelledError("stopped before it was sent"));
  }
  return absl::OkStatus();
}

}  // namespace

struct CurlHttpClient::State {
  // Shared with streams, which may outlive their client. The loop goes first:
  // it may still use the handles.
  std::shared_ptr<CurlHandles> handles;
  std::shared_ptr<CurlLoop> loop;
};

absl::StatusOr<std::unique_ptr<CurlHttpClient>> CurlHttpClient::Create(
    CurlHttpClientOptions options) {
  const long max_connections = options.max_connections;
  LATCHKEY_ASSIGN_OR_RETURN(auto handles,
                            CurlHandles::Create(std::move(options)));
  LATCHKEY_ASSIGN_OR_RETURN(auto loop, CurlLoop::Create(max_connections));
  auto state = std::make_unique<State>();
  state->handles = std::move(handles);
  state->loop = std::move(loop);
  return std::unique_ptr<CurlHttpClient>(new CurlHttpClient(std::move(state)));
}

CurlHttpClient::CurlHttpClient(std::unique_ptr<State> state)
    : state_(std::move(state)) {}

CurlHttpClient::~CurlHttpClient() = default;

absl::StatusOr<HttpResponse> CurlHttpClient::Send(const HttpRequest& request) {
  LATCHKEY_RETURN_IF_ERROR(CheckRequest(request));
  CurlHandles& handles = *state_->handles;
  CurlEasyPtr easy = handles.Take(CurlHandles::Use::kRequest);
  curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS,
                   TimeoutMilliseconds(request.timeout));
  if (request.report_server_certificates) ReportCertificates(easy.get(), true);
  const auto exchange = std::make_shared<SendExchange>(
      easy.get(), request, handles.UrlOf(request.target),
      handles.host_header());
  state_->loop->Begin(exchange);
  absl::Status status;
  {
    const std::stop_callback on_stop(request.stop,
                                     [&] { state_->loop->End(exchange); });
    status = exchange->Await();
  }
  std::string certificates;
  if (request.report_server_certificates) {
    certificates = ReportedCertificates(easy.get());
    ReportCertificates(easy.get(), false);
  }
  exchange->Detach();
  handles.GiveBack(std::move(easy));
  if (!status.ok()) return status;
  HttpResponse response = exchange->TakeResponse();
  response.server_certificates_pem = std::move(certificates);
  return response;
}

absl::StatusOr<std::unique_ptr<HttpStream>> CurlHttpClient::OpenStream(
    const HttpRequest& request) {
  LATCHKEY_RETURN_IF_ERROR(CheckRequest(request));
  const auto owned = std::make_shared<OwnedStream>(state_->handles, request);
  const std::shared_ptr<CurlStreamExchange> exchange(owned, &owned->exchange);
  // From here on the stream's destructor ends the exchange.
  auto stream = std::make_unique<CurlStream>(state_->loop, exchange);
  state_->loop->Begin(exchange);
  // It may be called until the end of this function, when `stream` is empty.
  const std::stop_callback on_stop(
      request.stop, [opening = stream.get()] { opening->Cancel(); });
  LATCHKEY_RETURN_IF_ERROR(exchange->AwaitHead(request.timeout));
  return stream;
}

}  // namespace latchkey
