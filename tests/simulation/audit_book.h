// The audit records of all brokers of a history, in the order in which they
// were written, and what must be true of them.

#ifndef LATCHKEY_TESTS_SIMULATION_AUDIT_BOOK_H_
#define LATCHKEY_TESTS_SIMULATION_AUDIT_BOOK_H_

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <absl/time/time.h>

#include "audit/audit_log.h"
#include "core/clock.h"
#include "tests/simulation/network.h"
#include "tests/simulation/violation.h"

namespace latchkey_testing {

// Whether a refusal of this reason means that a token is misused. Written anew,
// so that services/misuse.h is judged by another one.
bool MeansMisuse(std::string_view reason);

class AuditBook {
 public:
  // `keep_lines`: for Prove().
  AuditBook(bool keep_lines, Violations& violations)
      : keep_lines_(keep_lines), violations_(violations) {}

  // `event` is in the file of `broker`, whose clock said `time`.
  void Record(int broker, const latchkey::AuditEvent& event, absl::Time time);

  // `event` could not be written.
  void Miss(const latchkey::AuditEvent& event);

  // Whether any broker said that the token of this id is misused, and why, or
  // would have if it could.
  bool SaysMisuse(const std::string& token_id, std::string_view reason) const;
  // Whether any broker said `action` of this CSR, and of this token (by UID;
  // empty: whichever).
  bool Says(std::string_view action, const std::string& token_uid,
            const std::string& csr_uid) const;
  // The same of the certificate that a token was spent on.
  bool SaysSpent(const std::string& token_uid,
                 const std::string& fingerprint) const;

  // Writes what `latchkeyctl audit verify` reads, as it reads it, and has it
  // proved.
  void Prove() const;
  // A file of each broker.
  std::vector<std::string> Texts() const;

 private:
  struct Token {
    std::set<std::pair<int, std::string>> reserved;  // broker, CSR
    std::set<std::string> released;
    std::string approved;  // and not released
    std::string spent_on;
    std::string spent_as;
  };
  struct Line {
    latchkey::AuditEvent event;
    absl::Time time;
  };

  void OnApproval(int broker, const std::string& csr, Token& token);

  const bool keep_lines_;
  Violations& violations_;
  // Action, token's UID or nothing, CSR's UID.
  std::set<std::tuple<std::string, std::string, std::string>> said_;
  // Token's id, reason.
  std::set<std::pair<std::string, std::string>> misused_;
  std::map<std::string, Token> tokens_;  // by UID
  std::map<int, std::vector<Line>> lines_;
};

// The audit log of one broker process: fails as disks do.
class SimulatedAuditLog final : public latchkey::AuditLog {
 public:
  // All must outlive this.
  SimulatedAuditLog(int broker, AuditBook& book, Network& network,
                    const latchkey::Clock& clock)
      : broker_(broker), book_(book), network_(network), clock_(clock) {}

  absl::Status RecordAll(
      const std::vector<latchkey::AuditEvent>& events) override;

 private:
  const int broker_;
  AuditBook& book_;
  Network& network_;
  const latchkey::Clock& clock_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_AUDIT_BOOK_H_
