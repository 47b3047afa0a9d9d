#include "devcluster/http_face_connection.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <utility>
#include <vector>

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <fmt/format.h>

#include "devcluster/http_face_tls.h"

namespace latchkey {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr size_t kMaxHead = 32 << 10;
constexpr size_t kMaxBody = 3 << 20;
// Of those whom nobody knows: they get no more than an answer.
constexpr size_t kMaxStrangersBody = 64 << 10;
constexpr size_t kReadAtOnce = 8 << 10;
// During a watch, when nothing is expected; there may be thousands of them.
constexpr size_t kDiscardAtOnce = 1 << 10;
// Frames of a watch in one chunk; a larger object is one chunk all the same.
constexpr size_t kChunk = 64 << 10;
// Between requests.
constexpr auto kIdleTimeout = std::chrono::minutes(3);
// For a client to take note of an answer that it did not expect.
constexpr auto kCloseTimeout = std::chrono::seconds(2);

std::string_view View(beast::string_view text) {
  return {text.data(), text.size()};
}

// Clients judge their own clock by it (IMF-fixdate, RFC 9110, 5.6.7).
std::string DateText() {
  return absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::Now(),
                          absl::UTCTimeZone());
}

std::string HeadOf(const HttpAnswer& answer, bool close) {
  const std::string_view reason = View(http::obsolete_reason(
      http::int_to_status(static_cast<unsigned>(answer.code))));
  std::string head = fmt::format(
      "HTTP/1.1 {} {}\r\nCache-Control: no-cache, private\r\n"
      "Date: {}\r\n",
      answer.code, reason, DateText());
  if (!answer.content_type.empty()) {
    head += fmt::format("Content-Type: {}\r\n", answer.content_type);
  }
  if (answer.watch != nullptr) {
    head += "Transfer-Encoding: chunked\r\n";
  } else {
    head += fmt::format("Content-Length: {}\r\n", answer.body.size());
  }
  if (answer.retry_after_seconds > 0) {
    head += fmt::format("Retry-After: {}\r\n", answer.retry_after_seconds);
  }
  if (close) head += "Connection: close\r\n";
  return head + "\r\n";
}

Impersonation ImpersonationOf(const http::fields& headers) {
  constexpr beast::string_view kPrefix = "Impersonate-";
  Impersonation impersonation;
  for (const auto& header : headers) {
    const beast::string_view name = header.name_string();
    if (!beast::iequals(name.substr(0, kPrefix.size()), kPrefix)) continue;
    const beast::string_view what = name.substr(kPrefix.size());
    if (beast::iequals(what, "User")) {
      impersonation.user = View(header.value());
    } else if (beast::iequals(what, "Group")) {
      impersonation.groups.push_back(View(header.value()));
    } else {
      impersonation.more = true;
    }
  }
  return impersonation;
}

}  // namespace

// It knows the strand and not the connection, so that a thread with news never
// is the one that holds, and ends, the connection.
class WatchWaker {
 public:
  WatchWaker(asio::any_io_executor strand,
             std::weak_ptr<HttpConnection> connection)
      : strand_(std::move(strand)), connection_(std::move(connection)) {}

  // However often it is called, one visit at a time is on its way.
  void Wake() {
    const MutexLock lock(mutex_);
    if (!armed_ || on_its_way_) return;
    on_its_way_ = true;
    asio::post(strand_, [connection = connection_] {
      if (const auto it = connection.lock()) it->PumpWatch();
    });
  }
  // The visit is here: what is new after this needs another.
  void Arrived() {
    const MutexLock lock(mutex_);
    on_its_way_ = false;
  }
  // When it returns, nothing is posted any more.
  void Disarm() {
    const MutexLock lock(mutex_);
    armed_ = false;
  }

 private:
  const asio::any_io_executor strand_;
  const std::weak_ptr<HttpConnection> connection_;
  Mutex mutex_;
  bool armed_ ABSL_GUARDED_BY(mutex_) = true;
  bool on_its_way_ ABSL_GUARDED_BY(mutex_) = false;
};

