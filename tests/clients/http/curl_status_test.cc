#include "clients/http/curl_status.h"

#include <vector>

#include <gmock/gmock.h>

#include "clients/http/http_status.h"
#include "core/refusal.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::latchkey_testing::StatusIs;

TEST(CurlStatusTest, EachCodeHasItsMeaning) {
  struct Case {
    CURLcode code;
    absl::StatusCode want;
  };
  for (const Case& c : std::vector<Case>{
           {CURLE_OK, absl::StatusCode::kOk},
           {CURLE_COULDNT_RESOLVE_HOST, absl::StatusCode::kUnavailable},
           {CURLE_COULDNT_CONNECT, absl::StatusCode::kUnavailable},
           {CURLE_SSL_CONNECT_ERROR, absl::StatusCode::kUnavailable},
           {CURLE_PEER_FAILED_VERIFICATION, absl::StatusCode::kUnavailable},
           {CURLE_SSL_CERTPROBLEM, absl::StatusCode::kUnavailable},
           {CURLE_SSL_CACERT_BADFILE, absl::StatusCode::kUnavailable},
           {CURLE_SEND_ERROR, absl::StatusCode::kUnavailable},
           {CURLE_RECV_ERROR, absl::StatusCode::kUnavailable},
           {CURLE_GOT_NOTHING, absl::StatusCode::kUnavailable},
           {CURLE_PARTIAL_FILE, absl::StatusCode::kUnavailable},
           {CURLE_HTTP2, absl::StatusCode::kUnavailable},
           {CURLE_HTTP2_STREAM, absl::StatusCode::kUnavailable},
           {CURLE_WEIRD_SERVER_REPLY, absl::StatusCode::kUnavailable},
           // Of the server's answer; of a URL it cannot be, ours are https.
           {CURLE_UNSUPPORTED_PROTOCOL, absl::StatusCode::kUnavailable},
           {CURLE_ABORTED_BY_CALLBACK, absl::StatusCode::kCancelled},
           {CURLE_WRITE_ERROR, absl::StatusCode::kInternal},
           {CURLE_URL_MALFORMAT, absl::StatusCode::kInternal},
           {CURLE_OUT_OF_MEMORY, absl::StatusCode::kInternal},
           {CURLE_FAILED_INIT, absl::StatusCode::kInternal}}) {
    EXPECT_EQ(StatusOfCurl({.code = c.code}).code(), c.want)
        << curl_easy_strerror(c.code);
  }
}

TEST(CurlStatusTest, WhatTheExchangeKnowsDecides) {
  EXPECT_THAT(
      StatusOfCurl({.code = CURLE_OPERATION_TIMEDOUT, .out_of_time = true}),
      StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(StatusOfCurl({.code = CURLE_OPERATION_TIMEDOUT}),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(StatusOfCurl({.code = CURLE_WRITE_ERROR, .too_large = true}),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(
      StatusOfCurl({.code = CURLE_ABORTED_BY_CALLBACK, .not_repeatable = true}),
      StatusIs(absl::StatusCode::kUnavailable));
}

TEST(CurlStatusTest, SaysIfNothingWasSent) {
  EXPECT_TRUE(
      WasNotSent(StatusOfCurl({.code = CURLE_COULDNT_CONNECT, .sent = false})));
  EXPECT_FALSE(WasNotSent(StatusOfCurl({.code = CURLE_RECV_ERROR})));
  EXPECT_THAT(StatusOfCurl({.code = CURLE_OK, .sent = false}), IsOk());
}

TEST(CurlStatusTest, WhatAServerSaysCannotForgeLines) {
  const std::string message(
      StatusOfCurl({.code = CURLE_RECV_ERROR, .detail = "a\r\nb\x1b\xff"})
          .message());
  EXPECT_THAT(message, ::testing::EndsWith(": a??b??"));
  const std::string long_detail(1000, 'x');
  EXPECT_LT(StatusOfCurl({.code = CURLE_RECV_ERROR, .detail = long_detail})
                .message()
                .size(),
            400U);
}

}  // namespace
}  // namespace latchkey
