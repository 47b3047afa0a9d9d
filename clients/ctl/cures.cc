#include "clients/ctl/cures.h"

#include <algorithm>
#include <array>

#include <absl/strings/cord.h>
#include <fmt/format.h>

#include "clients/ctl/command_context.h"
#include "clients/ctl/field_flags.h"
#include "clients/ctl/visible_text.h"
#include "core/reasons.h"
#include "core/refusal.h"

namespace latchkey {
namespace {

struct Cure {
  std::string_view reason;
  std::string_view text;
};

constexpr std::array kCures = {
    Cure{"INVALID_FIELD", "correct the field that is named, and run it again"},
    Cure{"UNAUTHENTICATED",
         "check the certificate or the token file of this context: it must be "
         "valid now, and of an authority or issuer that the broker trusts"},
    Cure{"POLICY_DENIED",
         "ask for what the rule allows, or have the broker's policy changed"},
    Cure{"REQUEST_ID_REUSED",
         "leave --request-id out, or use a new one for a new request"},
    Cure{"OVERLOADED", "run it again in a moment; --timeout waits longer"},
    Cure{"RATE_LIMITED",
         "run it again in a moment, and less often; --timeout waits longer"},
    Cure{"QUOTA_OUTSTANDING",
         "wait until machines have joined, or revoke tokens that nobody needs: "
         "latchkeyctl list --state issued,active"},
    Cure{"CLUSTER_UNAVAILABLE",
         "see whether the broker reaches the API server, and run it again"},
    Cure{"AUDIT_UNAVAILABLE",
         "see the broker's log and its disk: it refuses what it cannot record"},
    Cure{"ISSUER_UNAVAILABLE",
         "run it again; if it lasts, the broker cannot fetch the keys of the "
         "issuer of this bearer token: see its log"},
    Cure{"BROKER_STOPPING",
         "run it again: another replica, or its next start, "
         "answers"},
    Cure{"TOO_MANY_WATCHES",
         "end a watch that nobody reads, or wait: the broker serves only so "
         "many at a time"},
    Cure{"INTERNAL", "see the broker's log"},
    Cure{"CALLER_GONE",
         "run it again; if it lasts, --timeout gives the broker more time"},
    Cure{"PAGE_EXPIRED", "run it again: the listing took too long"},
    Cure{"TOKEN_UNKNOWN",
         "check the id with latchkeyctl list: the token is not there any more, "
         "or is not yours"},
    Cure{"TOKEN_EXPIRED", "issue a new one"},
    Cure{"TOKEN_SPENT",
         "it has bought its certificate; issue a new one for another machine. "
         "To shut out a machine that has joined, delete its Node and its "
         "access"},
    Cure{"TOKEN_REVOKED",
         "find out why with latchkeyctl explain; then issue a new one"},
    Cure{"NODE_EXISTS",
         "delete the Node, or issue with --allow-node-replacement"},
};

bool IsPassing(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnknown:
      return true;
    default:
      return false;
  }
}

// Of an error without a reason: found on this side, or by whatever stands
// between us and the broker.
std::string_view CureOfCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return "is the broker running, is the endpoint right, and do both sides "
             "trust each other's certificate authority?";
    case absl::StatusCode::kInvalidArgument:
      return "correct the arguments or the file that is named: latchkeyctl "
             "COMMAND --help explains the arguments, docs/latchkeyctl.md the "
             "files";
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return "check the identity and the endpoint of this context: this is no "
             "answer of a broker's policy, which would have a reason";
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnimplemented:
      return "check the endpoint: this is no broker, or one that does not know "
             "this call: update it";
    case absl::StatusCode::kResourceExhausted:
      return "run it again in a moment; if it lasts, ask for less at once";
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kCancelled:
      return "run it again";
    default:
      return "run it again; if it lasts, see the broker's log";
  }
}

constexpr absl::string_view kCureUrl = "latchkey.dev/cure";

// A mistake of the arguments or the configuration, found on this side: its
// lines are ours.
bool IsOurs(const absl::Status& status) {
  return absl::IsInvalidArgument(status) && ReasonOf(status).empty();
}

std::string MessageOf(const absl::Status& status) {
  const std::string message(status.message());
  if (!IsOurs(status)) return Visible(message);
  std::string text;
  size_t begin = 0;
  for (size_t end = 0; end != std::string::npos; begin = end + 1) {
    end = message.find('\n', begin);
    if (begin > 0) text += '\n';
    text += Visible(message.substr(begin, end - begin));
  }
  return text;
}

}  // namespace

std::string_view CureOf(std::string_view reason) {
  const auto* const cure = std::ranges::find(kCures, reason, &Cure::reason);
  return cure == kCures.end() ? std::string_view() : cure->text;
}

std::string CureOf(const absl::Status& status) {
  if (const auto own = status.GetPayload(kCureUrl)) return std::string(*own);
  const std::string_view flag = FlagOf(status);
  if (!flag.empty()) return fmt::format("correct {}, and run it again", flag);
  const std::string reason = ReasonOf(status);
  if (reason.empty()) return std::string(CureOfCode(status.code()));
  const std::string_view cure = CureOf(reason);
  return std::string(cure.empty() ? "docs/errors.md explains the reason"
                                  : cure);
}

absl::Status WithCure(absl::Status status, std::string_view cure) {
  status.SetPayload(kCureUrl, absl::Cord(std::string(cure)));
  return status;
}

int ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return kDone;
  // Which side noticed makes no difference to whoever typed it.
  if (IsOurs(status) || ReasonOf(status) == reason::kInvalidField) {
    return kBadUsage;
  }
  return IsPassing(status) ? kFailedForNow : kRefused;
}

std::string ErrorText(const absl::Status& status) {
  std::string text = fmt::format("latchkeyctl: {}\n", MessageOf(status));
  const std::string reason = ReasonOf(status);
  if (!reason.empty()) {
    text += fmt::format("reason: {}\n", Visible(reason));
    for (const auto& [key, value] : MetadataOf(status)) {
      text += fmt::format("  {}: {}\n", Visible(key), Visible(value));
    }
  }
  return text + fmt::format("what to do: {}\n", CureOf(status));
}

}  // namespace latchkey
