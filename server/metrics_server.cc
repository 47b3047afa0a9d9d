#include "server/metrics_server.h"

#include <civetweb.h>

#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>

namespace latchkey {

struct MetricsServer::State {
  Answers answers;
  mg_context* context = nullptr;
  int port = 0;
};

namespace {

constexpr char kText[] = "text/plain; charset=utf-8";
constexpr char kPrometheusText[] = "text/plain; version=0.0.4; charset=utf-8";

int Answer(mg_connection* connection, int code, std::string_view phrase,
           std::string_view type, std::string_view body) {
  const std::string head = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n"
      "Connection: close\r\nX-Content-Type-Options: nosniff\r\n\r\n",
      code, phrase, type, body.size());
  mg_write(connection, head.data(), head.size());
  mg_write(connection, body.data(), body.size());
  return code;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const std::string& listen, Answers answers) {
  static const unsigned initialized = mg_init_library(MG_FEATURES_DEFAULT);
  static_cast<void>(initialized);
  auto state = std::make_unique<State>();
  state->answers = std::move(answers);
  const std::array<const char*, 15> options = {"listening_ports",
                                               listen.c_str(),
                                               "num_threads",
                                               "2",
                                               "connection_queue",
                                               "8",
                                               "listen_backlog",
                                               "16",
                                               "request_timeout_ms",
                                               "10000",
                                               "max_request_size",
                                               "4096",
                                               "enable_keep_alive",
                                               "no",
                                               nullptr};
  mg_callbacks callbacks = {};
  // Nothing of it goes to standard error by itself.
  callbacks.log_message = [](const mg_connection*, const char*) { return 1; };
  state->context =
      mg_start(&callbacks, nullptr, const_cast<const char**>(options.data()));
  mg_server_port port = {};
  if (state->context == nullptr ||
      mg_get_server_ports(state->context, 1, &port) != 1) {
    if (state->context != nullptr) mg_stop(state->context);
    return absl::UnavailableError(fmt::format(
        "cannot listen on {}: is the port taken, or the address not ours?",
        listen));
  }
  state->port = port.port;
  // For every path: nothing here is a file.
  mg_set_request_handler(
      state->context, "**",
      [](mg_connection* connection, void* data) {
        const auto& own = *static_cast<const State*>(data);
        const mg_request_info& request = *mg_get_request_info(connection);
        const std::string_view path =
            request.local_uri == nullptr ? "" : request.local_uri;
        if (std::strcmp(request.request_method, "GET") != 0) {
          return Answer(connection, 405, "Method Not Allowed", kText,
                        "only GET\n");
        }
        if (path == "/metrics") {
          return Answer(connection, 200, "OK", kPrometheusText,
                        own.answers.metrics());
        }
        if (path == "/healthz") {
          return Answer(connection, 200, "OK", kText, "ok\n");
        }
        if (path == "/readyz") {
          return own.answers.ready()
                     ? Answer(connection, 200, "OK", kText, "ready\n")
                     : Answer(connection, 503, "Service Unavailable", kText,
                              "not ready\n");
        }
        return Answer(connection, 404, "Not Found", kText, "not found\n");
      },
      state.get());
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));
}

MetricsServer::MetricsServer(std::unique_ptr<State> state)
    : state_(std::move(state)) {}

MetricsServer::~MetricsServer() { mg_stop(state_->context); }

int MetricsServer::port() const { return state_->port; }

}  // namespace latchkey
