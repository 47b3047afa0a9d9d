// Label and field selectors of lists and watches.

#ifndef LATCHKEY_DEVCLUSTER_SELECTORS_H_
#define LATCHKEY_DEVCLUSTER_SELECTORS_H_

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

#include "clients/kubernetes/resource.h"

namespace latchkey {

// All of its requirements must be met.
class Selectors {
 public:
  // Labels: k, !k, k=v, k==v, k!=v, k in (a,b), k notin (a,b), k>1, k<1.
  // Fields: f=v, f==v, f!=v for metadata.name, metadata.namespace (of what has
  // one), type (Secrets) and spec.signerName (CSRs). kInvalidArgument (400) for
  // anything else.
  static absl::StatusOr<Selectors> Parse(const Resource& resource,
                                         std::string_view labels,
                                         std::string_view fields);

  bool Matches(const google::protobuf::Message& object) const;
  bool empty() const { return labels_.empty() && fields_.empty(); }
  // The name that an object must have to match; empty: several may match.
  std::string OnlyName() const;

 private:
  enum class Operator { kExists, kMissing, kIn, kNotIn, kGreater, kLess };
  struct Requirement {
    std::string key;
    Operator op = Operator::kExists;
    std::vector<std::string> values;
  };
  class LabelReader;

  static absl::StatusOr<Requirement> ParseField(const Resource& resource,
                                                std::string_view text);
  static bool Meets(const Requirement& requirement, const std::string* value);

  std::vector<Requirement> labels_;
  std::vector<Requirement> fields_;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_SELECTORS_H_
