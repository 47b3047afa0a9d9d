#include "clients/ctl/grpc_broker_api.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <absl/time/clock.h>
#include <fmt/format.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include "clients/broker/bearer_token.h"
#include "clients/broker/broker_channel.h"
#include "clients/broker/grpc_error.h"
#include "clients/broker/repeated_call.h"
#include "clients/ctl/broker_files.h"
#include "clients/ctl/cures.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "latchkey/v1/token_broker.grpc.pb.h"

namespace latchkey {
namespace {

// A thousand answers, each with the cluster's certificate bundle.
constexpr int kMaxAnswerBytes = 64 << 20;
// For a broker that is back.
constexpr absl::Duration kConnectPatience = absl::Seconds(5);
// What nobody wonders about yet.
constexpr absl::Duration kQuiet = absl::Seconds(2);

struct Symptom {
  std::string_view text;
  std::string_view advice;
};

// Of what gRPC and OpenSSL say when there is no connection: parts of it, each
// before what is less sure. Their words may change; then the general advice is
// left.
constexpr std::array kSymptoms = {
    Symptom{"certificate verify failed",
            "who answers there has no valid certificate of broker.ca_file: is "
            "that the authority of this broker?"},
    Symptom{"is not in peer certificate",
            "the broker's certificate is for another name: give one that it "
            "has as broker.server_name"},
    Symptom{"wrong version number",
            "who answers there speaks no TLS: is this the port of something "
            "else, such as the broker's metrics?"},
    Symptom{"ALPN",
            "who answers there is no gRPC server: is this the port of "
            "something else, such as the API server?"},
    Symptom{"DNS resolution failed", "is the host of broker.endpoint right?"},
    Symptom{"Connection refused",
            "nobody listens there: is the broker running, and is "
            "broker.endpoint right?"},
    // With TLS 1.3 the server judges the certificate when the client is done,
    // and says nothing that gRPC passes on.
    Symptom{"Socket closed",
            "the broker ended the handshake: is the certificate of this "
            "context of an authority in the broker's client_ca_file?"},
    Symptom{"Connection reset",
            "the broker ended the handshake: is the certificate of this "
            "context of an authority in the broker's client_ca_file?"},
};

std::string_view AdviceFor(const absl::Status& status) {
  const std::string message(status.message());
  // Else a connection that was there broke.
  if (!absl::IsUnavailable(status) ||
      (!message.starts_with("failed to connect") &&
       !message.starts_with("DNS "))) {
    return "";
  }
  const auto* const found =
      std::ranges::find_if(kSymptoms, [&](const Symptom& symptom) {
        return message.find(symptom.text) != std::string::npos;
      });
  return found == kSymptoms.end() ? std::string_view() : found->advice;
}

template <typename Request, typename Response>
using Rpc = grpc::Status (v1::TokenBroker::Stub::*)(grpc::ClientContext*,
                                                    const Request&, Response*);

class GrpcBrokerApi final : public BrokerApi {
 public:
  GrpcBrokerApi(std::shared_ptr<grpc::Channel> channel, std::string endpoint,
                std::string token_file, const CallOptions& calls)
      : channel_(std::move(channel)),
        stub_(v1::TokenBroker::NewStub(channel_)),
        endpoint_(std::move(endpoint)),
        token_file_(std::move(token_file)),
        calls_(calls) {}

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
    const absl::Status status = Explained(FromGrpcStatus(reader->Finish()));
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
    const absl::Duration begin = calls_.pace.Elapsed();
    const absl::Status status =
        CallRepeatedly(calls_.pace, calls_.timeout, [&](absl::Duration left) {
          const absl::Time end = absl::Now() + left;
          AwaitConnection(*channel_, std::min(left / 2, kConnectPatience));
          grpc::ClientContext context;
          context.set_deadline(absl::ToChronoTime(end));
          LATCHKEY_RETURN_IF_ERROR(Authenticate(context));
          absl::Status answer =
              FromGrpcStatus((stub_.get()->*rpc)(&context, request, &response));
          NoteDelay(answer, calls_.pace.Elapsed() - begin);
          return answer;
        });
    if (!status.ok()) return Explained(status);
    return response;
  }

  // An attempt ended with `status`, so long after the first one began.
  void NoteDelay(const absl::Status& status, absl::Duration elapsed) {
    if (noted_ || !IsWorthRepeating(status) || elapsed < kQuiet) return;
    noted_ = true;
    calls_.on_delay(fmt::format("no answer from {} yet, trying for {}: {}",
                                endpoint_, absl::FormatDuration(calls_.timeout),
                                std::string(status.message())));
  }

  // What is not the broker's own word, with what is known about it here.
  absl::Status Explained(const absl::Status& status) const {
    if (status.ok() || !ReasonOf(status).empty()) return status;
    if (absl::IsUnimplemented(status)) {
      return WithCure(
          absl::UnimplementedError(fmt::format(
              "{} does not know this call of provisioners", endpoint_)),
          "is this the machines' port? broker.endpoint is what the broker's "
          "provisioner_api listens on. Or the broker is older than this "
          "program: update it");
    }
    if (status.message().empty()) {
      return absl::Status(status.code(),
                          fmt::format("{} answered {}, and not why", endpoint_,
                                      absl::StatusCodeToString(status.code())));
    }
    const std::string_view advice = AdviceFor(status);
    return advice.empty() ? status : WithCure(status, advice);
  }

  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::TokenBroker::Stub> stub_;
  const std::string endpoint_;
  const std::string token_file_;
  const CallOptions calls_;
  bool noted_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BrokerApi>> ConnectToBroker(
    const CtlConfig& config, const CallOptions& calls, absl::Time now) {
  LATCHKEY_ASSIGN_OR_RETURN(const BrokerFiles files,
                            ReadBrokerFiles(config, now));
  SilenceGrpcLibrary();
  auto channel =
      OpenBrokerChannel({.endpoint = config.endpoint,
                         .certificate_authorities = files.authorities,
                         .server_name = config.server_name,
                         .certificate_pem = files.certificate,
                         .private_key_pem = files.private_key,
                         .user_agent = "latchkeyctl",
                         .max_answer_bytes = kMaxAnswerBytes});
  return std::make_unique<GrpcBrokerApi>(std::move(channel), config.endpoint,
                                         config.token_file, calls);
}

}  // namespace latchkey
