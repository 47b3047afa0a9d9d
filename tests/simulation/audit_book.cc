#include "tests/simulation/audit_book.h"

#include <sstream>
#include <tuple>

#include <fmt/format.h>

#include "audit/audit_record.h"
#include "audit/audit_verify.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "tests/simulation/fiber_switch.h"

namespace latchkey_testing {
namespace {

using latchkey::AuditEvent;

std::string FactOf(const AuditEvent& event, const std::string& name) {
  const auto fact = event.facts.find(name);
  return fact == event.facts.end() ? "" : fact->second;
}

}  // namespace

bool MeansMisuse(std::string_view reason) {
  return reason == latchkey::reason::kScopeNodeName ||
         reason == latchkey::reason::kScopePublicKey ||
         reason == latchkey::reason::kTicketAlreadyClaimed;
}

absl::Status SimulatedAuditLog::RecordAll(
    const std::vector<AuditEvent>& events) {
  const InTheWorld here;
  // The disk takes its time.
  network_.scheduler().Yield();
  if (network_.Strike(network_.rates().failed_record, "audit log fails")) {
    for (const AuditEvent& event : events) book_.Miss(event);
    return latchkey::Refuse(absl::StatusCode::kUnavailable,
                            latchkey::reason::kAuditUnavailable,
                            "the audit log cannot be written");
  }
  for (const AuditEvent& event : events) {
    book_.Record(broker_, event, clock_.Now());
    if (network_.traced()) {
      network_.Trace(fmt::format("audit {} {}: {} {}", broker_, event.action,
                                 event.token_id, FactOf(event, "csr_uid")));
    }
  }
  network_.scheduler().Yield();
  return absl::OkStatus();
}

void AuditBook::Miss(const AuditEvent& event) {
  if (event.action == "token.misuse") {
    misused_.insert({event.token_id, event.reason});
  }
}

void AuditBook::Record(int broker, const AuditEvent& event, absl::Time time) {
  if (keep_lines_) lines_[broker].push_back({event, time});
  if (event.action == "token.misuse") {
    misused_.insert({event.token_id, event.reason});
  }
  const std::string csr = FactOf(event, "csr_uid");
  if (csr.empty()) return;
  said_.insert({event.action, event.token_uid, csr});
  said_.insert({event.action, "", csr});
  Token& token = tokens_[event.token_uid];
  if (event.action == "token.reserve") {
    token.reserved.insert({broker, csr});
  } else if (event.action == "csr.approve") {
    OnApproval(broker, csr, token);
  } else if (event.action == "token.release") {
    if (token.spent_on == csr) {
      violations_.Add("audit: released from the CSR that it is spent on", csr);
    }
    token.released.insert(csr);
    if (token.approved == csr) token.approved.clear();
  } else if (event.action == "token.spend") {
    const std::string as = FactOf(event, "certificate");
    if (!token.spent_on.empty() &&
        (token.spent_on != csr || token.spent_as != as)) {
      violations_.Add("audit: spent on two certificates", csr);
    }
    token.spent_on = csr;
    token.spent_as = as;
  }
}

void AuditBook::OnApproval(int broker, const std::string& csr, Token& token) {
  if (!token.reserved.contains({broker, csr})) {
    violations_.Add("audit: approved without a reservation", csr);
  }
  if (token.released.contains(csr)) return;  // dead: it comes to nothing
  if (!token.approved.empty() && token.approved != csr) {
    violations_.Add("audit: two CSRs of one token approved", csr);
  }
  token.approved = csr;
}

bool AuditBook::SaysMisuse(const std::string& token_id,
                           std::string_view reason) const {
  return misused_.contains({token_id, std::string(reason)});
}

bool AuditBook::Says(std::string_view action, const std::string& token_uid,
                     const std::string& csr_uid) const {
  return said_.contains({std::string(action), token_uid, csr_uid});
}

bool AuditBook::SaysSpent(const std::string& token_uid,
                          const std::string& fingerprint) const {
  const auto token = tokens_.find(token_uid);
  return token != tokens_.end() && token->second.spent_as == fingerprint;
}

std::vector<std::string> AuditBook::Texts() const {
  std::vector<std::string> texts;
  for (const auto& [broker, lines] : lines_) {
    std::string& text = texts.emplace_back();
    latchkey::AuditHead head;
    // Time stands still while a turn lasts, so two brokers may begin with the
    // same record; real clocks tell them apart.
    AuditEvent name;
    name.action = "policy.reload";
    name.facts["digest"] = fmt::format("of broker {}", broker);
    text += latchkey::EncodeAuditLine(name, lines.front().time, head) + "\n";
    for (const Line& line : lines) {
      text += latchkey::EncodeAuditLine(line.event, line.time, head) + "\n";
    }
  }
  return texts;
}

void AuditBook::Prove() const {
  // In a history whose tokens all run out, or are deleted, before a machine
  // asks there may be nothing to record; what had to be is asked for where it
  // is done.
  if (lines_.empty()) return;
  std::vector<std::istringstream> files;
  for (std::string& text : Texts()) files.emplace_back(std::move(text));
  std::vector<latchkey::AuditSource> sources;
  for (size_t i = 0; i < files.size(); ++i) {
    sources.push_back(
        {.name = fmt::format("broker-{}", i), .stream = &files[i]});
  }
  // As far as the brokers' clocks are apart.
  const auto proof =
      latchkey::VerifyAudit(sources, {.clock_skew = absl::Minutes(10)});
  if (!proof.ok()) {
    violations_.Add("audit: not proven", proof.status().ToString());
  }
}

}  // namespace latchkey_testing
