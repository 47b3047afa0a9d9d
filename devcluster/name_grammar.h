// The grammars of names, keys and labels of the Kubernetes API, and its words
// for what does not fit them (k8s.io/apimachinery pkg/util/validation).

#ifndef LATCHKEY_DEVCLUSTER_NAME_GRAMMAR_H_
#define LATCHKEY_DEVCLUSTER_NAME_GRAMMAR_H_

#include <optional>
#include <string>
#include <string_view>

namespace latchkey {

// Each answers what is wrong with `text`, nullopt if nothing is.
using Complaint = std::optional<std::string>;

// "example.com": at most 253 characters; its labels are not limited.
Complaint CheckDnsSubdomain(std::string_view text);
// "example.com/Name" or "Name": a label's key, in whatever case.
Complaint CheckQualifiedName(std::string_view text);
// At most 63 characters, and may be empty.
Complaint CheckLabelValue(std::string_view text);
// A key of a Secret's or ConfigMap's data.
Complaint CheckConfigKey(std::string_view text);
// What can stand in a path: not "." or "..", without '/' and '%'.
Complaint CheckPathSegment(std::string_view text);
// "example.com/name", with a domain of at least two labels.
Complaint CheckSignerName(std::string_view text);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_NAME_GRAMMAR_H_
