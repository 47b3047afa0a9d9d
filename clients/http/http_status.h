// The border between HTTP and absl::Status.

#ifndef LATCHKEY_CLIENTS_HTTP_HTTP_STATUS_H_
#define LATCHKEY_CLIENTS_HTTP_HTTP_STATUS_H_

#include <optional>
#include <string_view>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "clients/http/http_client.h"

namespace latchkey {

// What an HTTP status code means where nothing more is known; kOk for 2xx.
absl::StatusCode StatusCodeOfHttp(int http_status);

// The header Retry-After (RFC 9110, 10.2.3) in seconds, at most an hour. Its
// other form, a date, is taken for absent: clocks differ.
std::optional<absl::Duration> RetryAfterOfResponse(
    const HttpResponse& response);

// Marks an error of a request of which the server saw nothing, so that even a
// write may be sent again.
absl::Status MarkNotSent(absl::Status status);
bool WasNotSent(const absl::Status& status);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_HTTP_HTTP_STATUS_H_
