#include <memory>
#include <string>

#include <gmock/gmock.h>

#include "clients/broker/broker_channel.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "server/grpc_listener.h"
#include "tests/e2e/test_pki.h"
#include "tests/testing/grpc_bytes.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::CallBytes;
using latchkey_testing::HealthOf;
using latchkey_testing::IsOk;
using latchkey_testing::TestPki;
using ::testing::HasSubstr;

class GrpcListenerHealthTest : public ::testing::Test {
 protected:
  std::unique_ptr<GrpcListener> Listen() {
    const auto files = pki_.Save("server", pki_.Server());
    auto listener =
        GrpcListener::Start({.listen = "127.0.0.1:0",
                             .certificate_file = files.certificate,
                             .private_key_file = files.private_key,
                             .client_ca_file = pki_.ca_file()},
                            ClientCertificates::kRequired, service_, {});
    EXPECT_THAT(listener, IsOk());
    return *std::move(listener);
  }
  std::shared_ptr<grpc::Channel> ChannelTo(const GrpcListener& listener) {
    const IssuedIdentity identity = pki_.Client(latchkey_testing::kAutoscaler);
    return OpenBrokerChannel(
        {.endpoint = "localhost:" + std::to_string(listener.port()),
         .certificate_authorities = pki_.ca_pem(),
         .certificate_pem = identity.certificate_pem,
         .private_key_pem = identity.private_key_pem});
  }
  int Health(const GrpcListener& listener, const std::string& service) {
    return HealthOf(ChannelTo(listener), service);
  }

  TestPki pki_;
  v1::TokenBroker::CallbackService service_;
};

TEST_F(GrpcListenerHealthTest, HealthIsToldOfTheServiceAndOfThePort) {
  const auto listener = Listen();
  const std::string name = v1::TokenBroker::service_full_name();
  EXPECT_EQ(Health(*listener, ""), 2);
  listener->SetServing(name, true);
  EXPECT_EQ(Health(*listener, ""), 1);
  EXPECT_EQ(Health(*listener, name), 1);
  EXPECT_EQ(Health(*listener, "latchkey.v1.Other"), -1);
  listener->SetServing(name, false);
  EXPECT_EQ(Health(*listener, name), 2);
}

TEST_F(GrpcListenerHealthTest, ReflectionIsOffUntilItIsAskedFor) {
  constexpr char kMethod[] =
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  // ServerReflectionRequest{list_services: ""}.
  const std::string list("\x3a\x00", 2);
  std::string response;
  EXPECT_EQ(
      CallBytes(ChannelTo(*Listen()), kMethod, list, response).error_code(),
      grpc::StatusCode::UNIMPLEMENTED);
  ASSERT_THAT(EnableReflection(), IsOk());
  EXPECT_TRUE(CallBytes(ChannelTo(*Listen()), kMethod, list, response).ok());
  EXPECT_THAT(response, HasSubstr("latchkey.v1.TokenBroker"));
}

}  // namespace
}  // namespace latchkey
