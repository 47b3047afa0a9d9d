#include "devcluster/http_face_tls.h"

#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <boost/asio/buffer.hpp>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "core/status_macros.h"
#include "crypto/certificate.h"

namespace latchkey {
namespace {

namespace ssl = boost::asio::ssl;
using Error = boost::system::error_code;

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;

boost::asio::const_buffer BufferOf(std::string_view text) {
  return {text.data(), text.size()};
}

absl::Status Bad(std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("{} is no good PEM", what));
}

// Clients choose a certificate by the authorities that they are told of; some
// show none if none of theirs is among them.
absl::Status NameAuthorities(const std::string& pem, SSL_CTX* context) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                   &BIO_free);
  int count = 0;
  while (const X509Ptr ca{
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free}) {
    if (SSL_CTX_add_client_CA(context, ca.get()) != 1) break;
    ++count;
  }
  ERR_clear_error();
  return count > 0 ? absl::OkStatus() : Bad("the client authority");
}

}  // namespace

absl::StatusOr<std::unique_ptr<ssl::context>> MakeTlsContext(
    const HttpFaceOptions& options) {
  auto context = std::make_unique<ssl::context>(ssl::context::tls_server);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  // Hundreds of idle connections hold no buffers.
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  // A resumed session would not be verified again.
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(native, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_num_tickets(native, 0);

  Error error;
  context->use_certificate_chain(BufferOf(options.certificate_pem), error);
  if (error) return Bad("the server's certificate");
  context->use_private_key(BufferOf(options.private_key_pem.Reveal()),
                           ssl::context::pem, error);
  if (error) return Bad("the server's key");
  context->add_certificate_authority(BufferOf(options.client_ca_pem), error);
  if (error) return Bad("the client authority");
  LATCHKEY_RETURN_IF_ERROR(NameAuthorities(options.client_ca_pem, native));
  context->set_verify_mode(ssl::verify_peer, error);
  return context;
}

ClientCertificate ClientCertificateOf(SSL* connection, bool rejected) {
  const X509Ptr peer(SSL_get1_peer_certificate(connection), &X509_free);
  if (peer == nullptr) return {};
  if (rejected) return {.rejected = true};
  const BioPtr bio(BIO_new(BIO_s_mem()), &BIO_free);
  char* text = nullptr;
  if (bio == nullptr || PEM_write_bio_X509(bio.get(), peer.get()) != 1) {
    return {.rejected = true};
  }
  const long size = BIO_get_mem_data(bio.get(), &text);
  const auto parsed = Certificate::ParseAll({text, static_cast<size_t>(size)});
  if (!parsed.ok()) return {.rejected = true};
  ClientCertificate certificate{.not_after = parsed->front().not_after};
  // Nobody, as kube-apiserver has it, and no error.
  auto user = UserOfCertificate(parsed->front());
  if (user.ok()) certificate.user = *std::move(user);
  return certificate;
}

}  // namespace latchkey
