// One connection of the HTTP face. For http_face*.cc only.

#ifndef LATCHKEY_DEVCLUSTER_HTTP_FACE_CONNECTION_H_
#define LATCHKEY_DEVCLUSTER_HTTP_FACE_CONNECTION_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "core/mutex.h"
#include "devcluster/http_face.h"
#include "devcluster/request_handler.h"

namespace latchkey {

class HttpConnection;

// The connections that exist. Safe for concurrent use.
class HttpConnections {
 public:
  size_t size() const;
  void Add(HttpConnection* connection);
  void Remove(HttpConnection* connection);
  // Ends what reaches into the connections from other threads. For when no
  // thread runs the connections any more.
  void DropWatches();

 private:
  mutable Mutex mutex_;
  std::set<HttpConnection*> connections_ ABSL_GUARDED_BY(mutex_);
};

// Wakes a connection from whatever thread has news for its watch.
class WatchWaker;

// Reads requests and writes answers, one after the other, on its strand. It is
// kept alive by the operation that it waits for; when there is none, it is
// gone.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  using Error = boost::system::error_code;

  struct Shared {
    const RequestHandler& handler;
    const HttpFaceOptions& options;
    boost::asio::ssl::context& tls;
    HttpConnections& connections;
  };

  // The socket's executor is the strand. All in `shared` must outlive this.
  HttpConnection(boost::asio::ip::tcp::socket socket, const Shared& shared);
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;
  ~HttpConnection();

  // On the strand.
  void Start();
  // On the strand, or when nothing runs there any more.
  void DropWatch();
  // On the strand: there may be something to send.
  void PumpWatch();

 private:
  using Parser =
      boost::beast::http::request_parser<boost::beast::http::string_body>;
  // What follows a write.
  enum class Then { kReadNext, kReadBody, kClose, kWatch, kPump };

  void AwaitRequest();
  void ReadHead();
  void OnHead(Error error);
  bool LimitBody();
  void ReadBody();
  void OnRead(Error error);
  void Serve();
  void ServeNow();
  void Refuse(int code, std::string_view reason, std::string_view message);
  void RefuseUnreadable(Error error);
  void Send(HttpAnswer answer, bool close);
  // `head`, then `body`: two, so that a large one is not copied for it.
  void Write(std::string head, std::string body, Then then);
  void OnWritten(Error error, Then then);
  void Close();
  void Cut();
  void Drain();

  void StartWatch();
  void AwaitHangup();
  void EndWatch();
  void SendChanges();

  std::string_view Header(boost::beast::http::field field) const;

  const Shared shared_;
  boost::asio::ssl::stream<boost::beast::tcp_stream> stream_;
  boost::asio::steady_timer timer_;
  // The parser's limits are on heads and bodies. What else may come, between
  // the chunks of a body and after them, is bounded by what fits in here.
  boost::beast::flat_buffer buffer_{size_t{128} << 10};
  std::optional<Parser> parser_;
  size_t max_body_ = 0;    // of the request that is being read
  bool rejected_ = false;  // said the verification of its certificate
  ClientCertificate certificate_;
  HttpFaceOptions::Fault fault_;
  std::string head_, body_;  // being written

  std::shared_ptr<WatchWaker> waker_;
  std::unique_ptr<WatchBody> watch_;
  bool watch_over_ = false;
  bool writing_ = false;
  bool awaiting_hangup_ = false;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_HTTP_FACE_CONNECTION_H_
