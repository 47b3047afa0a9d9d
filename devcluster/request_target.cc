#include "devcluster/request_target.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/match.h>
#include <fmt/format.h>

#include "core/status_macros.h"
#include "devcluster/reviews.h"

namespace latchkey {
namespace {

std::optional<unsigned> HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

absl::StatusOr<std::string> Decode(std::string_view text, bool plus_is_blank) {
  const auto bad = absl::InvalidArgumentError(
      "the request's target is not properly percent-encoded");
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+' && plus_is_blank) c = ' ';
    if (c == '%') {
      if (text.size() - i < 3) return bad;
      const auto high = HexDigit(text[i + 1]);
      const auto low = HexDigit(text[i + 2]);
      if (!high || !low) return bad;
      c = static_cast<char>(*high << 4U | *low);
      i += 2;
    }
    if ((c >= 0 && c < ' ') || c == 0x7f) return bad;
    decoded.push_back(c);
  }
  return decoded;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

absl::Status ParseQuery(std::string_view text, RequestTarget& target) {
  for (const std::string_view pair : Split(text, '&')) {
    const size_t equals = std::min(pair.find('='), pair.size());
    LATCHKEY_ASSIGN_OR_RETURN(std::string name,
                              Decode(pair.substr(0, equals), true));
    LATCHKEY_ASSIGN_OR_RETURN(
        std::string value,
        Decode(pair.substr(std::min(equals + 1, pair.size())), true));
    if (!name.empty()) target.query.emplace(std::move(name), std::move(value));
  }
  return absl::OkStatus();
}

// Whether `segments` are a path of `served`; if so, fills in what it names.
bool Matches(const ApiResource& served, std::vector<std::string> segments,
             RequestTarget& target) {
  const Resource& resource = served.resource;
  const std::string root = ApiGroupOf(resource).empty()
                               ? fmt::format("/api/{}", resource.api_version)
                               : fmt::format("/apis/{}", resource.api_version);
  const auto prefix = std::count(root.begin(), root.end(), '/');
  if (static_cast<ptrdiff_t>(segments.size()) <= prefix) return false;
  std::string start;
  for (ptrdiff_t i = 0; i < prefix; ++i) start += "/" + segments[i];
  if (start != root) return false;
  segments.erase(segments.begin(), segments.begin() + prefix);

  ObjectName name;
  const bool in_namespace = resource.namespaced && segments.size() >= 3 &&
                            segments[0] == "namespaces";
  if (in_namespace) {
    name.name_space = segments[1];
    segments.erase(segments.begin(), segments.begin() + 2);
  }
  if (segments[0] != resource.plural || segments.size() > 3) return false;
  // All namespaces have one path for their objects together, none for one.
  if (segments.size() > 1 && resource.namespaced && !in_namespace) return false;
  // A single review has no path.
  if (segments.size() > 1 && IsReview(*served.prototype)) return false;
  std::string subresource = segments.size() > 2 ? segments[2] : "";
  const auto& known = served.subresources;
  if (!subresource.empty() &&
      std::find(known.begin(), known.end(), subresource) == known.end()) {
    return false;
  }
  if (segments.size() > 1) name.name = segments[1];
  target.resource = &served;
  target.name = std::move(name);
  target.subresource = std::move(subresource);
  return true;
}

}  // namespace

std::string_view RequestTarget::Parameter(std::string_view key) const {
  const auto found = query.find(key);
  return found == query.end() ? std::string_view() : found->second;
}

bool RequestTarget::Flag(std::string_view key) const {
  const auto found = query.find(key);
  return found != query.end() && found->second != "0" &&
         !absl::EqualsIgnoreCase(found->second, "false");
}

absl::StatusOr<RequestTarget> ParseRequestTarget(std::string_view text) {
  if (!text.starts_with('/')) {
    return absl::InvalidArgumentError("the request's target is not a path");
  }
  RequestTarget target;
  const size_t question = std::min(text.find('?'), text.size());
  const std::string_view query =
      text.substr(std::min(question + 1, text.size()));
  std::string_view path = text.substr(1, question - 1);
  LATCHKEY_RETURN_IF_ERROR(ParseQuery(query, target));
  if (path.ends_with('/')) path.remove_suffix(1);

  std::vector<std::string> segments;
  bool plain = true;
  for (const std::string_view encoded : Split(path, '/')) {
    LATCHKEY_ASSIGN_OR_RETURN(std::string segment, Decode(encoded, false));
    plain &= !segment.empty() && segment != "." && segment != ".." &&
             segment.find('/') == std::string::npos;
    target.path += "/" + segment;
    segments.push_back(std::move(segment));
  }
  if (!plain) return target;
  for (const ApiResource& served : ApiResources()) {
    if (Matches(served, segments, target)) break;
  }
  return target;
}

}  // namespace latchkey
