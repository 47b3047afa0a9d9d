#include "devcluster/http_face.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/strand.hpp>
#include <fmt/format.h>

#include "core/status_macros.h"
#include "devcluster/http_face_connection.h"
#include "devcluster/http_face_tls.h"

namespace latchkey {
namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;

// After an accept that failed for lack of something, such as descriptors.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

size_t MaxConnections(const HttpFaceOptions& options) {
  const auto wanted = static_cast<size_t>(options.max_connections);
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return wanted;
  return std::min<size_t>(wanted, descriptors.rlim_cur / 2);
}

}  // namespace

class HttpFace::Impl {
 public:
  Impl(ApiServer& server, HttpFaceOptions options,
       std::unique_ptr<asio::ssl::context> tls)
      : options_(std::move(options)),
        max_connections_(MaxConnections(options_)),
        handler_(server),
        tls_(std::move(tls)),
        acceptor_(context_),
        pause_(context_) {}

  ~Impl() {
    context_.stop();
    for (std::thread& thread : threads_) thread.join();
    connections_.DropWatches();
  }

  absl::Status Listen() {
    Error error;
    const auto address = asio::ip::make_address(options_.address, error);
    if (error) {
      return absl::InvalidArgumentError(
          fmt::format("{} is not an IP address", options_.address));
    }
    const asio::ip::tcp::endpoint endpoint(address, options_.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) {
      acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    }
    if (!error) acceptor_.bind(endpoint, error);
    if (!error)
      acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (!error) port_ = acceptor_.local_endpoint(error).port();
    if (!error) return absl::OkStatus();
    return absl::UnavailableError(fmt::format("cannot listen on {} port {}: {}",
                                              options_.address, options_.port,
                                              error.message()));
  }

  void Run() {
    Accept();
    for (int i = 0; i < options_.threads; ++i) {
      threads_.emplace_back([this] { Work(); });
    }
  }

  uint16_t port() const { return port_; }

 private:
  void Work() {
    while (true) {
      try {
        context_.run();
        return;
      } catch (const std::exception&) {
        // Memory ran out, most likely. The connection whose handler it was is
        // gone with it; the others are served on.
      }
    }
  }

  void Accept() {
    acceptor_.async_accept(asio::make_strand(context_),
                           [this](Error error, asio::ip::tcp::socket socket) {
                             if (error == asio::error::operation_aborted)
                               return;
                             if (error || !TryAdmit(std::move(socket))) {
                               return PauseAndAccept();
                             }
                             Accept();
                           });
  }

  // False if there is no memory for it: that is no reason not to accept the
  // next one.
  bool TryAdmit(asio::ip::tcp::socket socket) {
    try {
      Admit(std::move(socket));
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

  void PauseAndAccept() {
    pause_.expires_after(kAcceptPause);
    pause_.async_wait([this](Error error) {
      if (!error) Accept();
    });
  }

  // One too many is closed before it costs anything: a Status would cost a
  // handshake.
  void Admit(asio::ip::tcp::socket socket) {
    if (connections_.size() >= max_connections_) {
      return;
    }
    const auto strand = socket.get_executor();
    const auto connection = std::make_shared<HttpConnection>(
        std::move(socket),
        HttpConnection::Shared{handler_, options_, *tls_, connections_});
    asio::dispatch(strand, [connection] { connection->Start(); });
  }

  const HttpFaceOptions options_;
  const size_t max_connections_;
  const RequestHandler handler_;
  const std::unique_ptr<asio::ssl::context> tls_;
  // The connections live in the context's queues: they must find this until the
  // last of them is gone.
  HttpConnections connections_;
  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  uint16_t port_ = 0;
  std::vector<std::thread> threads_;
};

absl::StatusOr<std::unique_ptr<HttpFace>> HttpFace::Start(
    ApiServer& server, HttpFaceOptions options) {
  LATCHKEY_ASSIGN_OR_RETURN(auto tls, MakeTlsContext(options));
  auto impl =
      std::make_unique<Impl>(server, std::move(options), std::move(tls));
  LATCHKEY_RETURN_IF_ERROR(impl->Listen());
  impl->Run();
  return std::unique_ptr<HttpFace>(new HttpFace(std::move(impl)));
}

HttpFace::HttpFace(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpFace::~HttpFace() = default;

uint16_t HttpFace::port() const { return impl_->port(); }

}  // namespace latchkey