size_t HttpConnections::size() const {
  const MutexLock lock(mutex_);
  return connections_.size();
}

void HttpConnections::Add(HttpConnection* connection) {
  const MutexLock lock(mutex_);
  connections_.insert(connection);
}

void HttpConnections::Remove(HttpConnection* connection) {
  const MutexLock lock(mutex_);
  connections_.erase(connection);
}

void HttpConnections::DropWatches() {
  const MutexLock lock(mutex_);
  for (HttpConnection* connection : connections_) connection->DropWatch();
}

HttpConnection::HttpConnection(asio::ip::tcp::socket socket,
                               const Shared& shared)
    : shared_(shared),
      stream_(beast::tcp_stream(std::move(socket)), shared.tls),
      timer_(stream_.get_executor()) {
  shared_.connections.Add(this);
}

HttpConnection::~HttpConnection() {
  DropWatch();
  shared_.connections.Remove(this);
}

void HttpConnection::Start() {
  Error ignored;
  stream_.next_layer().socket().set_option(asio::ip::tcp::no_delay(true),
                                           ignored);
  // A certificate that is not believed is no reason to hang up: the answer is a
  // 401 then, as of kube-apiserver.
  stream_.set_verify_callback(
      [this](bool good, asio::ssl::verify_context& /*context*/) {
        rejected_ |= !good;
        return true;
      },
      ignored);
  stream_.next_layer().expires_after(
      absl::ToChronoMilliseconds(shared_.options.read_timeout));
  stream_.async_handshake(
      asio::ssl::stream_base::server, [self = shared_from_this()](Error error) {
        if (error) return;
        self->certificate_ =
            ClientCertificateOf(self->stream_.native_handle(), self->rejected_);
        self->AwaitRequest();
      });
}

void HttpConnection::AwaitRequest() {
  parser_.reset();
  if (buffer_.size() > 0) return ReadHead();
  // Whatever a large request has left behind.
  if (buffer_.capacity() > kMaxHead) buffer_.shrink_to_fit();
  stream_.next_layer().expires_after(kIdleTimeout);
  stream_.async_read_some(
      buffer_.prepare(kReadAtOnce),
      [self = shared_from_this()](Error error, size_t count) {
        if (error) return self->Close();
        self->buffer_.commit(count);
        self->ReadHead();
      });
}

void HttpConnection::ReadHead() {
  parser_.emplace();
  parser_->header_limit(kMaxHead);
  parser_->body_limit(max_body_ = kMaxBody);
  stream_.next_layer().expires_after(
      absl::ToChronoMilliseconds(shared_.options.read_timeout));
  http::async_read_header(stream_, buffer_, *parser_,
                          [self = shared_from_this()](Error error, size_t) {
                            self->OnHead(error);
                          });
}

void HttpConnection::OnHead(Error error) {
  if (error) return RefuseUnreadable(error);
  if (parser_->get().version() != 11) {
    return Refuse(505, "HTTPVersionNotSupported", "only HTTP/1.1 is spoken");
  }
  if (!parser_->is_done() && !LimitBody()) {
    return RefuseUnreadable(http::error::body_limit);
  }
  if (!parser_->is_done() &&
      beast::iequals(parser_->get()[http::field::expect], "100-continue")) {
    return Write("HTTP/1.1 100 Continue\r\n\r\n", "", Then::kReadBody);
  }
  ReadBody();
}

// False: the body is said to be longer than its sender's may be.
bool HttpConnection::LimitBody() {
  if (shared_.handler.Knows(certificate_, Header(http::field::authorization))) {
    return true;
  }
  parser_->body_limit(max_body_ = kMaxStrangersBody);
  return parser_->content_length().value_or(0) <= max_body_;
}

