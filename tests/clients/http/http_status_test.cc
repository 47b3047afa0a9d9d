#include "clients/http/http_status.h"

#include <vector>

#include <gmock/gmock.h>

#include "core/refusal.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

TEST(HttpStatusTest, EachCodeHasItsMeaning) {
  struct Case {
    int http;
    absl::StatusCode want;
  };
  for (const Case& c :
       std::vector<Case>{{200, absl::StatusCode::kOk},
                         {201, absl::StatusCode::kOk},
                         {204, absl::StatusCode::kOk},
                         {0, absl::StatusCode::kInternal},
                         {301, absl::StatusCode::kInternal},
                         {302, absl::StatusCode::kInternal},
                         {400, absl::StatusCode::kInvalidArgument},
                         {401, absl::StatusCode::kUnauthenticated},
                         {403, absl::StatusCode::kPermissionDenied},
                         {404, absl::StatusCode::kNotFound},
                         {405, absl::StatusCode::kUnimplemented},
                         {406, absl::StatusCode::kUnimplemented},
                         {408, absl::StatusCode::kDeadlineExceeded},
                         {409, absl::StatusCode::kAborted},
                         {410, absl::StatusCode::kOutOfRange},
                         {413, absl::StatusCode::kInvalidArgument},
                         {415, absl::StatusCode::kUnimplemented},
                         {418, absl::StatusCode::kInternal},
                         {422, absl::StatusCode::kInvalidArgument},
                         {429, absl::StatusCode::kResourceExhausted},
                         {500, absl::StatusCode::kInternal},
                         {501, absl::StatusCode::kUnimplemented},
                         {502, absl::StatusCode::kUnavailable},
                         {503, absl::StatusCode::kUnavailable},
                         {504, absl::StatusCode::kDeadlineExceeded},
                         {599, absl::StatusCode::kInternal}}) {
    EXPECT_EQ(StatusCodeOfHttp(c.http), c.want) << c.http;
  }
}

TEST(HttpStatusTest, RetryAfterIsInSeconds) {
  const auto after = [](const std::string& value) {
    return RetryAfterOfResponse({.headers = {{"retry-after", value}}});
  };
  EXPECT_EQ(after("0"), absl::ZeroDuration());
  EXPECT_EQ(after("7"), absl::Seconds(7));
  EXPECT_EQ(after("3601"), absl::Hours(1));
  EXPECT_EQ(after("99999999999999999999"), absl::Hours(1));
  for (const char* bad :
       {"", "-1", "1.5", "1s", " 1", "soon", "Fri, 31 Dec 1999 23:59:59 GMT"}) {
    EXPECT_EQ(after(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(RetryAfterOfResponse({}), std::nullopt);
}

TEST(HttpStatusTest, KnowsWhatWasNotSent) {
  const absl::Status error = absl::UnavailableError("no route");
  EXPECT_FALSE(WasNotSent(error));
  EXPECT_TRUE(WasNotSent(MarkNotSent(error)));
  EXPECT_EQ(MarkNotSent(error).code(), error.code());
}

}  // namespace
}  // namespace latchkey
