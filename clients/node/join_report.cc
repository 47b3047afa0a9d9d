#include "clients/node/join_report.h"

#include <fmt/format.h>

#include "clients/log/event_log.h"
#include "core/refusal.h"
#include "core/text_time.h"

namespace latchkey {
namespace {

std::string Printable(std::string_view text) {
  std::string clean(text);
  for (char& c : clean) {
    if ((c >= 0 && c < ' ') || c == '\x7f') c = ' ';
  }
  return clean;
}

}  // namespace

JoinVerdict VerdictOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return JoinVerdict::kJoined;
    case absl::StatusCode::kInvalidArgument:
      return JoinVerdict::kBadConfiguration;
    case absl::StatusCode::kPermissionDenied:
      return JoinVerdict::kRefused;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return JoinVerdict::kTryAgain;
    default:
      return JoinVerdict::kError;
  }
}

std::string_view VerdictName(JoinVerdict verdict) {
  switch (verdict) {
    case JoinVerdict::kJoined:
      return "joined";
    case JoinVerdict::kError:
      return "error";
    case JoinVerdict::kBadConfiguration:
      return "bad configuration";
    case JoinVerdict::kRefused:
      return "refused";
    case JoinVerdict::kTryAgain:
      return "try again";
  }
  return "error";
}

std::string ReportLine(ReportFormat format, const JoinProgress& progress,
                       absl::Time now) {
  if (format == ReportFormat::kText) {
    return fmt::format("latchkey-join: {}\n", Printable(progress.text));
  }
  std::string line = fmt::format(
      R"({{"time":"{}","event":{},"message":{})",
      absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ", now, absl::UTCTimeZone()),
      JsonString(progress.step), JsonString(progress.text));
  for (const auto& [key, value] : progress.fields) {
    if (value.empty()) continue;
    line += fmt::format(",{}:{}", JsonString(key), JsonString(value));
  }
  return line + "}\n";
}

std::string VerdictLine(ReportFormat format, std::string_view node_name,
                        const absl::StatusOr<JoinResult>& result,
                        absl::Time now) {
  JoinProgress progress{.step = "verdict"};
  const JoinVerdict verdict = VerdictOf(result.status());
  progress.fields = {{"verdict", std::string(VerdictName(verdict))},
                     {"node", std::string(node_name)}};
  if (result.ok()) {
    const std::string expiry = FormatRfc3339(result->certificate.not_after);
    progress.text = fmt::format(
        "{} as {}; the certificate is valid until {}",
        result->kind == JoinResult::Kind::kJoined ? "joined" : "already joined",
        node_name, expiry);
    progress.fields.emplace_back("not_after", expiry);
    if (result->kind == JoinResult::Kind::kAlreadyJoined) {
      progress.fields.emplace_back("already", "true");
    }
    return ReportLine(format, progress, now);
  }
  const std::string message(result.status().message());
  if (format == ReportFormat::kText &&
      verdict == JoinVerdict::kBadConfiguration) {
    // A list of mistakes, which are our own words.
    return fmt::format("latchkey-join: bad configuration\n{}\n", message);
  }
  const std::string reason = ReasonOf(result.status());
  progress.text =
      fmt::format("{}: {}{}", VerdictName(verdict), message,
                  reason.empty() ? "" : fmt::format(" ({})", reason));
  progress.fields.emplace_back("reason", reason);
  return ReportLine(format, progress, now);
}

}  // namespace latchkey
