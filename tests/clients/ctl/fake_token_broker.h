// A real gRPC server on loopback, with TLS, that answers as the test says.

#ifndef LATCHKEY_TESTS_CLIENTS_CTL_FAKE_TOKEN_BROKER_H_
#define LATCHKEY_TESTS_CLIENTS_CTL_FAKE_TOKEN_BROKER_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "core/mutex.h"
#include "google/rpc/error_details.pb.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "tests/clients/ctl/fake_broker_api.h"
#include "tests/e2e/test_pki.h"

namespace latchkey_testing {

// A status as services/grpc_status.h makes it of a refusal.
inline grpc::Status ToGrpc(const absl::Status& status) {
  google::rpc::Status details;
  if (const std::string reason = latchkey::ReasonOf(status); !reason.empty()) {
    google::rpc::ErrorInfo info;
    info.set_reason(reason);
    info.set_domain("latchkey.dev");
    for (const auto& [key, value] : latchkey::MetadataOf(status)) {
      (*info.mutable_metadata())[key] = value;
    }
    details.add_details()->PackFrom(info);
  }
  if (const auto delay = latchkey::RetryAfterOf(status)) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_nanos(
        static_cast<int>(absl::ToInt64Nanoseconds(*delay)));
    details.add_details()->PackFrom(retry);
  }
  return {static_cast<grpc::StatusCode>(status.code()),
          std::string(status.message()), details.SerializeAsString()};
}

class FakeTokenBroker final : public v1::TokenBroker::Service {
 public:
  explicit FakeTokenBroker(const TestPki& pki) {
    const latchkey::IssuedIdentity identity = pki.Server();
    grpc::SslServerCredentialsOptions tls(
        GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
    tls.pem_root_certs = pki.ca_pem();
    tls.pem_key_cert_pairs.push_back(
        {std::string(identity.private_key_pem.Reveal()),
         identity.certificate_pem});
    credentials_ = grpc::SslServerCredentials(tls);
    Start();
  }
  ~FakeTokenBroker() override { Stop(); }
  FakeTokenBroker(const FakeTokenBroker&) = delete;
  FakeTokenBroker& operator=(const FakeTokenBroker&) = delete;

  void Start() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port_), credentials_,
                             &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  void Stop() {
    if (server_ != nullptr) {
      server_->Shutdown(std::chrono::system_clock::now());
    }
    server_.reset();
  }
  int port() const { return port_; }

  // What is asked of it. Guarded: set it while no call is under way.
  FakeBrokerApi api;
  // The authorization headers of the calls, and the certificate's names.
  std::vector<std::string> authorizations() const {
    const latchkey::MutexLock lock(mutex_);
    return authorizations_;
  }
  std::vector<std::string> identities() const {
    const latchkey::MutexLock lock(mutex_);
    return identities_;
  }

  grpc::Status IssueToken(grpc::ServerContext* context,
                          const v1::IssueTokenRequest* request,
                          v1::IssueTokenResponse* response) override {
    return Answer(*context, *response,
                  [&] { return api.IssueToken(*request); });
  }
  grpc::Status BatchIssueTokens(
      grpc::ServerContext* context, const v1::BatchIssueTokensRequest* request,
      v1::BatchIssueTokensResponse* response) override {
    return Answer(*context, *response,
                  [&] { return api.BatchIssueTokens(*request); });
  }
  grpc::Status GetToken(grpc::ServerContext* context,
                        const v1::GetTokenRequest* request,
                        v1::Token* response) override {
    return Answer(*context, *response, [&] { return api.GetToken(*request); });
  }
  grpc::Status ListTokens(grpc::ServerContext* context,
                          const v1::ListTokensRequest* request,
                          v1::ListTokensResponse* response) override {
    return Answer(*context, *response,
                  [&] { return api.ListTokens(*request); });
  }
  grpc::Status RevokeToken(grpc::ServerContext* context,
                           const v1::RevokeTokenRequest* request,
                           v1::RevokeTokenResponse* response) override {
    return Answer(*context, *response,
                  [&] { return api.RevokeToken(*request); });
  }
  grpc::Status ExtendToken(grpc::ServerContext* context,
                           const v1::ExtendTokenRequest* request,
                           v1::Token* response) override {
    return Answer(*context, *response,
                  [&] { return api.ExtendToken(*request); });
  }
  grpc::Status ExplainToken(grpc::ServerContext* context,
                            const v1::ExplainTokenRequest* request,
                            v1::ExplainTokenResponse* response) override {
    return Answer(*context, *response,
                  [&] { return api.ExplainToken(*request); });
  }
  grpc::Status WatchTokens(
      grpc::ServerContext* context, const v1::WatchTokensRequest* request,
      grpc::ServerWriter<v1::WatchTokensResponse>* writer) override {
    Note(*context);
    const latchkey::MutexLock lock(mutex_);
    return ToGrpc(api.WatchTokens(
        *request, [&](const auto& news) { return writer->Write(news); }));
  }

 private:
  void Note(const grpc::ServerContext& context) {
    const latchkey::MutexLock lock(mutex_);
    const auto& metadata = context.client_metadata();
    const auto header = metadata.find("authorization");
    authorizations_.emplace_back(
        header == metadata.end()
            ? ""
            : std::string(header->second.data(), header->second.size()));
    std::string names;
    for (const auto& name : context.auth_context()->GetPeerIdentity()) {
      names += std::string(name.data(), name.size()) + " ";
    }
    identities_.push_back(names);
  }
  template <typename Response, typename Ask>
  grpc::Status Answer(const grpc::ServerContext& context, Response& response,
                      const Ask& ask) {
    Note(context);
    const latchkey::MutexLock lock(mutex_);
    auto answer = ask();
    if (!answer.ok()) return ToGrpc(answer.status());
    response = *std::move(answer);
    return grpc::Status::OK;
  }

  std::shared_ptr<grpc::ServerCredentials> credentials_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  mutable latchkey::Mutex mutex_;
  std::vector<std::string> authorizations_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> identities_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_CLIENTS_CTL_FAKE_TOKEN_BROKER_H_
