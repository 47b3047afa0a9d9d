#include "core/json.h"

#include <absl/status/status.h>
#include <google/protobuf/util/json_util.h>

namespace latchkey {

absl::StatusOr<JsonFields> ParseJsonObject(std::string_view text,
                                           size_t max_bytes) {
  if (text.size() > max_bytes) {
    return absl::InvalidArgumentError("the JSON text is too long");
  }
  JsonFields object;
  // Its own message quotes the text.
  if (!google::protobuf::util::JsonStringToMessage(
           google::protobuf::StringPiece(text.data(), text.size()), &object)
           .ok()) {
    return absl::InvalidArgumentError("not a JSON object");
  }
  return object;
}

const google::protobuf::Value* FindMember(const JsonFields& object,
                                          std::string_view name) {
  const auto it = object.fields().find(std::string(name));
  return it == object.fields().end() ? nullptr : &it->second;
}

const std::string* FindString(const JsonFields& object, std::string_view name) {
  const google::protobuf::Value* member = FindMember(object, name);
  return member != nullptr &&
                 member->kind_case() == google::protobuf::Value::kStringValue
             ? &member->string_value()
             : nullptr;
}

}  // namespace latchkey
