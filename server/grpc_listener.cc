#include "server/grpc_listener.h"

#include <dlfcn.h>

#include <chrono>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <fmt/format.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "clients/files/read_file.h"
#include "core/status_macros.h"
#include "crypto/certificate.h"
#include "crypto/private_key.h"

namespace latchkey {
namespace {

constexpr unsigned kReloadSeconds = 5;
constexpr int kMaxMetadataBytes = 16 * 1024;
constexpr int kMaxStreamsPerConnection = 128;
// A peer that vanished is found by this; one that pings more often than this is
// told to go away.
constexpr int kKeepaliveMs = 2 * 60'000;
constexpr int kKeepaliveTimeoutMs = 20'000;
constexpr int kShortestPingMs = 20'000;
// What gRPC may hold for all connections of a port.
constexpr size_t kMaxBufferedBytes = 64 << 20;
constexpr auto kDrainTime = std::chrono::seconds(5);

absl::Status InFile(const std::string& path, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::InvalidArgumentError(
      fmt::format("{}: {}", path, std::string(status.message())));
}

// gRPC itself would accept bad files and then fail every handshake.
absl::Status CheckFiles(const ListenerConfig& config,
                        ClientCertificates clients) {
  LATCHKEY_ASSIGN_OR_RETURN(
      const std::string certificate,
      ReadFileBounded(config.certificate_file, Certificate::kMaxPemBytes));
  const auto chain = Certificate::ParseAll(certificate);
  LATCHKEY_RETURN_IF_ERROR(InFile(config.certificate_file, chain.status()));
  LATCHKEY_ASSIGN_OR_RETURN(
      std::string key_text,
      ReadFileBounded(config.private_key_file, Certificate::kMaxPemBytes));
  const auto key = PrivateKey::FromPem(key_text);
  Wipe(key_text);
  LATCHKEY_RETURN_IF_ERROR(InFile(config.private_key_file, key.status()));
  if (key->public_key_digest() != chain->front().key_digest) {
    return absl::InvalidArgumentError(
        fmt::format("{}: not the private key of the certificate in {}",
                    config.private_key_file, config.certificate_file));
  }
  if (clients == ClientCertificates::kNotAsked) return absl::OkStatus();
  LATCHKEY_ASSIGN_OR_RETURN(
      const std::string authorities,
      ReadFileBounded(config.client_ca_file, Certificate::kMaxPemBytes));
  return InFile(config.client_ca_file,
                Certificate::ParseAll(authorities).status());
}

grpc_ssl_client_certificate_request_type RequestOf(ClientCertificates clients) {
  switch (clients) {
    case ClientCertificates::kRequired:
      return GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
    case ClientCertificates::kOptional:
      return GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY;
    case ClientCertificates::kNotAsked:
      break;
  }
  return GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
}

std::shared_ptr<grpc::ServerCredentials> CredentialsOf(
    const ListenerConfig& config, ClientCertificates clients) {
  using grpc::experimental::FileWatcherCertificateProvider;
  const bool asked = clients != ClientCertificates::kNotAsked;
  const auto provider =
      asked ? std::make_shared<FileWatcherCertificateProvider>(
                  config.private_key_file, config.certificate_file,
                  config.client_ca_file, kReloadSeconds)
            : std::make_shared<FileWatcherCertificateProvider>(
                  config.private_key_file, config.certificate_file,
                  kReloadSeconds);
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  if (asked) options.watch_root_certs();
  options.set_cert_request_type(RequestOf(clients));
  return grpc::experimental::TlsServerCredentials(options);
}

int Millis(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

void LimitConnections(const GrpcListenerOptions& options,
                      grpc::ServerBuilder& builder) {
  const std::pair<const char*, int> limits[] = {
      {GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Millis(options.handshake_time)},
      {GRPC_ARG_MAX_CONNECTION_IDLE_MS, Millis(options.idle_time)},
      {GRPC_ARG_MAX_CONNECTION_AGE_MS, Millis(options.greatest_age)},
      {GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Millis(options.grace)},
      {GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs},
      {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs},
      {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kShortestPingMs},
      {GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2},
  };
  for (const auto& [name, value] : limits) {
    builder.AddChannelArgument(name, value);
  }
}

}  // namespace

absl::Status EnableReflection() {
  // The library turns reflection on for every server of the process as it is
  // loaded, so it cannot be linked.
  if (dlopen(LATCHKEY_REFLECTION_LIBRARY, RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return absl::InvalidArgumentError(fmt::format(
        "reflection: {} is not installed", LATCHKEY_REFLECTION_LIBRARY));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<GrpcListener>> GrpcListener::Start(
    const ListenerConfig& config, ClientCertificates clients,
    grpc::Service& service, GrpcListenerOptions options) {
  LATCHKEY_RETURN_IF_ERROR(CheckFiles(config, clients));
  // Debian's Abseil looks for deadlocks at each of gRPC's locks, which costs a
  // tenth of a call.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  // Shared, since the gate's std::function must be one that can be copied.
  const std::shared_ptr<grpc::experimental::ExternalConnectionAcceptor>
      acceptor = builder.experimental().AddExternalConnectionAcceptor(
          grpc::ServerBuilder::experimental_type::ExternalConnectionType::
              FROM_FD,
          CredentialsOf(config, clients));
  builder.SetMaxReceiveMessageSize(options.max_request_bytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             kMaxStreamsPerConnection);
  LimitConnections(options, builder);
  // gRPC counts the bytes before it inflates them: a small message could become
  // a huge one. Nothing here is worth compressing.
  for (const auto algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder.SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  grpc::ResourceQuota quota;
  quota.Resize(kMaxBufferedBytes);
  builder.SetResourceQuota(quota);
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) {
    return absl::InternalError(
        fmt::format("gRPC did not start for {}", config.listen));
  }
  server->GetHealthCheckService()->SetServingStatus(false);
  LATCHKEY_ASSIGN_OR_RETURN(
      std::unique_ptr<ConnectionGate> gate,
      ConnectionGate::Start(
          config.listen, {.limits = options.connections,
                          .name = options.name,
                          .user_timeout_ms = kKeepaliveTimeoutMs,
                          .take =
                              [acceptor](int fd) {
                                grpc::experimental::ExternalConnectionAcceptor::
                                    NewConnectionParameters connection;
                                connection.fd = fd;
                                acceptor->HandleNewConnection(&connection);
                              },
                          .on_refused = std::move(options.on_refused)}));
  return std::unique_ptr<GrpcListener>(
      new GrpcListener(std::move(server), std::move(gate)));
}

GrpcListener::GrpcListener(std::unique_ptr<grpc::Server> server,
                           std::unique_ptr<ConnectionGate> gate)
    : server_(std::move(server)), gate_(std::move(gate)) {}

GrpcListener::~GrpcListener() {
  RefuseNewCalls();
  drain_.join();
}

void GrpcListener::RefuseNewCalls() {
  if (drain_.joinable()) return;
  drain_ = std::jthread([this] {
    // First: a server that shuts down does not close what it is given.
    gate_->Close();
    server_->Shutdown(std::chrono::system_clock::now() + kDrainTime);
  });
}

void GrpcListener::SetServing(const std::string& service, bool serving) {
  server_->GetHealthCheckService()->SetServingStatus(service, serving);
  server_->GetHealthCheckService()->SetServingStatus("", serving);
}

}  // namespace latchkey
