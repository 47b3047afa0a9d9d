#include "clients/doctor/report.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "clients/doctor/shown_text.h"
#include "clients/log/event_log.h"

namespace latchkey {
namespace {

constexpr std::string_view kKubectl = "kubectl ";

Findings WorstFirst(Findings findings) {
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) {
                     return a.severity > b.severity;
                   });
  return findings;
}

std::string Summary(const Findings& findings) {
  const auto count = [&](Severity severity) {
    return static_cast<size_t>(std::count_if(
        findings.begin(), findings.end(),
        [&](const Finding& one) { return one.severity == severity; }));
  };
  return fmt::format(
      "{}, {}, {}, {} ok\n", Counted(count(Severity::kError), "error"),
      Counted(count(Severity::kWarning), "warning"),
      Counted(count(Severity::kInfo), "note"), count(Severity::kOk));
}

std::string JsonArray(const std::vector<std::string>& texts) {
  std::string array = "[";
  for (const std::string& text : texts) {
    if (array.size() > 1) array += ", ";
    array += JsonString(text);
  }
  return array + "]";
}

}  // namespace

std::string TableOf(const Findings& findings) {
  std::string table;
  for (const Finding& finding : WorstFirst(findings)) {
    table += fmt::format("{:<8} {:<32} {}\n", SeverityName(finding.severity),
                         finding.id, finding.message);
    for (const std::string& line : finding.evidence) {
      table += fmt::format("           - {}\n", line);
    }
    for (const std::string& command : finding.commands) {
      table += fmt::format("         $ {}\n", command);
    }
    if (!finding.advice.empty()) {
      table += fmt::format("         > {}\n", finding.advice);
    }
  }
  return table + Summary(findings);
}

std::string JsonOf(const Findings& findings) {
  std::string json = fmt::format("{{\"worst\": {}, \"findings\": [",
                                 JsonString(SeverityName(WorstOf(findings))));
  std::string_view separator = "\n";
  for (const Finding& finding : WorstFirst(findings)) {
    json += fmt::format(
        R"({}  {{"id": {}, "severity": {}, "message": {}, "evidence": {}, )"
        R"("commands": {}, "advice": {}}})",
        separator, JsonString(finding.id),
        JsonString(SeverityName(finding.severity)), JsonString(finding.message),
        JsonArray(finding.evidence), JsonArray(finding.commands),
        JsonString(finding.advice));
    separator = ",\n";
  }
  return json + "\n]}\n";
}

void NameKubeconfig(const std::string& path, Findings& findings) {
  for (Finding& finding : findings) {
    for (std::string& command : finding.commands) {
      if (!std::string_view(command).starts_with(kKubectl)) continue;
      command.insert(kKubectl.size(),
                     fmt::format("--kubeconfig {} ", ShellWord(path)));
    }
  }
}

}  // namespace latchkey
