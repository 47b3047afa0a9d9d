#include "clients/ctl/token_text.h"

#include <map>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "clients/ctl/data_tree.h"
#include "core/text_time.h"
#include "crypto/digest.h"

namespace latchkey {
namespace {

// An enumerator without its enum's prefix, in lower case.
std::string Lower(std::string name, std::string_view prefix) {
  if (name.starts_with(prefix)) name.erase(0, prefix.size());
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name.empty() ? "unknown" : name;
}

std::string IdentityName(v1::IdentityKind kind) {
  return Lower(v1::IdentityKind_Name(kind), "IDENTITY_KIND_");
}

std::string DurationText(const google::protobuf::Duration& duration) {
  return absl::FormatDuration(absl::Seconds(duration.seconds()));
}

// "name  value" a line, the values aligned; empty values are left out.
class Description {
 public:
  void Add(std::string_view name, const std::string& value) {
    if (value.empty()) return;
    text_ += fmt::format("{:<14}{}\n", name, Visible(value));
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

void DescribeScope(const v1::TokenScope& scope, Description& lines) {
  for (const std::string& group : scope.groups()) lines.Add("group", group);
  if (scope.has_max_certificate_lifetime()) {
    lines.Add("certificate",
              "at most " + DurationText(scope.max_certificate_lifetime()));
  }
  if (!scope.public_key_sha256().empty()) {
    lines.Add("key", "only " + HexEncode(scope.public_key_sha256()));
  }
  if (scope.allow_node_replacement()) {
    lines.Add("replacement", "may take the name of a Node that exists");
  }
}

void DescribeLife(const v1::Token& token, Description& lines) {
  if (token.has_claim()) {
    lines.Add(
        "claimed",
        fmt::format("{} by {}, key {}", TimeText(token.claim().claim_time()),
                    token.claim().claimant(),
                    HexEncode(token.claim().public_key_sha256())));
  }
  if (token.has_reservation()) {
    lines.Add("CSR", fmt::format("{} at {}", token.reservation().csr_name(),
                                 TimeText(token.reservation().reserve_time())));
  }
  if (token.has_certificate()) {
    lines.Add(
        "certificate",
        fmt::format("serial {}, valid until {}", token.certificate().serial(),
                    TimeText(token.certificate().not_after())));
  }
  if (token.has_revocation()) {
    lines.Add("revoked", fmt::format("{} by {}: {}",
                                     TimeText(token.revocation().revoke_time()),
                                     token.revocation().revoked_by(),
                                     token.revocation().reason()));
  }
  for (const v1::RefusedAttempt& attempt : token.refused_attempts()) {
    lines.Add("refused", fmt::format("{} {} by {}", TimeText(attempt.time()),
                                     attempt.reason(), attempt.by()));
  }
}

std::string CsrOutcome(const v1::ExplainCsr& csr) {
  std::string text = csr.verdict();
  if (!csr.reason().empty()) text += " " + csr.reason();
  if (!csr.message().empty()) text += ": " + csr.message();
  if (csr.holds_token()) text += "; holds the token";
  if (csr.certificate_issued()) text += "; certificate issued";
  return text;
}

}  // namespace

std::string StateName(v1::TokenState state) {
  return Lower(v1::TokenState_Name(state), "TOKEN_STATE_");
}

std::string EventName(v1::TokenEvent::Type type) {
  return Lower(v1::TokenEvent::Type_Name(type), "TYPE_");
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0 && time.nanos() == 0) return "";
  return FormatRfc3339(absl::FromUnixSeconds(time.seconds()));
}

std::string LabelText(const v1::Token& token) {
  const std::map<std::string, std::string> sorted(token.labels().begin(),
                                                  token.labels().end());
  std::string text;
  for (const auto& [key, value] : sorted) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value);
  }
  return text;
}

std::vector<std::string> TokenHeader() {
  return {"ID", "STATE", "NODE", "EXPIRES", "PROVISIONER", "LABELS"};
}

std::vector<std::string> TokenCells(const v1::Token& token) {
  return {token.id(),
          StateName(token.state()),
          token.scope().node_name(),
          TimeText(token.expire_time()),
          token.provisioner(),
          LabelText(token)};
}

std::string TokenDescription(const v1::Token& token) {
  Description lines;
  lines.Add("id", token.id());
  lines.Add("state", StateName(token.state()));
  lines.Add("node", token.scope().node_name());
  lines.Add("delivery",
            Lower(v1::Delivery_Name(token.delivery()), "DELIVERY_"));
  lines.Add("provisioner", fmt::format("{} ({})", token.provisioner(),
                                       IdentityName(token.provisioner_kind())));
  lines.Add("rule", token.rule());
  lines.Add("created", TimeText(token.create_time()));
  lines.Add("expires", TimeText(token.expire_time()));
  lines.Add("labels", LabelText(token));
  DescribeScope(token.scope(), lines);
  DescribeLife(token, lines);
  return lines.Take();
}

std::string LineageText(const v1::ExplainTokenResponse& answer) {
  std::string text = TokenDescription(answer.token());
  if (answer.steps_size() > 0) {
    TextTable steps({"TIME", "EVENT", "WHAT HAPPENED"});
    for (const v1::ExplainStep& step : answer.steps()) {
      steps.Add(
          {TimeText(step.time()), EventName(step.type()), step.description()});
    }
    text += "\n" + steps.Take();
  }
  if (answer.csrs_size() > 0) {
    TextTable csrs({"CREATED", "CSR", "OUTCOME"});
    for (const v1::ExplainCsr& csr : answer.csrs()) {
      csrs.Add({TimeText(csr.create_time()), csr.name(), CsrOutcome(csr)});
    }
    text += "\n" + csrs.Take();
    if (answer.more_csrs()) text += "there are, or may be, more CSRs\n";
  }
  text += "\n";
  if (!answer.has_node()) return text + "there is no Node of this name\n";
  return text + fmt::format("Node {} since {} (uid {})\n",
                            Visible(answer.node().name()),
                            TimeText(answer.node().create_time()),
                            Visible(answer.node().uid()));
}

TokenPrinter::TokenPrinter(std::ostream& out, std::string output)
    : out_(out), output_(std::move(output)), table_(TokenHeader()) {}

void TokenPrinter::Add(const v1::Token& token) {
  if (output_ == "json") {
    out_ << JsonLine(token);
  } else if (output_ == "yaml") {
    out_ << "---\n" << ToYaml(TreeOf(token));
  } else if (output_ == "name") {
    out_ << Visible(token.id()) << "\n";
  } else {
    table_.Add(TokenCells(token));
  }
}

void TokenPrinter::WritePage() {
  if (output_ == "table") out_ << table_.Take();
}

}  // namespace latchkey
