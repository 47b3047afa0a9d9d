#include "clients/http/curl_exchange.h"

#include <utility>

#include <fmt/format.h>

#include "clients/http/curl_status.h"

namespace latchkey {
namespace {

// libcurl counts whole milliseconds, and one too many where a second ends.
constexpr absl::Duration kEarly = absl::Milliseconds(1);

}  // namespace

CurlHeaderLines::~CurlHeaderLines() {
  for (std::string& line : lines_) Wipe(line);
}

void CurlHeaderLines::Add(std::string_view name, std::string_view value) {
  std::string line;
  // In one piece: growing would leave unwiped copies behind.
  line.reserve(name.size() + 2 + value.size());
  line.append(name).append(": ").append(value);
  lines_.push_back(std::move(line));
}

void CurlHeaderLines::Suppress(std::string_view name) {
  lines_.push_back(fmt::format("{}:", name));
}

curl_slist* CurlHeaderLines::list() {
  nodes_.assign(lines_.size(), curl_slist{});
  for (size_t i = 0; i < lines_.size(); ++i) {
    nodes_[i].data = lines_[i].data();
    nodes_[i].next = i + 1 < nodes_.size() ? &nodes_[i + 1] : nullptr;
  }
  return nodes_.empty() ? nullptr : nodes_.data();
}

CurlExchange::CurlExchange(CURL* easy, const HttpRequest& request,
                           std::string url, const std::string& host)
    : CurlTask(easy),
      url_(std::move(url)),
      repeatable_(request.method == "GET" || request.method == "HEAD"),
      timeout_(request.timeout) {
  curl_easy_setopt(easy, CURLOPT_URL, url_.c_str());
  SetMethod(request);
  SetHeaders(request, host);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_.data());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &HeaderCallback);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &WriteCallback);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &BeforeSendingCallback);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
}

void CurlExchange::Detach() {
  curl_easy_setopt(easy(), CURLOPT_ERRORBUFFER, nullptr);
  curl_easy_setopt(easy(), CURLOPT_HTTPHEADER, nullptr);
}

void CurlExchange::SetMethod(const HttpRequest& request) {
  const bool has_body = !request.body.empty() || request.method == "POST" ||
                        request.method == "PUT";
  if (has_body) {
    curl_easy_setopt(easy(), CURLOPT_POST, 1L);
    curl_easy_setopt(easy(), CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy(), CURLOPT_POSTFIELDS, request.body.data());
  } else {
    curl_easy_setopt(easy(), CURLOPT_POSTFIELDS, nullptr);
    curl_easy_setopt(easy(), CURLOPT_HTTPGET, 1L);
  }
  curl_easy_setopt(easy(), CURLOPT_NOBODY, request.method == "HEAD" ? 1L : 0L);
  curl_easy_setopt(easy(), CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

void CurlExchange::SetHeaders(const HttpRequest& request,
                              const std::string& host) {
  for (const auto& [name, value] : request.headers) {
    header_lines_.Add(name, value);
  }
  if (!host.empty()) header_lines_.Add("host", host);
  if (!request.bearer_token.empty()) {
    std::string value = "Bearer ";
    value.reserve(value.size() + request.bearer_token.size());
    value.append(request.bearer_token.Reveal());
    header_lines_.Add("authorization", value);
    Wipe(value);
  }
  // What libcurl would add to a body of its own accord.
  if (!request.headers.contains("content-type")) {
    header_lines_.Suppress("content-type");
  }
  header_lines_.Suppress("expect");
  curl_easy_setopt(easy(), CURLOPT_HTTPHEADER, header_lines_.list());
}

size_t CurlExchange::HeaderCallback(char* bytes, size_t size, size_t count,
                                    void* self) {
  const std::string_view line(bytes, size * count);
  const bool taken = static_cast<CurlExchange*>(self)->TakeHeaderLine(line);
  return taken ? line.size() : 0;
}

size_t CurlExchange::WriteCallback(char* bytes, size_t size, size_t count,
                                   void* self) {
  return static_cast<CurlExchange*>(self)->OnBody({bytes, size * count});
}

int CurlExchange::BeforeSendingCallback(void* self, char* /*remote_ip*/,
                                        char* /*local_ip*/, int /*remote_port*/,
                                        int /*local_port*/) {
  return static_cast<CurlExchange*>(self)->MayBeSentNow()
             ? CURL_PREREQFUNC_OK
             : CURL_PREREQFUNC_ABORT;
}

bool CurlExchange::TakeHeaderLine(std::string_view line) {
  const ResponseHead::Taken taken = head_.Take(line);
  if (taken == ResponseHead::Taken::kEnd) OnHead();
  too_large_ |= taken == ResponseHead::Taken::kTooMuch;
  return taken != ResponseHead::Taken::kTooMuch;
}

// libcurl sends a request again by itself when a connection that it had used
// before ends without an answer, whatever the method. But the server may have
// acted before it went: sent twice, a create would report AlreadyExists and an
// update Conflict for what it did itself. So a write gets one attempt.
bool CurlExchange::MayBeSentNow() {
  ++attempts_;
  return attempts_ == 1 || repeatable_;
}

absl::Status CurlExchange::StatusOf(CURLcode code) const {
  const auto passed = std::chrono::steady_clock::now() - begun_;
  return StatusOfCurl(
      {.code = code,
       .detail = error_.data(),
       .sent = attempts_ > 0,
       .out_of_time = absl::FromChrono(passed) > timeout_ - kEarly,
       .too_large = too_large_,
       .not_repeatable = attempts_ > 1 && !repeatable_});
}

}  // namespace latchkey
