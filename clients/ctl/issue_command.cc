#include "clients/ctl/issue_command.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include <absl/status/statusor.h>
#include <absl/time/clock.h>
#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/client_context.h>

#include "clients/broker/broker_channel.h"
#include "clients/broker/grpc_error.h"
#include "clients/files/read_file.h"
#include "core/refusal.h"
#include "core/secret_string.h"
#include "core/status_macros.h"
#include "core/text_time.h"
#include "core/token_scope.h"
#include "crypto/random.h"
#include "latchkey/v1/token_broker.grpc.pb.h"

namespace latchkey {
namespace {

constexpr size_t kMaxPemBytes = 1 << 20;

absl::Status BadFlag(std::string_view flag, std::string_view message) {
  return absl::InvalidArgumentError(fmt::format("--{}: {}", flag, message));
}

absl::Status SetDuration(std::string_view flag, const std::string& text,
                         google::protobuf::Duration& message) {
  const auto duration = ParsePositiveDuration(text);
  if (!duration.ok()) {
    return BadFlag(flag, std::string(duration.status().message()));
  }
  message.set_seconds(absl::ToInt64Seconds(*duration));
  return absl::OkStatus();
}

absl::StatusOr<std::string> DigestBytes(const std::string& digits) {
  if (!IsKeyDigest(digits)) {
    return BadFlag("public-key-sha256", "64 lower-case hexadecimal digits");
  }
  std::string bytes;
  for (size_t i = 0; i < digits.size(); i += 2) {
    bytes.push_back(
        static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

absl::StatusOr<v1::IssueTokenRequest> RequestOf(const IssueFlags& flags) {
  v1::IssueTokenRequest request;
  v1::TokenScope& scope = *request.mutable_scope();
  scope.set_node_name(flags.node_name);
  for (const std::string& group : flags.groups) scope.add_groups(group);
  if (!flags.max_certificate_lifetime.empty()) {
    LATCHKEY_RETURN_IF_ERROR(
        SetDuration("max-certificate-lifetime", flags.max_certificate_lifetime,
                    *scope.mutable_max_certificate_lifetime()));
  }
  if (!flags.public_key_sha256.empty()) {
    LATCHKEY_ASSIGN_OR_RETURN(const std::string digest,
                              DigestBytes(flags.public_key_sha256));
    scope.set_public_key_sha256(digest);
  }
  scope.set_allow_node_replacement(flags.allow_node_replacement);
  request.set_delivery(flags.delivery == "direct" ? v1::DELIVERY_DIRECT
                                                  : v1::DELIVERY_TICKET);
  if (!flags.lifetime.empty()) {
    LATCHKEY_RETURN_IF_ERROR(
        SetDuration("lifetime", flags.lifetime, *request.mutable_lifetime()));
  }
  // One of our own makes the retries below idempotent.
  request.set_request_id(flags.request_id.empty()
                             ? std::string(RandomBase36(32).Reveal())
                             : flags.request_id);
  request.set_validate_only(flags.validate_only);
  return request;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> ChannelOf(
    const CtlConfig& config) {
  BrokerChannelOptions options{.endpoint = config.endpoint,
                               .server_name = config.server_name,
                               .user_agent = "latchkeyctl"};
  LATCHKEY_ASSIGN_OR_RETURN(options.certificate_authorities,
                            ReadFileBounded(config.ca_file, kMaxPemBytes));
  LATCHKEY_ASSIGN_OR_RETURN(
      options.certificate_pem,
      ReadFileBounded(config.certificate_file, kMaxPemBytes));
  LATCHKEY_ASSIGN_OR_RETURN(
      std::string key, ReadFileBounded(config.private_key_file, kMaxPemBytes));
  options.private_key_pem = SecretString(key);
  Wipe(key);
  LATCHKEY_RETURN_IF_ERROR(CheckBrokerChannelOptions(options));
  return OpenBrokerChannel(options);
}

bool IsWorthARetry(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
}

absl::StatusOr<v1::IssueTokenResponse> Call(
    std::shared_ptr<grpc::Channel> channel,
    const v1::IssueTokenRequest& request, absl::Duration timeout) {
  const auto stub = v1::TokenBroker::NewStub(std::move(channel));
  const absl::Time deadline = absl::Now() + timeout;
  absl::Duration pause = absl::Milliseconds(200);
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(deadline));
    v1::IssueTokenResponse response;
    const absl::Status status =
        FromGrpcStatus(stub->IssueToken(&context, request, &response));
    if (status.ok()) return response;
    pause = std::max(pause, RetryAfterOf(status).value_or(pause));
    if (!IsWorthARetry(status) || absl::Now() + pause > deadline) {
      return status;
    }
    absl::SleepFor(pause);
    pause *= 2;
  }
}

// Where the ticket goes: a new file, or standard output. Opened before anything
// is minted, so that a ticket is not lost for want of a place.
class Destination {
 public:
  static absl::StatusOr<Destination> Open(const std::string& path) {
    if (path.empty()) return Destination(path, STDOUT_FILENO);
    const int fd =
        open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) return Destination(path, fd);
    return absl::InvalidArgumentError(
        fmt::format("cannot create {}: {}", path, strerror(errno)));
  }
  Destination(Destination&& other) noexcept
      : path_(other.path_), fd_(std::exchange(other.fd_, -1)) {}
  Destination& operator=(Destination&&) = delete;
  // A file that was not written is removed.
  ~Destination() {
    if (path_.empty() || fd_ < 0) return;
    close(fd_);
    unlink(path_.c_str());
  }

  absl::Status Write(std::string_view content) {
    while (!content.empty()) {
      const ssize_t count = write(fd_, content.data(), content.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return Failed();
      content.remove_prefix(static_cast<size_t>(count));
    }
    if (path_.empty()) return absl::OkStatus();
    if (fsync(fd_) != 0) return Failed();
    close(std::exchange(fd_, -1));
    return absl::OkStatus();
  }

 private:
  Destination(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  absl::Status Failed() const {
    return absl::InternalError(fmt::format(
        "cannot write {}: {}", path_.empty() ? "standard output" : path_,
        strerror(errno)));
  }

  const std::string path_;
  int fd_;
};

absl::StatusOr<std::string> Rendered(const v1::IssueTokenResponse& response,
                                     const std::string& output) {
  if (output != "json") {
    return (response.ticket().empty() ? response.bootstrap_token()
                                      : response.ticket()) +
           "\n";
  }
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  std::string json;
  const auto status =
      google::protobuf::util::MessageToJsonString(response, &json, options);
  if (!status.ok()) return absl::InternalError("cannot print the answer");
  return json;
}

}  // namespace

absl::Status RunIssue(const CtlConfig& config, const IssueFlags& flags) {
  LATCHKEY_ASSIGN_OR_RETURN(const v1::IssueTokenRequest request,
                            RequestOf(flags));
  const auto timeout = ParsePositiveDuration(flags.timeout);
  if (!timeout.ok()) {
    return BadFlag("timeout", std::string(timeout.status().message()));
  }
  LATCHKEY_ASSIGN_OR_RETURN(const auto channel, ChannelOf(config));
  LATCHKEY_ASSIGN_OR_RETURN(Destination destination,
                            Destination::Open(flags.out_file));
  LATCHKEY_ASSIGN_OR_RETURN(const v1::IssueTokenResponse response,
                            Call(channel, request, *timeout));
  const v1::Token& token = response.token();
  if (flags.validate_only) {
    std::fprintf(
        stderr, "allowed: a token for %s until %s\n",
        token.scope().node_name().c_str(),
        FormatRfc3339(absl::FromUnixSeconds(token.expire_time().seconds()))
            .c_str());
    return absl::OkStatus();
  }
  LATCHKEY_ASSIGN_OR_RETURN(std::string text, Rendered(response, flags.output));
  const absl::Status written = destination.Write(text);
  Wipe(text);
  LATCHKEY_RETURN_IF_ERROR(written);
  std::fprintf(
      stderr, "token %s for %s, %s before %s\n", token.id().c_str(),
      token.scope().node_name().c_str(),
      response.ticket().empty() ? "to be used" : "to be claimed",
      FormatRfc3339(absl::FromUnixSeconds(token.expire_time().seconds()))
          .c_str());
  return absl::OkStatus();
}

}  // namespace latchkey
