#include "devcluster/selectors.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "clients/kubernetes/object_meta.h"
#include "core/status_macros.h"
#include "devcluster/api_error.h"
#include "devcluster/name_grammar.h"

namespace latchkey {
namespace {

using ::google::protobuf::Message;

constexpr std::string_view kName = "metadata.name";

// Null: the object has no such field.
const std::string* FieldOf(const Message& object, std::string_view field) {
  if (field == kName) return &ObjectMetaOf(object).name();
  if (field == "metadata.namespace") return &ObjectMetaOf(object).namespace_();
  if (field == "type") {
    const auto* secret = dynamic_cast<const kubernetes::Secret*>(&object);
    return secret == nullptr ? nullptr : &secret->type();
  }
  if (field == "spec.signerName") {
    const auto* csr =
        dynamic_cast<const kubernetes::CertificateSigningRequest*>(&object);
    return csr == nullptr ? nullptr : &csr->spec().signer_name();
  }
  return nullptr;
}

std::optional<int64_t> NumberIn(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

bool IsSelectable(const Resource& resource, std::string_view field) {
  return field == kName ||
         (field == "metadata.namespace" && resource.namespaced) ||
         (field == "type" && resource.plural == kSecrets.plural) ||
         (field == "spec.signerName" &&
          resource.plural == kCertificateSigningRequests.plural);
}

}  // namespace

// Reads one requirement after the other.
class Selectors::LabelReader {
 public:
  explicit LabelReader(std::string_view text) : text_(text) { SkipSpace(); }

  bool AtEnd() const { return text_.empty(); }

  absl::StatusOr<Requirement> Next() {
    Requirement one;
    const bool negated = Take("!");
    one.key = Word();
    if (auto complaint = CheckQualifiedName(one.key)) return Bad(*complaint);
    if (negated) {
      one.op = Operator::kMissing;
    } else if (Take("==") || Take("=")) {
      one.op = Operator::kIn;
      one.values.push_back(Word());
    } else if (Take("!=")) {
      one.op = Operator::kNotIn;
      one.values.push_back(Word());
    } else if (const bool greater = Take(">"); greater || Take("<")) {
      one.op = greater ? Operator::kGreater : Operator::kLess;
      one.values.push_back(Word());
      if (!NumberIn(one.values.front())) return Bad("not a number");
    } else if (const std::string word = Word(); !word.empty()) {
      if (word != "in" && word != "notin") return Bad("no such operator");
      one.op = word == "in" ? Operator::kIn : Operator::kNotIn;
      if (!TakeSet(one.values)) return Bad("no set of values");
    }
    for (const std::string& value : one.values) {
      if (auto complaint = CheckLabelValue(value)) return Bad(*complaint);
    }
    if (AtEnd()) return one;
    if (!Take(",") || AtEnd()) return Bad("expected a ',' and another");
    return one;
  }

 private:
  static absl::Status Bad(std::string_view why) {
    return BadRequestError(fmt::format("unable to parse requirement: {}", why));
  }
  void SkipSpace() {
    while (text_.starts_with(' ') || text_.starts_with('\t')) {
      text_.remove_prefix(1);
    }
  }
  bool Take(std::string_view token) {
    if (!text_.starts_with(token)) return false;
    text_.remove_prefix(token.size());
    SkipSpace();
    return true;
  }
  std::string Word() {
    const size_t end =
        std::min(text_.find_first_of(" \t!=,()<>"), text_.size());
    std::string word(text_.substr(0, end));
    text_.remove_prefix(end);
    SkipSpace();
    return word;
  }
  bool TakeSet(std::vector<std::string>& values) {
    if (!Take("(")) return false;
    do {
      values.push_back(Word());
    } while (Take(","));
    return Take(")");
  }

  std::string_view text_;
};

absl::StatusOr<Selectors> Selectors::Parse(const Resource& resource,
                                           std::string_view labels,
                                           std::string_view fields) {
  Selectors selectors;
  for (LabelReader reader(labels); !reader.AtEnd();) {
    LATCHKEY_ASSIGN_OR_RETURN(Requirement requirement, reader.Next());
    selectors.labels_.push_back(std::move(requirement));
  }
  while (!fields.empty()) {
    const size_t end = std::min(fields.find(','), fields.size());
    LATCHKEY_ASSIGN_OR_RETURN(Requirement requirement,
                              ParseField(resource, fields.substr(0, end)));
    selectors.fields_.push_back(std::move(requirement));
    fields.remove_prefix(std::min(end + 1, fields.size()));
  }
  return selectors;
}

absl::StatusOr<Selectors::Requirement> Selectors::ParseField(
    const Resource& resource, std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return BadRequestError(fmt::format(
        "invalid selector: '{}'; can't understand '{}'", text, text));
  }
  Requirement one;
  const bool negated = text[equals - 1] == '!';
  const bool doubled = text.substr(equals).starts_with("==");
  one.key = text.substr(0, equals - (negated ? 1 : 0));
  one.op = negated ? Operator::kNotIn : Operator::kIn;
  one.values = {std::string(text.substr(equals + (doubled ? 2 : 1)))};
  if (!IsSelectable(resource, one.key)) {
    // Which of the two depends on whether upstream has a conversion for it.
    return BadRequestError(
        resource.plural == kConfigMaps.plural ||
                resource.plural == kLeases.plural
            ? fmt::format("\"{}\" is not a known field selector: only "
                          "\"metadata.name\", \"metadata.namespace\"",
                          one.key)
            : fmt::format("field label not supported: {}", one.key));
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
    case Operator::kGreater:
    case Operator::kLess:
      break;
  }
  const auto number = NumberIn(value == nullptr ? "" : *value);
  const auto limit = NumberIn(values.front());
  if (!number || !limit) return false;
  return requirement.op == Operator::kGreater ? *number > *limit
                                              : *number < *limit;
}

bool Selectors::Matches(const Message& object) const {
  const auto& labels = ObjectMetaOf(object).labels();
  const auto label_meets = [&](const Requirement& requirement) {
    const auto found = labels.find(requirement.key);
    return Meets(requirement, found == labels.end() ? nullptr : &found->second);
  };
  const auto field_meets = [&](const Requirement& requirement) {
    return Meets(requirement, FieldOf(object, requirement.key));
  };
  return std::all_of(labels_.begin(), labels_.end(), label_meets) &&
         std::all_of(fields_.begin(), fields_.end(), field_meets);
}

std::string Selectors::OnlyName() const {
  for (const Requirement& requirement : fields_) {
    if (requirement.key == kName && requirement.op == Operator::kIn) {
      return requirement.values.front();
    }
  }
  return {};
}

}  // namespace latchkey
