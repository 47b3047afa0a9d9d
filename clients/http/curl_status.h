// The border between libcurl's errors and absl::Status.

#ifndef LATCHKEY_CLIENTS_HTTP_CURL_STATUS_H_
#define LATCHKEY_CLIENTS_HTTP_CURL_STATUS_H_

#include <string_view>

#include <absl/status/status.h>
#include <curl/curl.h>

namespace latchkey {

// What the exchange itself knows about its end.
struct CurlOutcome {
  CURLcode code = CURLE_OK;
  // libcurl's own words (CURLOPT_ERRORBUFFER); may be empty.
  std::string_view detail;
  // The request may have reached the server, at least in part.
  bool sent = true;
  // The whole of the request's own time had passed.
  bool out_of_time = false;
  // One of our callbacks ended the exchange because there was too much to read.
  bool too_large = false;
  // A request that must not be repeated lost its connection.
  bool not_repeatable = false;
};

// kOk for CURLE_OK. Messages hold neither headers nor bodies.
absl::Status StatusOfCurl(const CurlOutcome& outcome);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_HTTP_CURL_STATUS_H_
