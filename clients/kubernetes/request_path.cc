#include "clients/kubernetes/request_path.h"

#include <absl/status/status.h>
#include <fmt/format.h>

#include "core/status_macros.h"

namespace latchkey {
namespace {

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

// The part itself is not repeated: it may be anything.
absl::Status CheckSegment(std::string_view what, std::string_view segment) {
  const bool harmless = !segment.empty() && segment != "." &&
                        segment.find("..") == std::string_view::npos &&
                        segment.find_first_of("/%") == std::string_view::npos;
  bool printable = true;
  for (const char c : segment) printable &= c > ' ' && c != 0x7f;
  if (harmless && printable) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("the {} cannot be part of a path", what));
}

}  // namespace

absl::Status CheckCollectionPath(const Resource& resource,
                                 std::string_view name_space) {
  if (name_space.empty()) return absl::OkStatus();
  if (!resource.namespaced) {
    return absl::InvalidArgumentError(
        fmt::format("{} have no namespace", resource.plural));
  }
  return CheckSegment("namespace", name_space);
}

absl::Status CheckObjectPath(const Resource& resource, const ObjectName& name,
                             std::string_view subresource) {
  if (resource.namespaced && name.name_space.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("one of the {} needs a namespace", resource.plural));
  }
  LATCHKEY_RETURN_IF_ERROR(CheckCollectionPath(resource, name.name_space));
  LATCHKEY_RETURN_IF_ERROR(CheckSegment("name", name.name));
  return subresource.empty() ? absl::OkStatus()
                             : CheckSegment("subresource", subresource);
}

std::string PercentEncode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (IsUnreserved(c)) {
      encoded.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded.push_back('%');
    encoded.push_back(kDigits[byte >> 4]);
    encoded.push_back(kDigits[byte & 15]);
  }
  return encoded;
}

namespace {

// Of a collection that was checked.
std::string PathOf(const Resource& resource, std::string_view name_space) {
  const std::string_view root =
      resource.api_version.find('/') == std::string_view::npos ? "api" : "apis";
  std::string path = fmt::format("/{}/{}", root, resource.api_version);
  if (!name_space.empty()) path += "/namespaces/" + PercentEncode(name_space);
  path.append("/").append(resource.plural);
  return path;
}

}  // namespace

absl::StatusOr<std::string> CollectionPath(const Resource& resource,
                                           std::string_view name_space) {
  LATCHKEY_RETURN_IF_ERROR(CheckCollectionPath(resource, name_space));
  return PathOf(resource, name_space);
}

absl::StatusOr<std::string> ObjectPath(const Resource& resource,
                                       const ObjectName& name,
                                       std::string_view subresource) {
  LATCHKEY_RETURN_IF_ERROR(CheckObjectPath(resource, name, subresource));
  std::string path = PathOf(resource, name.name_space);
  path += "/" + PercentEncode(name.name);
  if (!subresource.empty()) path += "/" + PercentEncode(subresource);
  return path;
}

std::string QueryString(
    const std::vector<std::pair<std::string_view, std::string>>& pairs) {
  std::string query;
  for (const auto& [name, value] : pairs) {
    if (value.empty()) continue;
    query.push_back(query.empty() ? '?' : '&');
    query.append(name).append("=").append(PercentEncode(value));
  }
  return query;
}

}  // namespace latchkey
