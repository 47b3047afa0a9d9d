#include "services/token_lineage.h"

#include <algorithm>
#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "clients/kubernetes/kube_time.h"
#include "core/status_macros.h"
#include "core/text_time.h"
#include "services/csr_rules.h"
#include "services/misuse.h"

namespace latchkey {
namespace {

using kubernetes::CertificateSigningRequest;
using kubernetes::CertificateSigningRequestList;

constexpr int64_t kCsrsAPage = 500;
constexpr int kMaxPages = 40;
// The message of a verdict may be anybody's.
constexpr size_t kMaxMessageBytes = 1024;
// Between the clocks of API servers, as in services/csr_rules.h.
constexpr absl::Duration kClockSkew = absl::Seconds(2);

std::string Cut(std::string text) {
  if (text.size() <= kMaxMessageBytes) return text;
  size_t end = kMaxMessageBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
    --end;  // not in the middle of a character
  }
  return text.substr(0, end);
}

std::string OneLine(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return (c >= '\0' && c < ' ') || c == '\x7f'; }, ' ');
  return text;
}

LineageCsr::Verdict VerdictOf(std::string_view condition) {
  if (condition == "Denied") return LineageCsr::Verdict::kDenied;
  if (condition == "Failed") return LineageCsr::Verdict::kFailed;
  return LineageCsr::Verdict::kApproved;
}

LineageCsr CsrOf(const CertificateSigningRequest& csr) {
  LineageCsr found{
      .name = csr.metadata().name(),
      .uid = csr.metadata().uid(),
      .create_time = FromKubernetesTime(csr.metadata().creation_timestamp()),
      .certificate_issued = StateOf(csr) == CsrState::kIssued};
  for (const auto& condition : csr.status().conditions()) {
    const LineageCsr::Verdict verdict = VerdictOf(condition.type());
    // A CSR that was approved can fail later: that one counts.
    if (found.verdict != LineageCsr::Verdict::kPending &&
        verdict == LineageCsr::Verdict::kApproved) {
      continue;
    }
    found.verdict = verdict;
    found.reason = condition.reason();
    found.message = Cut(condition.message());
    found.verdict_time = FromKubernetesTime(condition.last_transition_time());
  }
  return found;
}

// Whether the CSR came with this token, and not with one that had its id
// before.
bool IsOfToken(const CertificateSigningRequest& csr,
               const TokenRecord& record) {
  return csr.spec().username() == record.id.Username() &&
         FromKubernetesTime(csr.metadata().creation_timestamp()) + kClockSkew >=
             record.create_time;
}

absl::Status FindCsrs(KubernetesClient& client, TokenLineage& lineage) {
  const TokenRecord& record = lineage.token.record;
  ListQuery query{
      .field_selector = fmt::format("spec.signerName={}", kKubeletClientSigner),
      .limit = kCsrsAPage};
  for (int pages = 0; pages < kMaxPages; ++pages) {
    absl::StatusOr<CertificateSigningRequestList> page =
        client.List<CertificateSigningRequestList>(query);
    if (absl::IsOutOfRange(page.status())) break;  // half a list is not nothing
    LATCHKEY_RETURN_IF_ERROR(page.status());
    for (const CertificateSigningRequest& csr : page->items()) {
      if (!IsOfToken(csr, record)) continue;
      const bool holds = record.reservation.has_value() &&
                         record.reservation->csr_uid == csr.metadata().uid();
      if (lineage.csrs.size() >= TokenLineage::kMaxCsrs && !holds) {
        lineage.more_csrs = true;
        continue;
      }
      lineage.csrs.push_back(CsrOf(csr));
      lineage.csrs.back().holds_token = holds;
    }
    query.continue_token = page->metadata().continue_();
    if (query.continue_token.empty()) return absl::OkStatus();
  }
  lineage.more_csrs = true;
  return absl::OkStatus();
}

absl::Status FindNode(KubernetesClient& client, TokenLineage& lineage) {
  const absl::StatusOr<kubernetes::Node> node =
      client.Get<kubernetes::Node>({"", lineage.token.record.scope.node_name});
  if (absl::IsNotFound(node.status())) return absl::OkStatus();
  LATCHKEY_RETURN_IF_ERROR(node.status());
  lineage.node = {
      .name = node->metadata().name(),
      .uid = node->metadata().uid(),
      .create_time = FromKubernetesTime(node->metadata().creation_timestamp())};
  return absl::OkStatus();
}

