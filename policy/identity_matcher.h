// Which identities a policy rule is for: typed matchers over attributes. No
// regular expressions, and no text is put together from what a caller says.

#ifndef LATCHKEY_POLICY_IDENTITY_MATCHER_H_
#define LATCHKEY_POLICY_IDENTITY_MATCHER_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "policy/identity.h"

namespace latchkey {

// One condition on the value of an attribute, over the whole value and byte for
// byte. Immutable.
class ValueMatcher {
 public:
  enum class Form { kEquals, kPrefix, kOneOf, kGlob };
  static constexpr size_t kMaxGlobLength = 256;

  // The value itself, '*' included. Implicit, since it is the common case.
  ValueMatcher(std::string value);
  ValueMatcher(const char* value) : ValueMatcher(std::string(value)) {}

  // kInvalidArgument for texts that no value can have; see IsAttributeValue().
  static absl::StatusOr<ValueMatcher> Prefix(std::string prefix);
  static absl::StatusOr<ValueMatcher> OneOf(std::vector<std::string> values);
  // A value in which '*' stands for any run, the empty one included, of
  // letters, digits, '-' and '_'. So it crosses none of the marks that
  // structure a name: '/', '.', ':', '@', '%' and so on. kInvalidArgument too
  // if it has more than kMaxGlobLength characters, or none but '*'.
  static absl::StatusOr<ValueMatcher> Glob(std::string_view pattern);

  // Takes time linear in the length of `value`.
  bool Matches(std::string_view value) const;

  Form form() const { return form_; }
  // kEquals: the value. kPrefix: the prefix. kOneOf: the values. kGlob: the
  // texts between the stars; the first is what each value begins with, and may
  // be empty.
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  ValueMatcher(Form form, std::vector<std::string> texts)
      : form_(form), texts_(std::move(texts)) {}
  bool MatchesGlob(std::string_view value) const;

  Form form_ = Form::kEquals;
  std::vector<std::string> texts_;
};

// Matches an identity if it is of the kind, where one is set, and each
// attribute named here has a value that the matcher beside it matches; with no
// attribute, nobody.
struct IdentityMatcher {
  std::map<std::string, ValueMatcher, std::less<>> attributes;
  std::optional<IdentityKind> kind;

  bool Matches(const Identity& identity) const;
};

}  // namespace latchkey

#endif  // LATCHKEY_POLICY_IDENTITY_MATCHER_H_
