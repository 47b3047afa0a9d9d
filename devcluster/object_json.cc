#include "devcluster/object_json.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include <absl/strings/escaping.h>
#include <absl/time/time.h>
#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/json_util.h>

#include "clients/kubernetes/kube_time.h"
#include "core/status_macros.h"
#include "core/text_time.h"
#include "devcluster/json_text.h"
#include "kubernetes/core.pb.h"
#include "kubernetes/meta.pb.h"

namespace latchkey {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;
using ::google::protobuf::Struct;
using JsonValue = ::google::protobuf::Value;

bool IsAlways(const FieldDescriptor& field) {
  return field.options().GetExtension(kubernetes::always);
}
bool IsPointer(const FieldDescriptor& field) {
  return field.options().GetExtension(kubernetes::pointer);
}
bool IsMicro(const FieldDescriptor& field) {
  return field.options().GetExtension(kubernetes::micro);
}

// What JSON makes of a message type.
enum class Form { kObject, kTime, kQuantity, kStrings };

Form FormOf(const Descriptor* type) {
  if (type == kubernetes::Time::descriptor()) return Form::kTime;
  if (type == kubernetes::Quantity::descriptor()) return Form::kQuantity;
  if (type == kubernetes::ExtraValue::descriptor()) return Form::kStrings;
  return Form::kObject;
}

// Writing.

// One singular field, or one element of a repeated one.
class Place {
 public:
  Place(const Message& message, const FieldDescriptor& field, int index = -1)
      : message_(message), field_(field), index_(index) {}

  const FieldDescriptor& field() const { return field_; }
  bool IsPresent() const { return reflection().HasField(message_, &field_); }

  // A string of the field, in `scratch` if it has to be made.
  const std::string& Text(std::string& scratch) const {
    return index_ < 0
               ? reflection().GetStringReference(message_, &field_, &scratch)
               : reflection().GetRepeatedStringReference(message_, &field_,
                                                         index_, &scratch);
  }
  bool Bool() const { return reflection().GetBool(message_, &field_); }
  int64_t Number() const {
    return field_.cpp_type() == FieldDescriptor::CPPTYPE_INT32
               ? reflection().GetInt32(message_, &field_)
               : reflection().GetInt64(message_, &field_);
  }
  const Message& Submessage() const {
    return index_ < 0
               ? reflection().GetMessage(message_, &field_)
               : reflection().GetRepeatedMessage(message_, &field_, index_);
  }

 private:
  const Reflection& reflection() const { return *message_.GetReflection(); }

  const Message& message_;
  const FieldDescriptor& field_;
  const int index_;
};

bool IsZero(const Place& place) {
  std::string scratch;
  switch (place.field().cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return place.Text(scratch).empty();
    case FieldDescriptor::CPPTYPE_BOOL:
      return !place.Bool();
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return false;
    default:
      return place.Number() == 0;
  }
}

bool IsShown(const Place& place) {
  const FieldDescriptor& field = place.field();
  if (IsAlways(field)) return true;
  if (field.message_type() == kubernetes::Time::descriptor()) {
    return static_cast<const kubernetes::Time&>(place.Submessage())
        .has_seconds();
  }
  if (IsPointer(field)) return place.IsPresent();
  return !IsZero(place);
}

void AppendTime(const kubernetes::Time& time, bool micro, std::string& json) {
  if (!time.has_seconds()) {
    json.append("null");
    return;
  }
  const absl::Time when = FromKubernetesTime(time);
  AppendJsonString(micro ? absl::FormatTime("%E4Y-%m-%dT%H:%M:%E6SZ", when,
                                            absl::UTCTimeZone())
                         : FormatRfc3339(when),
                   json);
}

void AppendStrings(const kubernetes::ExtraValue& value, std::string& json) {
  const char* before = "[";
  for (const std::string& item : value.items()) {
    json.append(std::exchange(before, ","));
    AppendJsonString(item, json);
  }
  if (value.items().empty()) json.push_back('[');
  json.push_back(']');
}

void AppendValue(const Place& place, std::string& json) {
  std::string scratch;
  const FieldDescriptor& field = place.field();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      if (field.type() == FieldDescriptor::TYPE_BYTES) {
        json.push_back('"');
        json.append(absl::Base64Escape(place.Text(scratch)));
        json.push_back('"');
      } else {
        AppendJsonString(place.Text(scratch), json);
      }
      return;
    case FieldDescriptor::CPPTYPE_BOOL:
      json.append(place.Bool() ? "true" : "false");
      return;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
    default:
      json.append(fmt::format_int(place.Number()).c_str());
      return;
  }
  const Message& message = place.Submessage();
  switch (FormOf(field.message_type())) {
    case Form::kTime:
      return AppendTime(static_cast<const kubernetes::Time&>(message),
                        IsMicro(field), json);
    case Form::kQuantity:
      return AppendJsonString(
          static_cast<const kubernetes::Quantity&>(message).string(), json);
    case Form::kStrings:
      return AppendStrings(static_cast<const kubernetes::ExtraValue&>(message),
                           json);
    case Form::kObject:
      return AppendJson(message, json);
  }
}

