// The head of an HTTP response, as it arrives line by line.

#ifndef LATCHKEY_CLIENTS_HTTP_RESPONSE_HEAD_H_
#define LATCHKEY_CLIENTS_HTTP_RESPONSE_HEAD_H_

#include <cstddef>
#include <string_view>

#include "clients/http/http_client.h"

namespace latchkey {

// Not safe for concurrent use. `response` must outlive it.
class ResponseHead {
 public:
  // All lines of a response together, interim responses and trailers too.
  static constexpr size_t kMaxBytes = 64 << 10;

  explicit ResponseHead(HttpResponse& response) : response_(response) {}

  enum class Taken {
    kLine,
    kEnd,  // it was the end of the head of the final response
    kTooMuch,
  };
  // Writes what `line` says into the response. Lines that are no header are
  // passed over, and so is whatever follows the end: trailers.
  Taken Take(std::string_view line);

 private:
  HttpResponse& response_;
  size_t bytes_ = 0;
  bool complete_ = false;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_HTTP_RESPONSE_HEAD_H_
