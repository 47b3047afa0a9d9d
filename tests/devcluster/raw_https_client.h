// A client that sends whatever bytes it is told to, over TLS.

#ifndef LATCHKEY_TESTS_DEVCLUSTER_RAW_HTTPS_CLIENT_H_
#define LATCHKEY_TESTS_DEVCLUSTER_RAW_HTTPS_CLIENT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "crypto/certificate_authority.h"

namespace latchkey_testing {

struct RawResponse {
  int code = 0;                                // 0: there was none
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // without its chunks
};

// Blocks, at most 20 seconds for each read; then, and at the end of the
// connection, it reads nothing more.
class RawHttpsClient {
 public:
  // Null if there is no connection. `identity` null: without a certificate.
  static std::unique_ptr<RawHttpsClient> Connect(
      uint16_t port, const std::string& ca_pem,
      const latchkey::IssuedIdentity* identity = nullptr);
  ~RawHttpsClient();

  // False if it could not be sent.
  bool Send(std::string_view bytes);
  // The next response. `has_body` is false for those to HEAD.
  RawResponse Read(bool has_body = true);
  // Up to and with `mark`; less if the connection ends before.
  std::string ReadUntil(std::string_view mark);
  // Until the server ends the connection; nullopt if it does not.
  std::optional<std::string> ReadToEnd();
  // Sends a request, and reads the response.
  RawResponse Exchange(std::string_view method, std::string_view target,
                       std::string_view headers = "",
                       std::string_view body = "");

 private:
  struct Tls;
  explicit RawHttpsClient(std::unique_ptr<Tls> tls);
  // More bytes into the buffer; false: there are none.
  bool Fill();
  std::string Take(size_t count);
  std::string ReadChunks();

  const std::unique_ptr<Tls> tls_;
  std::string buffer_;
  bool timed_out_ = false;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_DEVCLUSTER_RAW_HTTPS_CLIENT_H_
