#include "tests/fakes/selectors.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <absl/status/status.h>

#include "clients/kubernetes/object_meta.h"
#include "core/status_macros.h"
#include "kubernetes/certificates.pb.h"
#include "kubernetes/core.pb.h"

namespace latchkey_testing {
namespace {

using ::google::protobuf::Message;
namespace kubernetes = ::latchkey::kubernetes;

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// At commas outside of parentheses.
std::vector<std::string_view> SplitRequirements(std::string_view text) {
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(') ++depth;
    if (text[i] == ')') --depth;
    if (text[i] == ',' && depth == 0) {
      parts.push_back(Trim(text.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  if (begin < text.size()) parts.push_back(Trim(text.substr(begin)));
  return parts;
}

// "(a, b)" as a and b; nothing if it is not of that form.
std::vector<std::string> ParseSet(std::string_view text) {
  std::vector<std::string> values;
  text = Trim(text);
  if (!text.starts_with('(') || !text.ends_with(')')) return values;
  text = text.substr(1, text.size() - 2);
  while (true) {
    const size_t comma = text.find(',');
    values.emplace_back(Trim(text.substr(0, comma)));
    if (comma == std::string_view::npos) return values;
    text.remove_prefix(comma + 1);
  }
}

std::optional<std::string> FieldOf(const Message& object,
                                   std::string_view field) {
  const kubernetes::ObjectMeta& metadata = latchkey::ObjectMetaOf(object);
  if (field == "metadata.name") return metadata.name();
  if (field == "metadata.namespace") return metadata.namespace_();
  if (const auto* secret = dynamic_cast<const kubernetes::Secret*>(&object);
      secret != nullptr && field == "type") {
    return secret->type();
  }
  const auto* csr =
      dynamic_cast<const kubernetes::CertificateSigningRequest*>(&object);
  if (csr != nullptr && field == "spec.signerName") {
    return csr->spec().signer_name();
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<Selectors> Selectors::Parse(std::string_view labels,
                                           std::string_view fields) {
  Selectors selectors;
  for (const std::string_view part : SplitRequirements(labels)) {
    LATCHKEY_ASSIGN_OR_RETURN(Requirement requirement, ParseOne(part));
    selectors.labels_.push_back(std::move(requirement));
  }
  for (const std::string_view part : SplitRequirements(fields)) {
    LATCHKEY_ASSIGN_OR_RETURN(Requirement requirement, ParseOne(part));
    constexpr std::string_view kKnown[] = {
        "metadata.name", "metadata.namespace", "type", "spec.signerName"};
    if (std::find(std::begin(kKnown), std::end(kKnown), requirement.key) ==
        std::end(kKnown)) {
      return absl::InvalidArgumentError("no such field to select by");
    }
    selectors.fields_.push_back(std::move(requirement));
  }
  return selectors;
}

absl::StatusOr<Selectors::Requirement> Selectors::ParseOne(
    std::string_view text) {
  Requirement one;
  const auto key_until = [&](size_t end) {
    one.key = Trim(text.substr(0, end));
  };
  if (const size_t at = text.find("!="); at != std::string_view::npos) {
    key_until(at);
    one.op = Operator::kNotIn;
    one.values = {std::string(Trim(text.substr(at + 2)))};
  } else if (const size_t equals = text.find('=');
             equals != std::string_view::npos) {
    key_until(equals);
    one.op = Operator::kIn;
    const bool doubled = text.substr(equals).starts_with("==");
    one.values = {std::string(Trim(text.substr(equals + (doubled ? 2 : 1))))};
  } else if (const size_t notin = text.find(" notin ");
             notin != std::string_view::npos) {
    key_until(notin);
    one.op = Operator::kNotIn;
    one.values = ParseSet(text.substr(notin + 7));
  } else if (const size_t in = text.find(" in ");
             in != std::string_view::npos) {
    key_until(in);
    one.op = Operator::kIn;
    one.values = ParseSet(text.substr(in + 4));
  } else if (text.starts_with('!')) {
    one.op = Operator::kMissing;
    one.key = Trim(text.substr(1));
  } else {
    one.key = text;
  }
  const bool needs_values =
      one.op == Operator::kIn || one.op == Operator::kNotIn;
  const bool plain_key = one.key.find_first_of(" ()!=,") == std::string::npos;
  if (one.key.empty() || !plain_key || (needs_values && one.values.empty())) {
    return absl::InvalidArgumentError("not a selector");
  }
  return one;
}

bool Selectors::Meets(const Requirement& requirement,
                      const std::string* value) {
  const auto& values = requirement.values;
  const bool listed =
      value != nullptr &&
      std::find(values.begin(), values.end(), *value) != values.end();
  switch (requirement.op) {
    case Operator::kExists:
      return value != nullptr;
    case Operator::kMissing:
      return value == nullptr;
    case Operator::kIn:
      return listed;
    case Operator::kNotIn:
      return !listed;
  }
  return false;
}

bool Selectors::Matches(const Message& object) const {
  const auto& labels = latchkey::ObjectMetaOf(object).labels();
  const auto label_meets = [&](const Requirement& requirement) {
    const auto found = labels.find(requirement.key);
    return Meets(requirement, found == labels.end() ? nullptr : &found->second);
  };
  const auto field_meets = [&](const Requirement& requirement) {
    const auto value = FieldOf(object, requirement.key);
    return Meets(requirement, value ? &*value : nullptr);
  };
  return std::all_of(labels_.begin(), labels_.end(), label_meets) &&
         std::all_of(fields_.begin(), fields_.end(), field_meets);
}

}  // namespace latchkey_testing
