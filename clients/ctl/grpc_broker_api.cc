#include "clients/ctl/grpc_broker_api.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include <absl/time/clock.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include "clients/broker/bearer_token.h"
#include "clients/broker/broker_channel.h"
#include "clients/broker/grpc_error.h"
#include "clients/broker/repeated_call.h"
#include "clients/files/read_file.h"
#include "core/status_macros.h"
#include "latchkey/v1/token_broker.grpc.pb.h"

namespace latchkey {
namespace {

constexpr size_t kMaxPemBytes = size_t{1} << 20;
// A thousand answers, each with the cluster's certificate bundle.
constexpr int kMaxAnswerBytes = 64 << 20;
// For a broker that is back.
constexpr absl::Duration kConnectPatience = absl::Seconds(5);

template <typename Request, typename Response>
using Rpc = grpc::Status (v1::TokenBroker::Stub::*)(grpc::ClientContext*,
                                                    const Request&, Response*);

class GrpcBrokerApi final : public BrokerApi {
 public:
  GrpcBrokerApi(std::shared_ptr<grpc::Channel> channel, std::string token_file,
                absl::Duration timeout, Pace& pace)
      : channel_(std::move(channel)),
        stub_(v1::TokenBroker::NewStub(channel_)),
        token_file_(std::move(token_file)),
        timeout_(timeout),
        pace_(pace) {}

  absl::StatusOr<v1::IssueTokenResponse> IssueToken(
      const v1::IssueTokenRequest& request) override {
    return Call(&v1::TokenBroker::Stub::IssueToken, request);
  }
  absl::StatusOr<v1::BatchIssueTokensResponse> BatchIssueTokens(
      const v1::BatchIssueTokensRequest& request) override {
    return Call(&v1::TokenBroker::Stub::BatchIssueTokens, request);
  }
  absl::StatusOr<v1::Token> GetToken(
      const v1::GetTokenRequest& request) override {
    return Call(&v1::TokenBroker::Stub::GetToken, request);
  }
  absl::StatusOr<v1::ListTokensResponse> ListTokens(
      const v1::ListTokensRequest& request) override {
    return Call(&v1::TokenBroker::Stub::ListTokens, request);
  }
  absl::StatusOr<v1::RevokeTokenResponse> RevokeToken(
      const v1::RevokeTokenRequest& request) override {
    return Call(&v1::TokenBroker::Stub::RevokeToken, request);
  }
  absl::StatusOr<v1::Token> ExtendToken(
      const v1::ExtendTokenRequest& request) override {
    return Call(&v1::TokenBroker::Stub::ExtendToken, request);
  }
  absl::StatusOr<v1::ExplainTokenResponse> ExplainToken(
      const v1::ExplainTokenRequest& request) override {
    return Call(&v1::TokenBroker::Stub::ExplainToken, request);
  }

  absl::Status WatchTokens(
      const v1::WatchTokensRequest& request,
      const std::function<bool(const v1::WatchTokensResponse&)>& on_news)
      override {
    AwaitConnection(*channel_, kConnectPatience);
    grpc::ClientContext context;
    LATCHKEY_RETURN_IF_ERROR(Authenticate(context));
    const auto reader = stub_->WatchTokens(&context, request);
    v1::WatchTokensResponse news;
    while (reader->Read(&news)) {
      if (on_news(news)) continue;
      context.TryCancel();
      (void)reader->Finish();  // cancelled, by us
      return absl::OkStatus();
    }
    const absl::Status status = FromGrpcStatus(reader->Finish());
    return status.ok() ? absl::UnavailableError("the broker ended the stream")
                       : status;
  }

 private:
  absl::Status Authenticate(grpc::ClientContext& context) const {
    return token_file_.empty() ? absl::OkStatus()
                               : UseBearerToken(context, token_file_);
  }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(Rpc<Request, Response> rpc,
                                const Request& request) {
    Response response;
    absl::Status status =
        CallRepeatedly(pace_, timeout_, [&](absl::Duration left) {
          const absl::Time end = absl::Now() + left;
          AwaitConnection(*channel_, std::min(left / 2, kConnectPatience));
          grpc::ClientContext context;
          context.set_deadline(absl::ToChronoTime(end));
          LATCHKEY_RETURN_IF_ERROR(Authenticate(context));
          return FromGrpcStatus(
              (stub_.get()->*rpc)(&context, request, &response));
        });
    if (!status.ok()) return status;
    return response;
  }

  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::TokenBroker::Stub> stub_;
  const std::string token_file_;
  const absl::Duration timeout_;
  Pace& pace_;
};

// The content of a file that the configuration names.
absl::Status ReadPem(const std::string& path, std::string& content) {
  absl::StatusOr<std::string> text = ReadFileBounded(path, kMaxPemBytes);
  if (!text.ok()) {
    return absl::InvalidArgumentError(std::string(text.status().message()));
  }
  content = *std::move(text);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<BrokerApi>> ConnectToBroker(
    const CtlConfig& config, absl::Duration timeout, Pace& pace) {
  BrokerChannelOptions options{.endpoint = config.endpoint,
                               .server_name = config.server_name,
                               .user_agent = "latchkeyctl",
                               .max_answer_bytes = kMaxAnswerBytes};
  LATCHKEY_RETURN_IF_ERROR(
      ReadPem(config.ca_file, options.certificate_authorities));
  if (!config.certificate_file.empty()) {
    LATCHKEY_RETURN_IF_ERROR(
        ReadPem(config.certificate_file, options.certificate_pem));
    std::string key;
    LATCHKEY_RETURN_IF_ERROR(ReadPem(config.private_key_file, key));
    options.private_key_pem = SecretString(key);
    Wipe(key);
  }
  LATCHKEY_RETURN_IF_ERROR(CheckBrokerChannelOptions(options));
  SilenceGrpcLibrary();
  return std::make_unique<GrpcBrokerApi>(OpenBrokerChannel(options),
                                         config.token_file, timeout, pace);
}

}  // namespace latchkey
