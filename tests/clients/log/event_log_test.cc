#include "clients/log/event_log.h"

#include <gmock/gmock.h>

namespace latchkey {
namespace {

TEST(EventLogTest, StringsAreInert) {
  struct Case {
    const char* name;
    std::string_view text;
    std::string_view want;
  };
  using namespace std::string_view_literals;
  const Case cases[] = {
      {"plain", "worker-1", R"("worker-1")"},
      {"quotes and backslashes", R"(a"b\c)", R"("a\"b\\c")"},
      {"a forged line", "x\n{\"event\":\"y\"}",
       R"("x\u000a{\"event\":\"y\"}")"},
      {"control characters", "\x01\x1b[31m\x7f", R"("\u0001\u001b[31m\u007f")"},
      {"a NUL", "a\0b"sv, R"("a\u0000b")"},
      {"UTF-8", "n\xc3\xb8rd \xe2\x82\xac \xf0\x9f\x94\x91",
       "\"n\xc3\xb8rd \xe2\x82\xac \xf0\x9f\x94\x91\""},
      {"a lone byte", "\xff", R"("\ufffd")"},
      {"a cut sequence", "\xe2\x82", R"("\ufffd\ufffd")"},
      {"an overlong form", "\xc0\xaf", R"("\ufffd\ufffd")"},
      {"a surrogate", "\xed\xa0\x80", R"("\ufffd\ufffd\ufffd")"},
      {"beyond Unicode", "\xf4\x90\x80\x80", R"("\ufffd\ufffd\ufffd\ufffd")"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(JsonString(c.text), c.want);
  }
}

TEST(EventLogTest, LinesAreObjectsAboveTheLevel) {
  ::testing::internal::CaptureStderr();
  StartLogging(LogLevel::kInfo);
  LogEvent(LogLevel::kDebug, "not this");
  LogEvent(LogLevel::kInfo, "token issued", {{"token", "abc123"}});
  const std::string output = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(output, ::testing::MatchesRegex(
                          R"(\{"time":"[0-9T:.-]+Z","level":"info",)"
                          R"("event":"token issued","token":"abc123"\})"
                          "\n"));
  EXPECT_FALSE(LogsAt(LogLevel::kDebug));
}

}  // namespace
}  // namespace latchkey
