#include "clients/ctl/data_tree.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

namespace latchkey {
namespace {

// A literal block shows each byte as it is, and YAML folds or forbids none of
// these.
bool IsLiteral(const std::string& text) {
  return text.size() > 1 && text.front() > ' ' && text.back() == '\n' &&
         text[text.size() - 2] != '\n' &&
         text.find(" \n") == std::string::npos &&
         std::ranges::all_of(
             text, [](char c) { return c == '\n' || (c >= ' ' && c < 0x7f); });
}

class TreeEmitter {
 public:
  enum class Form { kYaml, kJson };

  TreeEmitter(YAML::Emitter& out, Form form) : out_(out), form_(form) {
    out_.SetStringFormat(YAML::DoubleQuoted);
    if (form == Form::kYaml) {
      out_.SetOutputCharset(YAML::EscapeNonAscii);
    } else {
      out_.SetOutputCharset(YAML::EscapeAsJson);
      out_.SetMapFormat(YAML::Flow);
      out_.SetSeqFormat(YAML::Flow);
    }
  }

  void Emit(const DataTree& tree) {
    std::visit([this](const auto& value) { Emit(value); }, tree.value);
  }

 private:
  void Emit(const std::string& text) { out_ << text; }
  void Emit(const DataText& text) {
    if (form_ == Form::kYaml && IsLiteral(text.text)) out_ << YAML::Literal;
    out_ << text.text;
  }
  void Emit(bool truth) { out_ << truth; }
  void Emit(int64_t number) { out_ << number; }
  void Emit(const DataList& items) {
    out_ << YAML::BeginSeq;
    for (const DataTree& item : items) Emit(item);
    out_ << YAML::EndSeq;
  }
  void Emit(const DataFields& fields) {
    out_ << YAML::BeginMap;
    for (const auto& [name, value] : fields) {
      out_ << YAML::Key;
      EmitName(name);
      out_ << YAML::Value;
      Emit(value);
    }
    out_ << YAML::EndMap;
  }
  // In YAML a name that is a plain word stands without quotes, unless it could
  // be read as another type, as "on" and "null" can.
  void EmitName(const std::string& name) {
    const bool plain = form_ == Form::kYaml && name.size() > 4 &&
                       std::ranges::all_of(name,
                                           [](char c) {
                                             return (c >= 'a' && c <= 'z') ||
                                                    (c >= 'A' && c <= 'Z') ||
                                                    c == '_';
                                           }) &&
                       name != "false" && name != "False" && name != "FALSE";
    if (plain) out_ << YAML::Auto;
    out_ << name;
  }

  YAML::Emitter& out_;
  const Form form_;
};

std::string Written(const DataTree& tree, TreeEmitter::Form form) {
  YAML::Emitter out;
  TreeEmitter(out, form).Emit(tree);
  std::string text(out.c_str(), out.size());
  // A literal block at the end has ended its line.
  if (!text.ends_with('\n')) text += '\n';
  return text;
}

DataTree TreeOfValue(const google::protobuf::Value& value);

DataTree TreeOfStruct(const google::protobuf::Struct& message) {
  const std::map<std::string, google::protobuf::Value> sorted(
      message.fields().begin(), message.fields().end());
  DataFields fields;
  for (const auto& [name, value] : sorted) {
    fields.emplace_back(name, TreeOfValue(value));
  }
  return fields;
}

DataTree TreeOfValue(const google::protobuf::Value& value) {
  switch (value.kind_case()) {
    case google::protobuf::Value::kBoolValue:
      return value.bool_value();
    case google::protobuf::Value::kNumberValue:
      // Our messages have no number that is not a small whole one.
      return static_cast<int>(std::lround(value.number_value()));
    case google::protobuf::Value::kStringValue:
      return value.string_value();
    case google::protobuf::Value::kStructValue:
      return TreeOfStruct(value.struct_value());
    case google::protobuf::Value::kListValue: {
      DataList items;
      for (const auto& item : value.list_value().values()) {
        items.push_back(TreeOfValue(item));
      }
      return items;
    }
    default:
      return DataFields();
  }
}

std::string Json(const google::protobuf::Message& message, bool lines) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = lines;
  std::string json;
  // Fails for times out of their range only, which a broken broker could send.
  if (!google::protobuf::util::MessageToJsonString(message, &json, options)
           .ok()) {
    json = R"({"error":"the answer holds a value that JSON cannot show"})";
  }
  if (json.empty() || json.back() != '\n') json += '\n';
  return json;
}

}  // namespace

std::string ToYaml(const DataTree& tree) {
  return Written(tree, TreeEmitter::Form::kYaml);
}

std::string ToJson(const DataTree& tree) {
  return Written(tree, TreeEmitter::Form::kJson);
}

std::string ToText(const DataTree& tree, std::string_view format) {
  return format == "yaml" ? ToYaml(tree) : ToJson(tree);
}

DataTree TreeOf(const google::protobuf::Message& message) {
  google::protobuf::Struct fields;
  (void)google::protobuf::util::JsonStringToMessage(JsonLine(message), &fields);
  return TreeOfStruct(fields);
}

std::string JsonLine(const google::protobuf::Message& message) {
  return Json(message, false);
}

std::string JsonText(const google::protobuf::Message& message) {
  return Json(message, true);
}

}  // namespace latchkey
