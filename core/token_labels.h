// Labels that a provisioner sets on a token, to find it by.

#ifndef LATCHKEY_CORE_TOKEN_LABELS_H_
#define LATCHKEY_CORE_TOKEN_LABELS_H_

#include <map>
#include <string>

#include <absl/status/status.h>

namespace latchkey {

using TokenLabels = std::map<std::string, std::string>;

// kInvalidArgument INVALID_FIELD (field "labels") unless there are at most 16,
// and each can be a Kubernetes label under a prefix of ours: a key of 1 to 63
// characters of [A-Za-z0-9._-], the first and the last alphanumeric; a value of
// the same form, or empty. (Kubernetes, "Labels and Selectors", syntax.)
absl::Status ValidateLabels(const TokenLabels& labels);

// "a=1,b=2", in the order of the keys; one text for one set of valid labels.
std::string FormatLabels(const TokenLabels& labels);

}  // namespace latchkey

#endif  // LATCHKEY_CORE_TOKEN_LABELS_H_
