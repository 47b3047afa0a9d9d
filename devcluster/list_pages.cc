#include "devcluster/list_pages.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <absl/strings/escaping.h>
#include <fmt/format.h>

#include "clients/kubernetes/object_meta.h"
#include "core/status_macros.h"
#include "devcluster/api_error.h"

namespace latchkey {
namespace {

// Where the next page begins: after this object, at this revision.
struct Continuation {
  int64_t revision = 0;
  std::string name_space;
  std::string name;
};

std::string Encode(const Continuation& from) {
  const std::string text =
      fmt::format("{}|{}|{}", from.revision, from.name_space, from.name);
  return absl::WebSafeBase64Escape(text);
}

std::optional<Continuation> Decode(const std::string& token) {
  std::string text;
  if (!absl::WebSafeBase64Unescape(token, &text)) return std::nullopt;
  const size_t first = text.find('|');
  if (first == std::string::npos) return std::nullopt;
  const size_t second = text.find('|', first + 1);
  if (second == std::string::npos) return std::nullopt;
  Continuation from{0, text.substr(first + 1, second - first - 1),
                    text.substr(second + 1)};
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + first, from.revision);
  if (error != std::errc() || end != text.data() + first ||
      from.revision <= 0) {
    return std::nullopt;
  }
  return from;
}

const kubernetes::ObjectMeta& MetaOf(const StoredObject& object) {
  return ObjectMetaOf(object->message());
}

bool IsAfter(const StoredObject& object, const Continuation& from) {
  const auto& metadata = MetaOf(object);
  return std::tie(metadata.namespace_(), metadata.name()) >
         std::tie(from.name_space, from.name);
}

}  // namespace

absl::StatusOr<ObjectPage> ListPage(const ObjectStore& store,
                                    const Resource& resource,
                                    const ListQuery& query,
                                    const Selectors& selectors) {
  Continuation from;
  if (!query.continue_token.empty()) {
    auto decoded = Decode(query.continue_token);
    if (!decoded)
      return BadRequestError(
          "invalid continue token: continue key is not valid");
    from = *std::move(decoded);
  }
  auto objects = store.Snapshot(resource, query.name_space, from.revision);
  if (!objects.ok()) {
    return ExpiredError(
        "The provided continue parameter is too old to display a consistent "
        "list result. You must start a new list without the continue "
        "parameter.");
  }
  std::erase_if(*objects, [&](const StoredObject& object) {
    return (!query.continue_token.empty() && !IsAfter(object, from)) ||
           !selectors.Matches(object->message());
  });
  ObjectPage page{.resource_version = std::to_string(from.revision)};
  const auto limit = static_cast<size_t>(std::max<int64_t>(query.limit, 0));
  if (limit > 0 && objects->size() > limit) {
    if (selectors.empty()) {
      page.remaining = static_cast<int64_t>(objects->size() - limit);
    }
    objects->resize(limit);
    const auto& last = MetaOf(objects->back());
    page.continue_token =
        Encode({from.revision, last.namespace_(), last.name()});
  }
  page.items = *std::move(objects);
  return page;
}

}  // namespace latchkey