// Sorted by key, as Go does.
void AppendMap(const Message& message, const FieldDescriptor& field,
               std::string& json) {
  const Reflection& reflection = *message.GetReflection();
  std::map<std::string, const Message*> entries;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    entries[entry.GetReflection()->GetString(
        entry, field.message_type()->map_key())] = &entry;
  }
  json.push_back('{');
  const char* before = "";
  for (const auto& [key, entry] : entries) {
    json.append(std::exchange(before, ","));
    AppendJsonString(key, json);
    json.push_back(':');
    AppendValue(Place(*entry, *field.message_type()->map_value()), json);
  }
  json.push_back('}');
}

void AppendArray(const Message& message, const FieldDescriptor& field, int size,
                 std::string& json) {
  json.push_back('[');
  for (int i = 0; i < size; ++i) {
    if (i > 0) json.push_back(',');
    AppendValue(Place(message, field, i), json);
  }
  json.push_back(']');
}

// All fields without the braces; `before` goes in front of the first.
void AppendFields(const Message& message, const char* before,
                  std::string& json) {
  const auto name = [&](const FieldDescriptor& field) {
    json.append(std::exchange(before, ","));
    json.append("\"").append(field.json_name()).append("\":");
  };
  const Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.is_repeated()) {
      const int size = message.GetReflection()->FieldSize(message, &field);
      if (size == 0 && !IsAlways(field)) continue;
      name(field);
      if (field.is_map()) {
        AppendMap(message, field, json);
      } else {
        AppendArray(message, field, size, json);
      }
    } else if (const Place place(message, field); IsShown(place)) {
      name(field);
      AppendValue(place, json);
    }
  }
}

// Reading.

std::string_view KindName(const JsonValue& value) {
  switch (value.kind_case()) {
    case JsonValue::kNumberValue:
      return "number";
    case JsonValue::kStringValue:
      return "string";
    case JsonValue::kBoolValue:
      return "bool";
    case JsonValue::kStructValue:
      return "object";
    case JsonValue::kListValue:
      return "array";
    default:
      return "null";
  }
}

bool IsNull(const JsonValue& value) {
  return value.kind_case() == JsonValue::kNullValue ||
         value.kind_case() == JsonValue::KIND_NOT_SET;
}

// Reads one object into one message. Where it is in the whole is `path`, with a
// dot at its end unless it is the whole.
class ObjectReader {
 public:
  ObjectReader(std::string path, std::vector<std::string>* unknown)
      : path_(std::move(path)), unknown_(unknown) {}

  absl::Status Read(const Struct& object, Message& message) const {
    // In the order of the fields, so that of several mistakes it is always the
    // same one that is reported.
    const Descriptor& type = *message.GetDescriptor();
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      const auto found = object.fields().find(field.json_name());
      if (found == object.fields().end() || IsNull(found->second)) continue;
      LATCHKEY_RETURN_IF_ERROR(ReadField(found->second, field, message));
    }
    if (unknown_ != nullptr) NoteUnknown(object, type);
    return absl::OkStatus();
  }

 private:
  absl::Status ReadField(const JsonValue& value, const FieldDescriptor& field,
                         Message& message) const;
  absl::Status ReadElement(const JsonValue& value, const FieldDescriptor& field,
                           const std::string& where, Message& message) const;
  absl::Status ReadMap(const Struct& map, const FieldDescriptor& field,
                       Message& message) const;
  absl::Status ReadText(const JsonValue& value, const FieldDescriptor& field,
                        const std::string& where, Message& message) const;
  absl::Status ReadNumber(const JsonValue& value, const FieldDescriptor& field,
                          const std::string& where, Message& message) const;
  absl::Status ReadMessage(const JsonValue& value, const FieldDescriptor& field,
                           const std::string& where, Message& result) const;
  absl::Status ReadTime(const JsonValue& value, bool micro,
                        const std::string& where, Message& result) const;
  absl::Status ReadQuantity(const JsonValue& value, const std::string& where,
                            Message& result) const;

  static absl::Status Mismatch(const JsonValue& value, const std::string& where,
                               std::string_view wanted) {
    return absl::InvalidArgumentError(
        fmt::format("json: cannot unmarshal {} into field {} of type {}",
                    KindName(value), where, wanted));
  }
  void NoteUnknown(const Struct& object, const Descriptor& type) const;

  const std::string path_;
  std::vector<std::string>* const unknown_;
};

