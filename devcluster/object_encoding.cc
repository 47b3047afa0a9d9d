#include "devcluster/object_encoding.h"

#include <cstdint>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "clients/kubernetes/envelope.h"
#include "core/status_macros.h"
#include "devcluster/api_error.h"
#include "devcluster/object_json.h"

namespace latchkey {
namespace {

constexpr std::string_view kCoreVersion = "v1";

std::string_view EventName(WatchEventType type) {
  switch (type) {
    case WatchEventType::kAdded:
      return "ADDED";
    case WatchEventType::kModified:
      return "MODIFIED";
    case WatchEventType::kDeleted:
      return "DELETED";
    case WatchEventType::kBookmark:
      break;
  }
  return "BOOKMARK";
}

// A frame of an object that is encoded already, envelope included.
std::string Frame(MediaType type, std::string_view event,
                  std::string_view object) {
  if (type == MediaType::kJson) {
    return fmt::format(R"({{"type":"{}","object":{}}})"
                       "\n",
                       event, object);
  }
  kubernetes::WatchEvent message;
  message.set_type(std::string(event));
  message.mutable_object()->set_raw(std::string(object));
  const auto size = static_cast<uint32_t>(message.ByteSizeLong());
  std::string frame;
  for (const int shift : {24, 16, 8, 0}) {
    frame.push_back(static_cast<char>(size >> shift & 0xff));
  }
  message.AppendToString(&frame);
  return frame;
}

kubernetes::ListMeta MetadataOf(const ObjectPage& page) {
  kubernetes::ListMeta metadata;
  metadata.set_self_link("");
  metadata.set_resource_version(page.resource_version);
  metadata.set_continue_(page.continue_token);
  if (page.remaining > 0) metadata.set_remaining_item_count(page.remaining);
  return metadata;
}

std::string PageAsJson(const Resource& resource, const ObjectPage& page) {
  std::string json =
      fmt::format(R"({{"kind":"{}List","apiVersion":"{}","metadata":)",
                  resource.kind, resource.api_version);
  AppendJson(MetadataOf(page), json);
  json.append(",\"items\":");
  const char* before = "[";
  for (const StoredObject& item : page.items) {
    json.append(std::exchange(before, ","));
    AppendJson(item->message(), json);
  }
  json.append(page.items.empty() ? "[]}" : "]}");
  return json;
}

// Every list type has its ListMeta at number 1 and its items at number 2; an
// object is put there as it is, and not decoded for it.
std::string PageAsProtobuf(const Resource& resource, const ObjectPage& page) {
  kubernetes::EncodedList list;
  *list.mutable_metadata() = MetadataOf(page);
  list.mutable_items()->Reserve(static_cast<int>(page.items.size()));
  for (const StoredObject& item : page.items) list.add_items(item->encoded());
  return WrapObject(resource.api_version, fmt::format("{}List", resource.kind),
                    list);
}

absl::Status CannotHandle(std::string_view api_version, std::string_view kind,
                          std::string_view wanted, std::string_view why) {
  return BadRequestError(
      fmt::format("{} in version \"{}\" cannot be handled as a {}: {}", kind,
                  api_version, wanted, why));
}

absl::Status CheckKind(std::string_view api_version, std::string_view kind,
                       std::string_view wanted_version,
                       std::string_view wanted) {
  const bool fits = (kind.empty() || kind == wanted) &&
                    (api_version.empty() || api_version == wanted_version);
  if (fits) return absl::OkStatus();
  return BadRequestError(fmt::format(
      "the object provided is unrecognized (must be of type {} in version {})",
      wanted, wanted_version));
}

absl::Status DecodeJson(std::string_view api_version, std::string_view kind,
                        std::string_view body, bool strict,
                        google::protobuf::Message& object) {
  const auto json = JsonObject::Parse(body);
  if (!json.ok()) {
    return BadRequestError(
        fmt::format("the object provided is unrecognized (must be of type "
                    "{}): {}",
                    kind, std::string(json.status().message())));
  }
  LATCHKEY_RETURN_IF_ERROR(
      CheckKind(json->api_version(), json->kind(), api_version, kind));
  std::vector<std::string> unknown;
  const absl::Status read = json->ReadInto(object, strict ? &unknown : nullptr);
  if (!read.ok()) {
    return CannotHandle(api_version, kind, kind, std::string(read.message()));
  }
  if (unknown.empty()) return absl::OkStatus();
  std::string fields;
  for (const std::string& field : unknown) {
    fields += fmt::format("{}unknown field \"{}\"", fields.empty() ? "" : ", ",
                          field);
  }
  return CannotHandle(api_version, kind, kind,
                      "strict decoding error: " + fields);
}

absl::Status DecodeProtobuf(std::string_view api_version, std::string_view kind,
                            std::string_view body,
                            google::protobuf::Message& object) {
  const auto envelope = OpenEnvelope(body);
  if (!envelope.ok())
    return BadRequestError(std::string(envelope.status().message()));
  LATCHKEY_RETURN_IF_ERROR(
      CheckKind(envelope->api_version, envelope->kind, api_version, kind));
  const int size = static_cast<int>(envelope->raw.size());
  if (!object.ParseFromArray(envelope->raw.data(), size)) {
    return CannotHandle(api_version, kind, kind,
                        "it cannot be decoded as protobuf");
  }
  return absl::OkStatus();
}

}  // namespace

std::string EncodeObject(MediaType type, const Resource& resource,
                         const StoredObjectData& object) {
  if (type == MediaType::kProtobuf) {
    return WrapEncodedObject(resource.api_version, resource.kind,
                             object.encoded());
  }
  std::string json;
  AppendObjectJson(resource.api_version, resource.kind, object.message(), json);
  return json;
}

std::string EncodeStatus(MediaType type, const kubernetes::Status& status) {
  if (type == MediaType::kProtobuf) {
    return WrapObject(kCoreVersion, "Status", status);
  }
  std::string json;
  AppendObjectJson(kCoreVersion, "Status", status, json);
  return json;
}

std::string EncodePage(MediaType type, const Resource& resource,
                       const ObjectPage& page) {
  return type == MediaType::kJson ? PageAsJson(resource, page)
                                  : PageAsProtobuf(resource, page);
}

std::string EncodeChange(MediaType type, const Resource& resource,
                         const WatchedChange& change) {
  return Frame(type, EventName(change.type),
               EncodeObject(type, resource, *change.object));
}

std::string EncodeWatchError(MediaType type, const kubernetes::Status& status) {
  return Frame(type, "ERROR", EncodeStatus(type, status));
}

absl::Status DecodeObject(MediaType type, std::string_view api_version,
                          std::string_view kind, std::string_view body,
                          bool strict, google::protobuf::Message& object) {
  return type == MediaType::kJson
             ? DecodeJson(api_version, kind, body, strict, object)
             : DecodeProtobuf(api_version, kind, body, object);
}

}  // namespace latchkey
