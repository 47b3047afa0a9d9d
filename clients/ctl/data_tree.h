// Structured text for machines, as YAML and as JSON, from one tree. Every
// string is quoted, so that no value can be taken for anything else. The wall
// around yaml-cpp's emitter.

#ifndef LATCHKEY_CLIENTS_CTL_DATA_TREE_H_
#define LATCHKEY_CLIENTS_CTL_DATA_TREE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace latchkey {

struct DataTree;

// Lines to be read by people, written as lines where that is safe.
struct DataText {
  std::string text;
};
using DataList = std::vector<DataTree>;
// In this order.
using DataFields = std::vector<std::pair<std::string, DataTree>>;

struct DataTree {
  std::variant<std::string, DataText, bool, int64_t, DataList, DataFields>
      value;

  // Implicit, so that a tree is written as what it becomes.
  // NOLINTBEGIN(google-explicit-constructor)
  DataTree(std::string text) : value(std::move(text)) {}
  DataTree(const char* text) : value(std::string(text)) {}
  DataTree(DataText text) : value(std::move(text)) {}
  DataTree(bool truth) : value(truth) {}
  DataTree(int number) : value(int64_t{number}) {}
  DataTree(size_t count) : value(static_cast<int64_t>(count)) {}
  DataTree(DataList items) : value(std::move(items)) {}
  DataTree(DataFields fields) : value(std::move(fields)) {}
  // NOLINTEND(google-explicit-constructor)
};

// A YAML document, with a line's end and without a "---". Printable ASCII.
std::string ToYaml(const DataTree& tree);
// JSON on one line, with its end.
std::string ToJson(const DataTree& tree);
// The first if `format` is "yaml", else the second.
std::string ToText(const DataTree& tree, std::string_view format);

// The message as protobuf's JSON mapping has it. Its fields are in the order of
// their names.
DataTree TreeOf(const google::protobuf::Message& message);

// The message in protobuf's JSON, on one line or on several.
std::string JsonLine(const google::protobuf::Message& message);
std::string JsonText(const google::protobuf::Message& message);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_DATA_TREE_H_