void ObjectReader::NoteUnknown(const Struct& object,
                               const Descriptor& type) const {
  std::map<std::string, bool> known;
  for (int i = 0; i < type.field_count(); ++i) {
    known[type.field(i)->json_name()] = true;
  }
  // Not ours, and nobody's mistake.
  if (path_.empty()) known["kind"] = known["apiVersion"] = true;
  if (&type == kubernetes::ObjectMeta::descriptor()) {
    known["managedFields"] = true;
  }
  std::map<std::string, bool> sorted;
  for (const auto& [name, value] : object.fields()) sorted[name] = true;
  for (const auto& [name, yes] : sorted) {
    if (!known.contains(name)) unknown_->push_back(path_ + name);
  }
}

absl::Status ObjectReader::ReadField(const JsonValue& value,
                                     const FieldDescriptor& field,
                                     Message& message) const {
  const std::string where = path_ + field.json_name();
  if (field.is_map()) {
    if (!value.has_struct_value()) return Mismatch(value, where, "map");
    return ReadMap(value.struct_value(), field, message);
  }
  if (!field.is_repeated()) return ReadElement(value, field, where, message);
  if (!value.has_list_value()) return Mismatch(value, where, "list");
  int index = 0;
  for (const JsonValue& element : value.list_value().values()) {
    LATCHKEY_RETURN_IF_ERROR(ReadElement(
        element, field, fmt::format("{}[{}]", where, index++), message));
  }
  return absl::OkStatus();
}

absl::Status ObjectReader::ReadMap(const Struct& map,
                                   const FieldDescriptor& field,
                                   Message& message) const {
  const FieldDescriptor& key_field = *field.message_type()->map_key();
  const FieldDescriptor& value_field = *field.message_type()->map_value();
  for (const auto& [key, value] : map.fields()) {
    Message& entry = *message.GetReflection()->AddMessage(&message, &field);
    entry.GetReflection()->SetString(&entry, &key_field, key);
    // The key is not repeated: it may be anything.
    LATCHKEY_RETURN_IF_ERROR(
        ReadElement(value, value_field, path_ + field.json_name(), entry));
  }
  return absl::OkStatus();
}

absl::Status ObjectReader::ReadElement(const JsonValue& value,
                                       const FieldDescriptor& field,
                                       const std::string& where,
                                       Message& message) const {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return ReadText(value, field, where, message);
    case FieldDescriptor::CPPTYPE_BOOL:
      if (IsNull(value)) return absl::OkStatus();
      if (!value.has_bool_value()) return Mismatch(value, where, "bool");
      reflection.SetBool(&message, &field, value.bool_value());
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ReadMessage(value, field, where,
                         field.is_repeated()
                             ? *reflection.AddMessage(&message, &field)
                             : *reflection.MutableMessage(&message, &field));
    default:
      return ReadNumber(value, field, where, message);
  }
}

absl::Status ObjectReader::ReadText(const JsonValue& value,
                                    const FieldDescriptor& field,
                                    const std::string& where,
                                    Message& message) const {
  if (!value.has_string_value() && !IsNull(value)) {
    return Mismatch(value, where, "string");
  }
  std::string text = value.string_value();
  if (field.type() == FieldDescriptor::TYPE_BYTES) {
    std::string bytes;
    if (!absl::Base64Unescape(text, &bytes)) {
      return absl::InvalidArgumentError(
          fmt::format("illegal base64 data in field {}", where));
    }
    text = std::move(bytes);
  }
  const Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) {
    reflection.AddString(&message, &field, std::move(text));
  } else {
    reflection.SetString(&message, &field, std::move(text));
  }
  return absl::OkStatus();
}

