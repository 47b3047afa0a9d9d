#include "policy/identity_matcher.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/ascii.h>
#include <fmt/format.h>

namespace latchkey {
namespace {

// What a star may stand for: a list of what is allowed, so that no separator of
// some kind of name is forgotten.
bool IsStarred(std::string_view run) {
  return std::all_of(run.begin(), run.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' ||
           c == '_';
  });
}

absl::Status NoValue(std::string_view what) {
  return absl::InvalidArgumentError(
      fmt::format("{} must be printable ASCII without spaces, and not empty: "
                  "no identity has anything else",
                  what));
}

// Where `part` begins in `text`. glibc's memmem takes linear time, whatever the
// texts; std::string_view::find does not.
size_t Find(std::string_view text, std::string_view part) {
  const void* found =
      memmem(text.data(), text.size(), part.data(), part.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

}  // namespace

ValueMatcher::ValueMatcher(std::string value) : texts_{std::move(value)} {}

absl::StatusOr<ValueMatcher> ValueMatcher::Prefix(std::string prefix) {
  if (!IsAttributeValue(prefix)) return NoValue("a prefix");
  return ValueMatcher(Form::kPrefix, {std::move(prefix)});
}

absl::StatusOr<ValueMatcher> ValueMatcher::OneOf(
    std::vector<std::string> values) {
  if (values.empty()) {
    return absl::InvalidArgumentError("needs at least one value");
  }
  if (!std::all_of(values.begin(), values.end(), IsAttributeValue)) {
    return NoValue("each value");
  }
  std::sort(values.begin(), values.end());
  return ValueMatcher(Form::kOneOf, std::move(values));
}

absl::StatusOr<ValueMatcher> ValueMatcher::Glob(std::string_view pattern) {
  if (!IsAttributeValue(pattern)) return NoValue("a glob");
  if (pattern.size() > kMaxGlobLength) {
    return absl::InvalidArgumentError(
        fmt::format("a glob has at most {} characters", kMaxGlobLength));
  }
  if (pattern.find_first_not_of('*') == std::string_view::npos) {
    return absl::InvalidArgumentError("a glob needs more than '*'");
  }
  std::vector<std::string> texts;
  while (true) {
    const size_t star = pattern.find('*');
    texts.emplace_back(pattern.substr(0, star));
    if (star == std::string_view::npos) break;
    pattern.remove_prefix(star + 1);
  }
  return ValueMatcher(Form::kGlob, std::move(texts));
}

bool ValueMatcher::Matches(std::string_view value) const {
  switch (form_) {
    case Form::kEquals:
      return value == texts_.front();
    case Form::kPrefix:
      return value.substr(0, texts_.front().size()) == texts_.front();
    case Form::kOneOf:
      return std::binary_search(texts_.begin(), texts_.end(), value);
    case Form::kGlob:
      return MatchesGlob(value);
  }
  return false;
}

// The first and the last text stand at the ends. Each of the others is taken
// where it is found first: since no star crosses a separator, the separators of
// a value and of the glob pair up one by one, and within such a part the first
// place leaves most to what follows.
bool ValueMatcher::MatchesGlob(std::string_view value) const {
  const std::string& head = texts_.front();
  if (texts_.size() == 1) return value == head;
  const std::string& tail = texts_.back();
  if (value.size() < head.size() + tail.size() || !value.starts_with(head) ||
      !value.ends_with(tail)) {
    return false;
  }
  value.remove_prefix(head.size());
  value.remove_suffix(tail.size());
  for (size_t i = 1; i + 1 < texts_.size(); ++i) {
    const size_t at = Find(value, texts_[i]);
    if (at == std::string_view::npos || !IsStarred(value.substr(0, at))) {
      return false;
    }
    value.remove_prefix(at + texts_[i].size());
  }
  return IsStarred(value);
}

bool IdentityMatcher::Matches(const Identity& identity) const {
  if (kind.has_value() && *kind != identity.kind) return false;
  return !attributes.empty() &&
         std::all_of(attributes.begin(), attributes.end(),
                     [&](const auto& wanted) {
                       const auto& values = identity.Values(wanted.first);
                       return std::any_of(values.begin(), values.end(),
                                          [&](const std::string& value) {
                                            return wanted.second.Matches(value);
                                          });
                     });
}

}  // namespace latchkey
