// Findings as text for people, and as JSON for programs.

#ifndef LATCHKEY_CLIENTS_DOCTOR_REPORT_H_
#define LATCHKEY_CLIENTS_DOCTOR_REPORT_H_

#include <string>

#include "clients/doctor/finding.h"

namespace latchkey {

// The worst first; a last line counts them.
std::string TableOf(const Findings& findings);

// {"worst": ..., "findings": [{"id", "severity", "message", "evidence": [],
// "commands": [], "advice"}]}, a finding a line, in the same order.
std::string JsonOf(const Findings& findings);

// Makes the commands speak to the cluster of this kubeconfig.
void NameKubeconfig(const std::string& path, Findings& findings);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_DOCTOR_REPORT_H_
