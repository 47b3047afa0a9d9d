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
// Clients that connect and then say nothing, or only that they are there.
constexpr int kHandshakeMs = 10'000;
constexpr int kIdleConnectionMs = 10 * 60'000;
// A machine's business takes seconds; a provisioner may watch for as long as it
// likes, and resumes its watch where it ended.
constexpr int kNodeConnectionMs = 30 * 60'000;
constexpr int kProvisionerConnectionMs = 12 * 60 * 60'000;
constexpr int kConnectionGraceMs = 5 * 60'000;
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

void LimitConnections(ClientCertificates clients,
                      grpc::ServerBuilder& builder) {
  const std::pair<const char*, int> limits[] = {
      {GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMs},
      {GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleConnectionMs},
      {GRPC_ARG_MAX_CONNECTION_AGE_MS, clients == ClientCertificates::kNotAsked
                                           ? kNodeConnectionMs
                                           : kProvisionerConnectionMs},
      {GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, kConnectionGraceMs},
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
    grpc::Service& service, int max_request_bytes) {
  LATCHKEY_RETURN_IF_ERROR(CheckFiles(config, clients));
  // Debian's Abseil looks for deadlocks at each of gRPC's locks, which costs a
  // tenth of a call.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(config.listen, CredentialsOf(config, clients),
                           &port);
  builder.SetMaxReceiveMessageSize(max_request_bytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             kMaxStreamsPerConnection);
  LimitConnections(clients, builder);
  // gRPC counts the bytes before it inflates them: a small message could become
  // a huge one. Nothing here is worth compressing.
  for (const auto algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder.SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  // Two brokers on one port would answer in turn, and nobody would notice.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  grpc::ResourceQuota quota;
  quota.Resize(kMaxBufferedBytes);
  builder.SetResourceQuota(quota);
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(fmt::format(
        "cannot listen on {}: is the port taken, or the address not ours?",
        config.listen));
  }
  server->GetHealthCheckService()->SetServingStatus(false);
  return std::unique_ptr<GrpcListener>(
      new GrpcListener(std::move(server), port));
}

GrpcListener::GrpcListener(std::unique_ptr<grpc::Server> server, int port)
    : server_(std::move(server)), port_(port) {}

GrpcListener::~GrpcListener() {
  RefuseNewCalls();
  drain_.join();
}

void GrpcListener::RefuseNewCalls() {
  if (drain_.joinable()) return;
  drain_ = std::jthread([this] {
    server_->Shutdown(std::chrono::system_clock::now() + kDrainTime);
  });
}

void GrpcListener::SetServing(const std::string& service, bool serving) {
  server_->GetHealthCheckService()->SetServingStatus(service, serving);
  server_->GetHealthCheckService()->SetServingStatus("", serving);
}

}  // namespace latchkey
