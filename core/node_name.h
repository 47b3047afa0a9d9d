// The rules of Kubernetes for a Node's name, and patterns over such names.

#ifndef LATCHKEY_CORE_NODE_NAME_H_
#define LATCHKEY_CORE_NODE_NAME_H_

#include <string_view>

#include <absl/status/status.h>

namespace latchkey {

// kInvalidArgument unless `name` can be the name of a Node: a DNS subdomain of
// RFC 1123 in lower case, at most 253 characters. Labels are not limited to 63
// characters, since Kubernetes does not limit them either.
absl::Status ValidateNodeName(std::string_view name);

// kInvalidArgument unless `pattern` is a node name in which '*' may stand for
// any run of characters other than '.', the empty run included.
absl::Status ValidateNodeNamePattern(std::string_view pattern);

// True if the whole of `name` matches `pattern`. A '*' never crosses a dot, so
// "worker-*" does not admit "worker-1.evil.example". Linear in the product of
// the lengths at worst; never recursive.
bool MatchesNodeNamePattern(std::string_view pattern, std::string_view name);

}  // namespace latchkey

#endif  // LATCHKEY_CORE_NODE_NAME_H_