class StepWriter {
 public:
  explicit StepWriter(std::vector<LineageStep>& steps) : steps_(steps) {}

  void Add(LineageEvent event, absl::Time time, std::string description) {
    steps_.push_back({.time = time,
                      .event = event,
                      .description = OneLine(std::move(description))});
  }

 private:
  std::vector<LineageStep>& steps_;
};

// True if the attempt is one of `csrs`, which say more of it than a note does.
bool IsOneOf(const std::vector<LineageCsr>& csrs,
             const RefusedAttempt& attempt) {
  return std::any_of(csrs.begin(), csrs.end(), [&](const LineageCsr& csr) {
    return csr.verdict == LineageCsr::Verdict::kDenied &&
           csr.reason == attempt.reason && attempt.by == CsrAttempt(csr.name);
  });
}

void TellRecord(const TokenLineage& lineage, absl::Time now,
                StepWriter& steps) {
  const TokenRecord& record = lineage.token.record;
  steps.Add(LineageEvent::kIssued, record.create_time,
            fmt::format("{} issued it for the node {} under the rule '{}', "
                        "with {} delivery",
                        record.provisioner, record.scope.node_name, record.rule,
                        DeliveryName(record.delivery)));
  if (const auto& claim = record.claim) {
    steps.Add(LineageEvent::kClaimed, claim->time,
              fmt::format("{} claimed the ticket with the key {}",
                          claim->claimant, claim->key_digest));
  }
  for (const RefusedAttempt& attempt : record.refused) {
    if (IsOneOf(lineage.csrs, attempt)) continue;  // told with its message
    steps.Add(LineageEvent::kRefused, attempt.time,
              fmt::format("{} was refused: {}", attempt.by, attempt.reason));
  }
  if (const auto& held = record.reservation) {
    steps.Add(LineageEvent::kReserved, held->time,
              fmt::format("CSR {} took it", held->csr_name));
  }
  if (const auto& bought = record.certificate) {
    steps.Add(LineageEvent::kJoined, bought->time,
              fmt::format("the certificate {} is issued, valid until {}: the "
                          "token is spent",
                          bought->serial, FormatRfc3339(bought->not_after)));
  }
  if (const auto& revoked = record.revocation) {
    steps.Add(LineageEvent::kRevoked, revoked->time,
              fmt::format("{} revoked it: {}", revoked->who, revoked->why));
  }
  if (record.state != TokenState::kSpent &&
      record.state != TokenState::kRevoked && record.ExpiredAt(now)) {
    steps.Add(LineageEvent::kExpired, record.expire_time,
              "it expired before it was used");
  }
}

void TellCsr(const LineageCsr& csr, StepWriter& steps) {
  if (csr.verdict == LineageCsr::Verdict::kApproved) {
    steps.Add(LineageEvent::kApproved, csr.verdict_time,
              fmt::format("CSR {} was approved", csr.name));
  }
  if (csr.verdict == LineageCsr::Verdict::kDenied) {
    steps.Add(LineageEvent::kRefused, csr.verdict_time,
              fmt::format("CSR {} was denied: {}: {}", csr.name, csr.reason,
                          csr.message));
  }
}

// Times are whole seconds; within one, the order of a token's life. What
// nobody knows the time of stands at the end.
bool IsEarlier(const LineageStep& a, const LineageStep& b) {
  const auto place = [](absl::Time time) {
    return time == absl::InfinitePast() ? absl::InfiniteFuture() : time;
  };
  return std::pair(place(a.time), a.event) < std::pair(place(b.time), b.event);
}

}  // namespace

absl::StatusOr<TokenLineage> TraceLineage(KubernetesClient& client,
                                          StoredToken token, absl::Time now) {
  TokenLineage lineage{.token = std::move(token)};
  LATCHKEY_RETURN_IF_ERROR(FindCsrs(client, lineage));
  LATCHKEY_RETURN_IF_ERROR(FindNode(client, lineage));
  std::stable_sort(lineage.csrs.begin(), lineage.csrs.end(),
                   [](const LineageCsr& a, const LineageCsr& b) {
                     return a.create_time < b.create_time;
                   });
  StepWriter steps(lineage.steps);
  TellRecord(lineage, now, steps);
  for (const LineageCsr& csr : lineage.csrs) {
    TellCsr(csr, steps);
  }
  std::stable_sort(lineage.steps.begin(), lineage.steps.end(), IsEarlier);
  return lineage;
}

}  // namespace latchkey
