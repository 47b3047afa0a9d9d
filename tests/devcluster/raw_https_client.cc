#include "tests/devcluster/raw_https_client.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

namespace latchkey_testing {
namespace {

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;

BioPtr BioOf(std::string_view text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())),
          &BIO_free};
}

int ConnectSocket(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval timeout{.tv_sec = 20, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  // What is sent in parts is to arrive at once.
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    return fd;
  }
  close(fd);
  return -1;
}

}  // namespace

struct RawHttpsClient::Tls {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = nullptr;
  int fd = -1;

  ~Tls() {
    if (ssl != nullptr) SSL_free(ssl);
    SSL_CTX_free(context);
    if (fd >= 0) close(fd);
  }
};

std::unique_ptr<RawHttpsClient> RawHttpsClient::Connect(
    uint16_t port, const std::string& ca_pem,
    const latchkey::IssuedIdentity* identity) {
  // The server may be gone when this writes.
  signal(SIGPIPE, SIG_IGN);
  auto tls = std::make_unique<Tls>();
  SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, nullptr);
  X509* ca = PEM_read_bio_X509(BioOf(ca_pem).get(), nullptr, nullptr, nullptr);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(tls->context), ca);
  X509_free(ca);
  if (identity != nullptr) {
    X509* certificate = PEM_read_bio_X509(
        BioOf(identity->certificate_pem).get(), nullptr, nullptr, nullptr);
    EVP_PKEY* key =
        PEM_read_bio_PrivateKey(BioOf(identity->private_key_pem.Reveal()).get(),
                                nullptr, nullptr, nullptr);
    SSL_CTX_use_certificate(tls->context, certificate);
    SSL_CTX_use_PrivateKey(tls->context, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  tls->fd = ConnectSocket(port);
  if (tls->fd < 0) return nullptr;
  tls->ssl = SSL_new(tls->context);
  SSL_set_fd(tls->ssl, tls->fd);
  if (SSL_connect(tls->ssl) != 1) return nullptr;
  return std::unique_ptr<RawHttpsClient>(new RawHttpsClient(std::move(tls)));
}

RawHttpsClient::RawHttpsClient(std::unique_ptr<Tls> tls)
    : tls_(std::move(tls)) {}
RawHttpsClient::~RawHttpsClient() = default;

bool RawHttpsClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const int sent =
        SSL_write(tls_->ssl, bytes.data(),
                  static_cast<int>(std::min<size_t>(bytes.size(), 1 << 20)));
    if (sent <= 0) {
      ERR_clear_error();
      return false;
    }
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool RawHttpsClient::Fill() {
  char bytes[16384];
  const int count = SSL_read(tls_->ssl, bytes, sizeof bytes);
  if (count > 0) {
    buffer_.append(bytes, static_cast<size_t>(count));
    return true;
  }
  timed_out_ = SSL_get_error(tls_->ssl, count) == SSL_ERROR_WANT_READ;
  ERR_clear_error();
  return false;
}

std::string RawHttpsClient::Take(size_t count) {
  while (buffer_.size() < count && Fill()) {
  }
  const std::string taken = buffer_.substr(0, count);
  buffer_.erase(0, taken.size());
  return taken;
}

std::string RawHttpsClient::ReadUntil(std::string_view mark) {
  while (buffer_.find(mark) == std::string::npos && Fill()) {
  }
  const size_t found = buffer_.find(mark);
  return Take(found == std::string::npos ? buffer_.size()
                                         : found + mark.size());
}

std::optional<std::string> RawHttpsClient::ReadToEnd() {
  while (Fill()) {
  }
  if (timed_out_) return std::nullopt;
  return std::exchange(buffer_, {});
}

std::string RawHttpsClient::ReadChunks() {
  std::string body;
  while (true) {
    const size_t size = std::strtoul(ReadUntil("\r\n").c_str(), nullptr, 16);
    body += Take(size);
    Take(2);
    if (size == 0) return body;
  }
}

RawResponse RawHttpsClient::Read(bool has_body) {
  RawResponse response;
  std::string head = ReadUntil("\r\n\r\n");
  if (!head.ends_with("\r\n\r\n") ||
      !absl::SimpleAtoi(head.substr(9, 3), &response.code)) {
    return {};
  }
  size_t line = head.find("\r\n") + 2;
  while (line + 2 < head.size()) {
    const size_t end = head.find("\r\n", line);
    const size_t colon = head.find(": ", line);
    response.headers[absl::AsciiStrToLower(head.substr(line, colon - line))] =
        head.substr(colon + 2, end - colon - 2);
    line = end + 2;
  }
  if (!has_body) return response;
  if (response.headers.count("transfer-encoding") > 0) {
    response.body = ReadChunks();
  } else {
    response.body = Take(
        std::strtoul(response.headers["content-length"].c_str(), nullptr, 10));
  }
  return response;
}

RawResponse RawHttpsClient::Exchange(std::string_view method,
                                     std::string_view target,
                                     std::string_view headers,
                                     std::string_view body) {
  Send(
      fmt::format("{} {} HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n{}",
                  method, target, headers, body.size(), body));
  return Read(method != "HEAD");
}

}  // namespace latchkey_testing
