#include "devcluster/name_grammar.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/node_name.h"

namespace latchkey {
namespace {

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9');
}
bool IsNameChar(char c) {
  return IsAlphanumeric(c) || c == '-' || c == '_' || c == '.';
}

// "MyName", "my.name", "123-abc".
bool IsLabelText(std::string_view text) {
  return !text.empty() && IsAlphanumeric(text.front()) &&
         IsAlphanumeric(text.back()) &&
         std::all_of(text.begin(), text.end(), IsNameChar);
}

std::string TooLong(size_t max) {
  return fmt::format("must be no more than {} characters", max);
}

constexpr char kSubdomainRule[] =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
    "characters, '-' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'example.com', regex used for validation is "
    R"('[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))";
constexpr char kQualifiedNameRule[] =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and "
    "must start and end with an alphanumeric character (e.g. 'MyName',  or "
    "'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
constexpr char kLabelValueRule[] =
    "a valid label must be an empty string or consist of alphanumeric "
    "characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
constexpr char kConfigKeyRule[] =
    "a valid config key must consist of alphanumeric characters, '-', '_' or "
    "'.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for "
    "validation is '[-._a-zA-Z0-9]+')";

}  // namespace

Complaint CheckDnsSubdomain(std::string_view text) {
  if (text.size() > 253) return TooLong(253);
  if (!ValidateNodeName(text).ok()) return kSubdomainRule;
  return std::nullopt;
}

Complaint CheckQualifiedName(std::string_view text) {
  const size_t slash = text.find('/');
  const bool prefixed = slash != std::string_view::npos;
  const std::string_view name = prefixed ? text.substr(slash + 1) : text;
  if (prefixed && CheckDnsSubdomain(text.substr(0, slash))) {
    return fmt::format("prefix part {}", kSubdomainRule);
  }
  if (name.empty()) return "name part must be non-empty";
  if (name.size() > 63) return "name part " + TooLong(63);
  if (!IsLabelText(name)) return kQualifiedNameRule;
  return std::nullopt;
}

Complaint CheckLabelValue(std::string_view text) {
  if (text.size() > 63) return TooLong(63);
  if (!text.empty() && !IsLabelText(text)) return kLabelValueRule;
  return std::nullopt;
}

Complaint CheckConfigKey(std::string_view text) {
  if (text.size() > 253) return TooLong(253);
  if (text.empty() || !std::all_of(text.begin(), text.end(), IsNameChar)) {
    return kConfigKeyRule;
  }
  if (text == ".") return "must not be '.'";
  if (text == "..") return "must not be '..'";
  if (text.starts_with("..")) return "must not start with '..'";
  return std::nullopt;
}

Complaint CheckPathSegment(std::string_view text) {
  if (text == ".") return "may not be '.'";
  if (text == "..") return "may not be '..'";
  if (text.find('/') != std::string_view::npos) return "may not contain '/'";
  if (text.find('%') != std::string_view::npos) return "may not contain '%'";
  return std::nullopt;
}

Complaint CheckSignerName(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos ||
      text.find('/', slash + 1) != std::string_view::npos) {
    return "must be a fully qualified domain and path of the form "
           "'example.com/signer-name'";
  }
  const std::string_view domain = text.substr(0, slash);
  if (auto complaint = CheckDnsSubdomain(domain)) return complaint;
  if (domain.find('.') == std::string_view::npos) {
    return "should be a domain with at least two segments separated by dots";
  }
  return CheckDnsSubdomain(text.substr(slash + 1));
}

}  // namespace latchkey
