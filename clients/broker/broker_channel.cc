#include "clients/broker/broker_channel.h"

#include <absl/status/status.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "core/status_macros.h"
#include "crypto/certificate.h"
#include "crypto/private_key.h"

namespace latchkey {
namespace {

absl::Status CheckIdentity(const BrokerChannelOptions& options) {
  if (options.certificate_pem.empty() && options.private_key_pem.empty()) {
    return absl::OkStatus();
  }
  LATCHKEY_ASSIGN_OR_RETURN(const auto chain,
                            Certificate::ParseAll(options.certificate_pem));
  LATCHKEY_ASSIGN_OR_RETURN(
      const PrivateKey key,
      PrivateKey::FromPem(options.private_key_pem.Reveal()));
  if (key.public_key_digest() != chain.front().key_digest) {
    return absl::InvalidArgumentError(
        "the private key is not that of the certificate");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenBrokerChannel(
    const BrokerChannelOptions& options) {
  LATCHKEY_RETURN_IF_ERROR(
      Certificate::ParseAll(options.certificate_authorities).status());
  LATCHKEY_RETURN_IF_ERROR(CheckIdentity(options));
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = options.certificate_authorities;
  tls.pem_cert_chain = options.certificate_pem;
  tls.pem_private_key = std::string(options.private_key_pem.Reveal());
  grpc::ChannelArguments arguments;
  if (!options.server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.server_name);
  }
  // The callers retry by themselves, with their own verdicts.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return grpc::CreateCustomChannel(options.endpoint, grpc::SslCredentials(tls),
                                   arguments);
}

}  // namespace latchkey
