// Label and field selectors, as far as tests need an API server to know them.

#ifndef LATCHKEY_TESTS_FAKES_SELECTORS_H_
#define LATCHKEY_TESTS_FAKES_SELECTORS_H_

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

namespace latchkey_testing {

// All of its requirements must be met.
class Selectors {
 public:
  // Labels: k, !k, k=v, k==v, k!=v, k in (a,b), k notin (a,b). Fields: f=v,
  // f==v, f!=v for metadata.name, metadata.namespace, type (Secrets) and
  // spec.signerName (CSRs). kInvalidArgument for anything else.
  static absl::StatusOr<Selectors> Parse(std::string_view labels,
                                         std::string_view fields);

  bool Matches(const google::protobuf::Message& object) const;

 private:
  enum class Operator { kExists, kMissing, kIn, kNotIn };
  struct Requirement {
    std::string key;
    Operator op = Operator::kExists;
    std::vector<std::string> values;
  };

  static absl::StatusOr<Requirement> ParseOne(std::string_view text);
  static bool Meets(const Requirement& requirement, const std::string* value);

  std::vector<Requirement> labels_;
  std::vector<Requirement> fields_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_FAKES_SELECTORS_H_
