#include "clients/ctl/issue_request.h"

#include <sstream>

#include <fmt/format.h>

#include "clients/ctl/filter_flags.h"
#include "core/status_macros.h"
#include "core/text_time.h"
#include "core/token_scope.h"
#include "core/utf8.h"
#include "crypto/digest.h"

namespace latchkey {
namespace {

absl::Status BadField(std::string_view name, std::string_view message) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", name, message));
}

absl::Status SetDuration(std::string_view name, const std::string& text,
                         google::protobuf::Duration& message) {
  const auto duration = ParsePositiveDuration(text);
  if (!duration.ok()) {
    return BadField(name, std::string(duration.status().message()));
  }
  message.set_seconds(absl::ToInt64Seconds(*duration));
  return absl::OkStatus();
}

absl::StatusOr<std::string> DigestBytes(const std::string& digits) {
  if (!IsKeyDigest(digits)) {
    return BadField("public-key-sha256", "64 lower-case hexadecimal digits");
  }
  return HexDecode(digits);
}

void AppendWords(const std::string& text, std::vector<std::string>& words) {
  std::istringstream stream(text);
  for (std::string word; stream >> word;) words.push_back(word);
}

absl::Status SetFlag(const std::string& text, bool& flag) {
  if (text != "true" && text != "false") {
    return BadField("allow-node-replacement", "must be true or false");
  }
  flag = text == "true";
  return absl::OkStatus();
}

}  // namespace

absl::Status SetIssueField(IssueFields& fields, std::string_view name,
                           const std::string& text) {
  if (text.empty()) return absl::OkStatus();
  // Whoever judges node names says more than this.
  if (name != "node" && !IsUtf8(text)) return BadField(name, "not UTF-8");
  if (name == "node") {
    fields.node_name = text;
  } else if (name == "delivery") {
    fields.delivery = text;
  } else if (name == "lifetime") {
    fields.lifetime = text;
  } else if (name == "group") {
    AppendWords(text, fields.groups);
  } else if (name == "max-certificate-lifetime") {
    fields.max_certificate_lifetime = text;
  } else if (name == "public-key-sha256") {
    fields.public_key_sha256 = text;
  } else if (name == "allow-node-replacement") {
    return SetFlag(text, fields.allow_node_replacement);
  } else if (name == "label") {
    AppendWords(text, fields.labels);
  } else {
    return BadField(name, "no such field");
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::IssueTokenRequest> IssueRequestOf(
    const IssueFields& fields) {
  std::string mistakes;
  const auto check = [&mistakes](const absl::Status& status) {
    if (status.ok()) return;
    mistakes += (mistakes.empty() ? "" : "\n") + std::string(status.message());
  };
  v1::IssueTokenRequest request;
  v1::TokenScope& scope = *request.mutable_scope();
  scope.set_node_name(fields.node_name);
  for (const std::string& group : fields.groups) scope.add_groups(group);
  if (!fields.max_certificate_lifetime.empty()) {
    check(SetDuration("max-certificate-lifetime",
                      fields.max_certificate_lifetime,
                      *scope.mutable_max_certificate_lifetime()));
  }
  if (!fields.public_key_sha256.empty()) {
    const auto digest = DigestBytes(fields.public_key_sha256);
    check(digest.status());
    if (digest.ok()) scope.set_public_key_sha256(*digest);
  }
  scope.set_allow_node_replacement(fields.allow_node_replacement);
  if (fields.delivery != "ticket" && fields.delivery != "direct") {
    check(BadField("delivery", "must be ticket or direct"));
  }
  request.set_delivery(fields.delivery == "direct" ? v1::DELIVERY_DIRECT
                                                   : v1::DELIVERY_TICKET);
  if (!fields.lifetime.empty()) {
    check(
        SetDuration("lifetime", fields.lifetime, *request.mutable_lifetime()));
  }
  const auto labels = LabelsOfFlags(fields.labels);
  check(labels.status());
  if (labels.ok()) {
    request.mutable_labels()->insert(labels->begin(), labels->end());
  }
  if (!mistakes.empty()) return absl::InvalidArgumentError(mistakes);
  return request;
}

}  // namespace latchkey
