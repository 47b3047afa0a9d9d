// What the doctor finds: one fact of a cluster each, good or bad, with what
// shows it and how to mend it. docs/doctor.md has a row for each id.

#ifndef LATCHKEY_CLIENTS_DOCTOR_FINDING_H_
#define LATCHKEY_CLIENTS_DOCTOR_FINDING_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

namespace latchkey {

// From harmless to grave.
enum class Severity { kOk, kInfo, kWarning, kError };

// "ok", "info", "warning", "error".
std::string_view SeverityName(Severity severity);

// All text is printable ASCII, whatever objects are called, and never holds a
// secret.
struct Finding {
  std::string id;
  Severity severity = Severity::kOk;
  // A sentence, without the full stop.
  std::string message;
  // Objects, counts, times: one a line.
  std::vector<std::string> evidence = {};
  // For bash: run in this order, they mend it. Each is a line that begins with
  // "kubectl ".
  std::vector<std::string> commands = {};
  // What to do where no kubectl helps; may be empty.
  std::string advice = {};
};

using Findings = std::vector<Finding>;

// kOk of none.
Severity WorstOf(const Findings& findings);

// That `check` could not be made: "<check>-not-checked". Denied, `needs` says
// what the caller lacks, as in "list secrets in kube-system"; other errors are
// named instead.
Finding NotChecked(std::string_view check, Severity severity,
                   const absl::Status& error, std::string_view needs);

// A line for each of `lines`, and one that counts the rest if there are more
// than a reader would read.
std::vector<std::string> FirstOf(const std::vector<std::string>& lines);

// "1 token", "2 tokens".
std::string Counted(size_t count, std::string_view noun);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_DOCTOR_FINDING_H_