void HttpConnection::ReadBody() {
  if (parser_->is_done()) return Serve();
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](Error error, size_t) {
                     self->OnRead(error);
                   });
}

void HttpConnection::OnRead(Error error) {
  if (error) return RefuseUnreadable(error);
  Serve();
}

void HttpConnection::RefuseUnreadable(Error error) {
  if (error == http::error::body_limit) {
    return Refuse(
        413, "RequestEntityTooLarge",
        fmt::format("Request entity too large: limit is {}", max_body_));
  }
  if (error == http::error::header_limit ||
      error == http::error::buffer_overflow) {
    return Refuse(431, "RequestHeaderFieldsTooLarge",
                  "the head of the request, or of a chunk, is too large");
  }
  const bool ended = error == http::error::end_of_stream ||
                     error == http::error::partial_message;
  const bool malformed =
      error.category() == make_error_code(http::error::bad_method).category();
  if (ended || !malformed) return Close();
  Refuse(400, "BadRequest", "the request is no HTTP that can be read");
}

void HttpConnection::Refuse(int code, std::string_view reason,
                            std::string_view message) {
  Send(RequestHandler::Refuse(code, reason, message,
                              Header(http::field::accept)),
       true);
}

std::string_view HttpConnection::Header(http::field field) const {
  return View(parser_->get()[field]);
}

void HttpConnection::Serve() {
  fault_ = {};
  const auto& request = parser_->get();
  if (shared_.options.fault_hook) {
    fault_ = shared_.options.fault_hook(View(request.method_string()),
                                        View(request.target()));
  }
  if (fault_.delay <= absl::ZeroDuration()) return ServeNow();
  stream_.next_layer().expires_never();
  timer_.expires_after(absl::ToChronoNanoseconds(fault_.delay));
  timer_.async_wait([self = shared_from_this()](Error error) {
    if (!error) self->ServeNow();
  });
}

void HttpConnection::ServeNow() {
  const auto& request = parser_->get();
  auto waker =
      std::make_shared<WatchWaker>(stream_.get_executor(), weak_from_this());
  HttpAnswer answer;
  const bool lost = fault_.cut_after == 0U;
  if (fault_.apply || (fault_.code == 0 && !lost)) {
    answer = shared_.handler.Handle(
        {.method = View(request.method_string()),
         .target = View(request.target()),
         .accept = Header(http::field::accept),
         .content_type = Header(http::field::content_type),
         .authorization = Header(http::field::authorization),
         .impersonation = ImpersonationOf(request),
         .body = request.body(),
         .certificate = certificate_,
         .on_change = [waker] { waker->Wake(); }});
  }
  if (fault_.code != 0) {
    answer = HttpAnswer{.code = fault_.code,
                        .content_type = "text/plain; charset=utf-8",
                        .body = "a fault that a test asked for",
                        .retry_after_seconds = fault_.retry_after_seconds};
  }
  if (answer.watch != nullptr) waker_ = std::move(waker);
  Send(std::move(answer), !parser_->keep_alive());
}

void HttpConnection::Send(HttpAnswer answer, bool close) {
  const bool is_watch = answer.watch != nullptr;
  std::string head = HeadOf(answer, close || is_watch);
  // HEAD is answered like the GET that it stands for, less the body.
  if (parser_->get().method() == http::verb::head) answer.body.clear();
  watch_ = std::move(answer.watch);
  Write(std::move(head), std::move(answer.body),
        is_watch ? Then::kWatch
        : close  ? Then::kClose
                 : Then::kReadNext);
}

void HttpConnection::Write(std::string head, std::string body, Then then) {
  head_ = std::move(head);
  body_ = std::move(body);
  if (fault_.cut_after) {
    for (std::string* part : {&head_, &body_}) {
      part->resize(std::min(part->size(), *fault_.cut_after));
      *fault_.cut_after -= part->size();
    }
  }
  writing_ = true;
  stream_.next_layer().expires_after(
      absl::ToChronoMilliseconds(shared_.options.read_timeout));
  const std::array<asio::const_buffer, 2> output = {asio::buffer(head_),
                                                    asio::buffer(body_)};
  asio::async_write(stream_, output,
                    [self = shared_from_this(), then](Error error, size_t) {
                      self->OnWritten(error, then);
                    });
}

