#include "clients/ctl/broker_api.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <absl/strings/cord.h>

#include "core/reasons.h"
#include "core/refusal.h"

namespace latchkey {
namespace {

constexpr absl::string_view kOutcomeUrl = "latchkey.dev/outcome";
constexpr char kMayBeDone[] = "may be done";
constexpr char kNotDone[] = "not done";

// Of the reasons, those that do not say that nothing was done.
constexpr std::array<std::string_view, 4> kUncertain = {
    reason::kClusterUnavailable, reason::kAuditUnavailable, reason::kCallerGone,
    reason::kInternal};

}  // namespace

bool MayBeDone(const absl::Status& status) {
  const auto outcome = status.GetPayload(kOutcomeUrl);
  if (outcome.has_value()) return *outcome == kMayBeDone;
  const std::string reason = ReasonOf(status);
  if (reason.empty()) return OutcomeIsUnknown(status);
  return std::ranges::find(kUncertain, reason) != kUncertain.end();
}

absl::Status WithOutcome(absl::Status status, bool may_be_done) {
  status.SetPayload(kOutcomeUrl,
                    absl::Cord(may_be_done ? kMayBeDone : kNotDone));
  return status;
}

}  // namespace latchkey
