#include "clients/kubernetes/kubernetes_status.h"

#include <vector>

#include <gmock/gmock.h>

#include "clients/kubernetes/envelope.h"
#include "core/refusal.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::latchkey_testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::Not;

kubernetes::Status Failure(int code, const std::string& reason) {
  kubernetes::Status status;
  status.set_status("Failure");
  status.set_code(code);
  status.set_reason(reason);
  status.set_message("because");
  return status;
}

TEST(KubernetesStatusTest, AVersionThatIsNotReachedYetIsOutOfRange) {
  kubernetes::Status status = Failure(504, "Timeout");
  status.mutable_details()->add_causes()->set_reason("ResourceVersionTooLarge");

  EXPECT_THAT(StatusOfKubernetes(status, "watch nodes"),
              StatusIs(absl::StatusCode::kOutOfRange));
}

TEST(KubernetesStatusTest, EachReasonHasItsMeaning) {
  struct Case {
    int code;
    const char* reason;
    absl::StatusCode want;
  };
  for (const Case& c : std::vector<Case>{
           {400, "BadRequest", absl::StatusCode::kInvalidArgument},
           {401, "Unauthorized", absl::StatusCode::kUnauthenticated},
           {403, "Forbidden", absl::StatusCode::kPermissionDenied},
           {404, "NotFound", absl::StatusCode::kNotFound},
           {405, "MethodNotAllowed", absl::StatusCode::kUnimplemented},
           {406, "NotAcceptable", absl::StatusCode::kUnimplemented},
           {409, "AlreadyExists", absl::StatusCode::kAlreadyExists},
           {409, "Conflict", absl::StatusCode::kAborted},
           {409, "", absl::StatusCode::kAborted},
           {410, "Expired", absl::StatusCode::kOutOfRange},
           {410, "Gone", absl::StatusCode::kOutOfRange},
           {413, "RequestEntityTooLarge", absl::StatusCode::kInvalidArgument},
           {415, "UnsupportedMediaType", absl::StatusCode::kUnimplemented},
           {422, "Invalid", absl::StatusCode::kInvalidArgument},
           {429, "TooManyRequests", absl::StatusCode::kResourceExhausted},
           {500, "InternalError", absl::StatusCode::kInternal},
           {500, "ServerTimeout", absl::StatusCode::kUnavailable},
           {500, "", absl::StatusCode::kInternal},
           {503, "ServiceUnavailable", absl::StatusCode::kUnavailable},
           {504, "Timeout", absl::StatusCode::kDeadlineExceeded},
           {200, "", absl::StatusCode::kInternal},
           {0, "Whatever", absl::StatusCode::kInternal}}) {
    EXPECT_THAT(
        StatusOfKubernetes(Failure(c.code, c.reason), "get nodes n"),
        StatusIs(c.want, c.code == 422 ? "get nodes n: the object is invalid"
                                       : "get nodes n: because"))
        << c.code << c.reason;
  }
}

TEST(KubernetesStatusTest, OfAnInvalidObjectNoValueIsRepeated) {
  kubernetes::Status invalid = Failure(422, "Invalid");
  invalid.set_message("data.token: Invalid value: \"the-secret\"");
  auto* cause = invalid.mutable_details()->add_causes();
  cause->set_field("data.token");
  cause->set_reason("FieldValueInvalid");
  cause->set_message("Invalid value: \"the-secret\"");

  const absl::Status status = StatusOfKubernetes(invalid, "create secrets s");

  EXPECT_THAT(std::string(status.message()),
              HasSubstr("data.token: FieldValueInvalid"));
  EXPECT_THAT(status.ToString(), Not(HasSubstr("the-secret")));
}

TEST(KubernetesStatusTest, MessagesAreOneShortLine) {
  kubernetes::Status status = Failure(403, "Forbidden");
  status.set_message("two\nlines" + std::string(2000, 'x'));
  const std::string message(StatusOfKubernetes(status, "get").message());
  EXPECT_THAT(message, Not(HasSubstr("\n")));
  EXPECT_LE(message.size(), 512U);
}

TEST(KubernetesStatusTest, KeepsTheDelayThatTheServerAsksFor) {
  kubernetes::Status busy = Failure(429, "TooManyRequests");
  EXPECT_EQ(RetryAfterOf(StatusOfKubernetes(busy, "")), std::nullopt);
  busy.mutable_details()->set_retry_after_seconds(3);
  EXPECT_EQ(RetryAfterOf(StatusOfKubernetes(busy, "")), absl::Seconds(3));

  HttpResponse response{.status = 429,
                        .body = WrapObject("v1", "Status", busy)};
  EXPECT_EQ(RetryAfterOf(StatusOfResponse(response, "")), absl::Seconds(3));
  response.headers = {{"retry-after", "7"}};
  EXPECT_EQ(RetryAfterOf(StatusOfResponse(response, "")), absl::Seconds(7));
}

TEST(KubernetesStatusTest, OverloadIsRefusedInPlainText) {
  const absl::Status status =
      StatusOfResponse({.status = 429,
                        .headers = {{"retry-after", "1"}},
                        .body = "Too many requests, please try again later.\n"},
                       "create secrets s");

  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kResourceExhausted,
                       "create secrets s: the server answered HTTP 429"));
  EXPECT_EQ(RetryAfterOf(status), absl::Seconds(1));
}

TEST(KubernetesStatusTest, ABodyThatIsNoStatusIsNotBelieved) {
  const std::string forged =
      WrapObject("v1", "Secret", Failure(404, "NotFound"));
  EXPECT_THAT(StatusOfResponse({.status = 500, .body = forged}, "get"),
              StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(StatusOfResponse({.status = 404, .body = "404 page"}, "get"),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(StatusOfResponse({.status = 201, .body = "whatever"}, "get"),
              IsOk());
}

}  // namespace
}  // namespace latchkey