void HttpConnection::OnWritten(Error error, Then then) {
  writing_ = false;
  head_ = std::string();
  body_ = std::string();
  if (error || fault_.cut_after == 0U) {
    DropWatch();
    return Cut();
  }
  switch (then) {
    case Then::kReadNext:
      return AwaitRequest();
    case Then::kReadBody:
      return ReadBody();
    case Then::kClose:
      return Close();
    case Then::kWatch:
      return StartWatch();
    case Then::kPump:
      return PumpWatch();
  }
}

void HttpConnection::Close() {
  DropWatch();
  timer_.expires_after(kCloseTimeout);
  timer_.async_wait([weak = weak_from_this()](Error error) {
    if (const auto self = weak.lock(); self != nullptr && !error) self->Cut();
  });
  stream_.async_shutdown([self = shared_from_this()](Error /*error*/) {
    Error ignored;
    self->stream_.next_layer().socket().shutdown(
        asio::ip::tcp::socket::shutdown_send, ignored);
    if (!self->awaiting_hangup_) self->Drain();
  });
}

void HttpConnection::Cut() {
  Error ignored;
  stream_.next_layer().socket().close(ignored);
}

// Closing a socket with something unread in it would reset the connection, and
// could take the answer away from the client. What is read here is not even
// deciphered.
void HttpConnection::Drain() {
  buffer_.clear();
  stream_.next_layer().async_read_some(
      buffer_.prepare(kReadAtOnce),
      [self = shared_from_this()](Error error, size_t) {
        if (!error) self->Drain();
      });
}

void HttpConnection::StartWatch() {
  parser_.reset();
  if (watch_ == nullptr) return;
  timer_.expires_after(absl::ToChronoNanoseconds(watch_->timeout()));
  timer_.async_wait([weak = weak_from_this()](Error error) {
    if (const auto self = weak.lock(); self != nullptr && !error) {
      self->EndWatch();
    }
  });
  stream_.next_layer().expires_never();
  AwaitHangup();
  PumpWatch();
}

// Whatever a client sends during a watch, it is not waited for: the connection
// ends with the watch.
void HttpConnection::AwaitHangup() {
  buffer_.clear();
  awaiting_hangup_ = true;
  stream_.async_read_some(buffer_.prepare(kDiscardAtOnce),
                          [self = shared_from_this()](Error error, size_t) {
                            self->awaiting_hangup_ = false;
                            if (self->watch_ == nullptr) return;
                            if (!error) return self->AwaitHangup();
                            self->DropWatch();
                          });
}

void HttpConnection::PumpWatch() {
  try {
    SendChanges();
  } catch (const std::exception&) {
    // What was read from the watch and not sent is lost: the client must not
    // take what follows for all there is.
    DropWatch();
    Cut();
  }
}

void HttpConnection::SendChanges() {
  if (waker_ != nullptr) waker_->Arrived();
  if (watch_ == nullptr || writing_) return;
  std::string frames;
  watch_over_ |= !watch_->Read(kChunk, frames);
  std::string size;
  if (!frames.empty()) {
    size = fmt::format("{:x}\r\n", frames.size());
    frames += "\r\n";
  }
  if (watch_over_) frames += "0\r\n\r\n";
  if (frames.empty()) return;
  Write(std::move(size), std::move(frames),
        watch_over_ ? Then::kClose : Then::kPump);
}

void HttpConnection::EndWatch() {
  watch_over_ = true;
  PumpWatch();
}

void HttpConnection::DropWatch() {
  if (waker_ != nullptr) waker_->Disarm();
  watch_.reset();
  timer_.cancel();
}

}  // namespace latchkey
