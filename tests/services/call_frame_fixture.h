// Both services over a real gRPC server on loopback, with a store in memory.

#ifndef LATCHKEY_TESTS_SERVICES_CALL_FRAME_FIXTURE_H_
#define LATCHKEY_TESTS_SERVICES_CALL_FRAME_FIXTURE_H_

#include <future>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include "clients/broker/grpc_error.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "crypto/certificate_request.h"
#include "crypto/private_key.h"
#include "services/call_frame.h"
#include "services/node_bootstrap_service.h"
#include "services/token_broker.h"
#include "storage/memory_token_store.h"
#include "tests/fakes/flaky_token_store.h"
#include "tests/fakes/provisioner_side.h"
#include "tests/fakes/recording_audit_log.h"
#include "tests/fakes/slow_token_store.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {

// By the metadata "who": its value is the caller. "slow:..." is known only
// after asking, and the answer comes when a test lets it.
class HeaderAuthenticator final : public latchkey::CallAuthenticator {
 public:
  std::optional<absl::StatusOr<latchkey::TimedIdentity>> Known(
      const grpc::CallbackServerContext& context) override {
    if (WhoOf(context).starts_with("slow:")) return std::nullopt;
    return IdentityOf(WhoOf(context));
  }
  absl::StatusOr<latchkey::TimedIdentity> Authenticate(
      const grpc::CallbackServerContext& context) override {
    gate_.wait();
    return IdentityOf(WhoOf(context));
  }
  void Open() { open_.set_value(); }
  // How everybody proves who it is from now on.
  void ProvedBy(latchkey::IdentityKind kind) {
    const latchkey::MutexLock lock(mutex_);
    kind_ = kind;
  }
  // Nobody is believed for longer, and when asked about again is refused.
  void ExpireAt(absl::Time when) {
    const latchkey::MutexLock lock(mutex_);
    expires_ = when;
  }

 private:
  static std::string WhoOf(const grpc::CallbackServerContext& context) {
    const auto it = context.client_metadata().find("who");
    return it == context.client_metadata().end()
               ? ""
               : std::string(it->second.data(), it->second.size());
  }
  absl::StatusOr<latchkey::TimedIdentity> IdentityOf(const std::string& who) {
    const latchkey::MutexLock lock(mutex_);
    if (who.empty() || absl::Now() >= expires_) {
      return latchkey::Refuse(absl::StatusCode::kUnauthenticated,
                              latchkey::reason::kUnauthenticated,
                              "no such caller");
    }
    latchkey::Identity identity;
    identity.name = "cn:" + who;
    identity.kind = kind_;
    identity.attributes["common_name"] = {who};
    return latchkey::TimedIdentity{.identity = std::move(identity),
                                   .expires = expires_};
  }
  latchkey::Mutex mutex_;
  absl::Time expires_ = absl::InfiniteFuture();
  latchkey::IdentityKind kind_ = latchkey::IdentityKind::kCertificate;
  std::promise<void> open_;
  std::shared_future<void> gate_ = open_.get_future().share();
};

class CallFrameFixture : public ::testing::Test {
 protected:
  static latchkey::PolicyRule Rule() {
    latchkey::PolicyRule rule;
    rule.name = "workers";
    for (const char* who : {"a", "b", "slow:a"}) {
      latchkey::IdentityMatcher matcher;
      matcher.attributes.emplace("common_name", who);
      rule.provisioners.push_back(matcher);
    }
    rule.node_names = {"worker-*"};
    return rule;
  }

  // Starts the server; what a test changes in `options_` and `node_options_`
  // comes before.
  void StartServer() {
    frame_ = std::make_unique<latchkey::CallFrame>(options_, authenticator_,
                                                   audit_, metrics_, clock_);
    node_frame_ = std::make_unique<latchkey::CallFrame>(
        node_options_, authenticator_, audit_, metrics_, clock_);
    provisioners_ = std::make_unique<ProvisionerSide>(
        broker_, store_, policy_, cluster_, *frame_, clock_);
    node_service_ = std::make_unique<latchkey::NodeBootstrapService>(
        broker_, cluster_, *node_frame_);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&provisioners_->service());
    builder.RegisterService(node_service_.get());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    endpoint_ = "127.0.0.1:" + std::to_string(port);
  }
  ~CallFrameFixture() override {
    if (server_ != nullptr) server_->Shutdown();
  }

  // A connection of its own.
  std::shared_ptr<grpc::Channel> Connect() const {
    grpc::ChannelArguments own;
    own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(endpoint_,
                                     grpc::InsecureChannelCredentials(), own);
  }
  absl::StatusOr<latchkey::v1::IssueTokenResponse> Issue(
      const std::string& who, const std::string& node = "worker-1",
      bool validate_only = false) {
    auto stub = latchkey::v1::TokenBroker::NewStub(Connect());
    grpc::ClientContext context;
    if (!who.empty()) context.AddMetadata("who", who);
    latchkey::v1::IssueTokenRequest request;
    request.mutable_scope()->set_node_name(node);
    request.set_validate_only(validate_only);
    latchkey::v1::IssueTokenResponse response;
    const grpc::Status status = stub->IssueToken(&context, request, &response);
    if (!status.ok()) return latchkey::FromGrpcStatus(status);
    return response;
  }
  absl::StatusOr<latchkey::v1::ClaimTokenResponse> Claim(
      const std::string& ticket, const latchkey::PrivateKey& key,
      const std::string& node = "worker-1") {
    auto stub = latchkey::v1::NodeBootstrap::NewStub(Connect());
    grpc::ClientContext context;
    latchkey::v1::ClaimTokenRequest request;
    request.set_ticket(ticket);
    request.set_node_name(node);
    request.set_certificate_signing_request(
        latchkey::BuildCertificateRequest(key,
                                          {.common_name = "system:node:" + node,
                                           .organizations = {"system:nodes"}})
            .value());
    latchkey::v1::ClaimTokenResponse response;
    const grpc::Status status = stub->ClaimToken(&context, request, &response);
    if (!status.ok()) return latchkey::FromGrpcStatus(status);
    return response;
  }

  latchkey::SystemClock clock_;
  latchkey::MemoryTokenStore memory_{clock_};
  SlowTokenStore slow_{memory_};
  FlakyTokenStore store_{slow_};
  latchkey::LivePolicy policy_{latchkey::Policy({Rule()})};
  RecordingAuditLog audit_;
  latchkey::MisuseGuard misuse_{store_, policy_, audit_, clock_};
  latchkey::RecordIndex index_;
  latchkey::TokenBroker broker_{{}, store_, policy_, misuse_, index_, clock_};
  latchkey::ClusterSource cluster_ = [] {
    return latchkey::ClusterEndpoints{{"https://api.example"}, "pem", "test"};
  };
  latchkey::BrokerMetrics metrics_;
  HeaderAuthenticator authenticator_;
  latchkey::CallFrame::Options options_;
  latchkey::CallFrame::Options node_options_;
  std::unique_ptr<latchkey::CallFrame> frame_;
  std::unique_ptr<latchkey::CallFrame> node_frame_;
  std::unique_ptr<ProvisionerSide> provisioners_;
  std::unique_ptr<latchkey::NodeBootstrapService> node_service_;
  std::unique_ptr<grpc::Server> server_;
  std::string endpoint_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SERVICES_CALL_FRAME_FIXTURE_H_