absl::Status ObjectReader::ReadNumber(const JsonValue& value,
                                      const FieldDescriptor& field,
                                      const std::string& where,
                                      Message& message) const {
  const bool small = field.cpp_type() == FieldDescriptor::CPPTYPE_INT32;
  if (!value.has_number_value()) {
    return Mismatch(value, where, small ? "int32" : "int64");
  }
  const double number = value.number_value();
  // Beyond 2^53 a double is no longer the integer that was written.
  const double limit =
      small ? std::numeric_limits<int32_t>::max() : 9007199254740992.0;
  if (std::trunc(number) != number || std::abs(number) > limit) {
    return Mismatch(value, where, small ? "int32" : "int64");
  }
  if (small) {
    message.GetReflection()->SetInt32(&message, &field,
                                      static_cast<int32_t>(number));
  } else {
    message.GetReflection()->SetInt64(&message, &field,
                                      static_cast<int64_t>(number));
  }
  return absl::OkStatus();
}

absl::Status ObjectReader::ReadMessage(const JsonValue& value,
                                       const FieldDescriptor& field,
                                       const std::string& where,
                                       Message& result) const {
  if (IsNull(value)) return absl::OkStatus();
  switch (FormOf(field.message_type())) {
    case Form::kTime:
      return ReadTime(value, IsMicro(field), where, result);
    case Form::kQuantity:
      return ReadQuantity(value, where, result);
    case Form::kStrings: {
      if (!value.has_list_value()) return Mismatch(value, where, "list");
      auto& strings = static_cast<kubernetes::ExtraValue&>(result);
      for (const JsonValue& item : value.list_value().values()) {
        if (!item.has_string_value()) return Mismatch(item, where, "string");
        strings.add_items(item.string_value());
      }
      return absl::OkStatus();
    }
    case Form::kObject:
      break;
  }
  if (!value.has_struct_value()) {
    return Mismatch(value, where, field.message_type()->name());
  }
  return ObjectReader(where + ".", unknown_).Read(value.struct_value(), result);
}

absl::Status ObjectReader::ReadTime(const JsonValue& value, bool micro,
                                    const std::string& where,
                                    Message& result) const {
  if (!value.has_string_value()) return Mismatch(value, where, "Time");
  const auto time = ParseRfc3339(value.string_value());
  if (!time.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("field {} is no time of RFC 3339", where));
  }
  static_cast<kubernetes::Time&>(result) =
      micro ? ToKubernetesMicroTime(*time) : ToKubernetesTime(*time);
  return absl::OkStatus();
}

absl::Status ObjectReader::ReadQuantity(const JsonValue& value,
                                        const std::string& where,
                                        Message& result) const {
  auto& quantity = static_cast<kubernetes::Quantity&>(result);
  if (value.has_string_value()) {
    quantity.set_string(value.string_value());
  } else if (value.has_number_value()) {
    quantity.set_string(fmt::format("{}", value.number_value()));
  } else {
    return Mismatch(value, where, "Quantity");
  }
  return absl::OkStatus();
}

// The string at `name`; empty if it is not there, nullopt if it is none.
std::optional<std::string> StringAt(const Struct& object, const char* name) {
  const auto found = object.fields().find(name);
  if (found == object.fields().end() || IsNull(found->second)) return "";
  if (!found->second.has_string_value()) return std::nullopt;
  return found->second.string_value();
}

}  // namespace

void AppendJson(const Message& message, std::string& json) {
  json.push_back('{');
  AppendFields(message, "", json);
  json.push_back('}');
}

void AppendObjectJson(std::string_view api_version, std::string_view kind,
                      const Message& object, std::string& json) {
  json.append("{\"kind\":");
  AppendJsonString(kind, json);
  json.append(",\"apiVersion\":");
  AppendJsonString(api_version, json);
  AppendFields(object, ",", json);
  json.push_back('}');
}

absl::StatusOr<JsonObject> JsonObject::Parse(std::string_view text) {
  auto fields = std::make_shared<Struct>();
  // Its message would repeat the text.
  if (!google::protobuf::util::JsonStringToMessage({text.data(), text.size()},
                                                   fields.get())
           .ok()) {
    return absl::InvalidArgumentError("the body is not a JSON object");
  }
  const auto api_version = StringAt(*fields, "apiVersion");
  const auto kind = StringAt(*fields, "kind");
  if (!api_version || !kind) {
    return absl::InvalidArgumentError("kind and apiVersion must be strings");
  }
  JsonObject object;
  object.fields_ = std::move(fields);
  object.api_version_ = *api_version;
  object.kind_ = *kind;
  return object;
}

absl::Status JsonObject::ReadInto(Message& message,
                                  std::vector<std::string>* unknown) const {
  return ObjectReader("", unknown).Read(*fields_, message);
}

}  // namespace latchkey
