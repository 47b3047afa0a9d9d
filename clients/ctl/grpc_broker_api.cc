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
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_unary_call.h>
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
// What nobody wonders about yet: when something has failed, and when all is
// well so far. A thousand tokens take a while.
constexpr absl::Duration kQuiet = absl::Seconds(2);
constexpr absl::Duration kLongQuiet = absl::Seconds(5);

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

// True of a call for which there was no connection; else one that was there
// broke.
bool NeverConnected(const absl::Status& status) {
  const std::string message(status.message());
  return absl::IsUnavailable(status) &&
         (message.starts_with("failed to connect") ||
          message.starts_with("DNS "));
}

// The deadline passed here, and was not told of by the broker.
bool IsOutOfTime(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) && ReasonOf(status).empty();
}

std::string_view AdviceFor(const absl::Status& status) {
  if (!NeverConnected(status)) return "";
  const std::string message(status.message());
  const auto* const found =
      std::ranges::find_if(kSymptoms, [&](const Symptom& symptom) {
        return message.find(symptom.text) != std::string::npos;
      });
  return found == kSymptoms.end() ? std::string_view() : found->advice;
}

template <typename Request, typename Response>
using Rpc = std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (
    v1::TokenBroker::Stub::*)(grpc::ClientContext*, const Request&,
                              grpc::CompletionQueue*);

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
    return Call(&v1::TokenBroker::Stub::AsyncIssueToken, request);
  }
  absl::StatusOr<v1::BatchIssueTokensResponse> BatchIssueTokens(
      const v1::BatchIssueTokensRequest& request) override {
    return Call(&v1::TokenBroker::Stub::AsyncBatchIssueTokens, request);
  }
  absl::StatusOr<v1::Token> GetToken(
      const v1::GetTokenRequest& request) override {
    return Call(&v1::TokenBroker::Stub::AsyncGetToken, request);
  }
  absl::StatusOr<v1::ListTokensResponse> ListTokens(
      const v1::ListTokensRequest& request) override {
    return Call(&v1::TokenBroker::Stub::AsyncListTokens, request);
  }
  absl::StatusOr<v1::RevokeTokenResponse> RevokeToken(
      const v1::RevokeTokenRequest& request) override {
    return Call(&v1::TokenBroker::Stub::AsyncRevokeToken, request);
  }
  absl::StatusOr<v1::Token> ExtendToken(
      const v1::ExtendTokenRequest& request) override {
    return Call(&v1::TokenBroker::Stub::AsyncExtendToken, request);
  }
  absl::StatusOr<v1::ExplainTokenResponse> ExplainToken(
      const v1::ExplainTokenRequest& request) override {
    return Call(&v1::TokenBroker::Stub::AsyncExplainToken, request);
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

  bool IsConnected() const {
    return channel_->GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_READY;
  }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(Rpc<Request, Response> rpc,
                                const Request& request) {
    Response response;
    // Of the last attempt that somebody answered, or could not be sent to.
    absl::Status told;
    bool may_be_done = false;
    const absl::Duration begin = calls_.pace.Elapsed();
    const absl::Status status =
        CallRepeatedly(calls_.pace, calls_.timeout, [&](absl::Duration left) {
          const absl::Time end = absl::Now() + left;
          AwaitConnection(*channel_, std::min(left / 2, kConnectPatience));
          grpc::ClientContext context;
          context.set_deadline(absl::ToChronoTime(end));
          LATCHKEY_RETURN_IF_ERROR(Authenticate(context));
          absl::Status answer = FromGrpcStatus(
              Attempt(rpc, context, request, response, begin, told));
          const bool sent =
              IsOutOfTime(answer) ? IsConnected() : !NeverConnected(answer);
          if (sent && MayBeDone(answer)) may_be_done = true;
          if (IsWorthRepeating(answer)) {
            told = answer;
            if (calls_.pace.Elapsed() - begin >= kQuiet) NoteDelay(told);
          }
          return answer;
        });
    if (status.ok()) return response;
    return WithOutcome(
        Explained(IsOutOfTime(status) ? OutOfTime(told) : status), may_be_done);
  }

  // One call. One that takes long since `begin` says so before it has ended,
  // and what the attempt before it was `told`.
  template <typename Request, typename Response>
  grpc::Status Attempt(Rpc<Request, Response> rpc, grpc::ClientContext& context,
                       const Request& request, Response& response,
                       absl::Duration begin, const absl::Status& told) {
    grpc::CompletionQueue queue;
    const auto reader = (stub_.get()->*rpc)(&context, request, &queue);
    grpc::Status status;
    reader->Finish(&response, &status, /*tag=*/nullptr);
    void* tag = nullptr;
    bool ok = false;
    const absl::Time quiet_end =
        noted_ ? absl::InfiniteFuture()
               : absl::Now() + (begin + (told.ok() ? kLongQuiet : kQuiet) -
                                calls_.pace.Elapsed());
    if (queue.AsyncNext(&tag, &ok, absl::ToChronoTime(quiet_end)) ==
        grpc::CompletionQueue::TIMEOUT) {
      NoteDelay(told);
      queue.Next(&tag, &ok);
    }
    return status;
  }

  // There is no answer yet; the last attempt was `told` why, if that is not OK.
  void NoteDelay(const absl::Status& told) {
    if (noted_) return;
    noted_ = true;
    const std::string why = !told.ok() ? std::string(told.message())
                            : IsConnected()
                                ? "it is connected, and has not answered"
                                : "it is not connected";
    calls_.on_delay(fmt::format("no answer from {} yet, trying for {}: {}",
                                endpoint_, absl::FormatDuration(calls_.timeout),
                                why));
  }

  // Why no attempt succeeded, of which the last one got no answer in time, and
  // one before it was `told`.
  absl::Status OutOfTime(const absl::Status& told) const {
    const std::string timeout = absl::FormatDuration(calls_.timeout);
    if (!ReasonOf(told).empty()) return told;
    if (IsConnected()) {
      return WithCure(
          absl::DeadlineExceededError(
              fmt::format("{} is connected, and did not answer within {}",
                          endpoint_, timeout)),
          "the connection is good, and the broker slow: see its log, and "
          "whether it reaches the API server; --timeout waits longer");
    }
    if (!told.ok()) return told;
    return absl::DeadlineExceededError(
        fmt::format("cannot connect to {} within {}", endpoint_, timeout));
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
