#include "clients/doctor/finding.h"

#include <algorithm>

#include <fmt/format.h>

#include "clients/doctor/shown_text.h"

namespace latchkey {
namespace {

constexpr size_t kMaxEvidence = 12;

}  // namespace

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kOk:
      return "ok";
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "error";
}

Severity WorstOf(const Findings& findings) {
  Severity worst = Severity::kOk;
  for (const Finding& finding : findings) {
    worst = std::max(worst, finding.severity);
  }
  return worst;
}

Finding NotChecked(std::string_view check, Severity severity,
                   const absl::Status& error, std::string_view needs) {
  const bool denied =
      absl::IsPermissionDenied(error) || absl::IsUnauthenticated(error);
  return {.id = fmt::format("{}-not-checked", check),
          .severity = severity,
          .message = denied ? fmt::format("could not look: it needs {}", needs)
                            : fmt::format("could not look at {}", check),
          .evidence = {Shown(std::string(error.message()))},
          .advice = denied ? fmt::format("run it as somebody who may {}", needs)
                           : ""};
}

std::vector<std::string> FirstOf(const std::vector<std::string>& lines) {
  if (lines.size() <= kMaxEvidence) return lines;
  std::vector<std::string> first(lines.begin(), lines.begin() + kMaxEvidence);
  first.push_back(fmt::format("and {} more", lines.size() - kMaxEvidence));
  return first;
}

std::string Counted(size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace latchkey
