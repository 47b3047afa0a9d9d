// Reads a YAML document into typed values and collects every mistake in it, so
// that a user mends a configuration file in one go.
//
//   auto document = ConfigDocument::Parse("broker.yaml", text);
//   ConfigReader root = document->root();
//   options.listen = root.Section("node_api").String("listen",
//   "127.0.0.1:7444"); LATCHKEY_RETURN_IF_ERROR(document->Finish());
//
// Not safe for concurrent use. A ConfigReader borrows its document.

#ifndef LATCHKEY_CORE_CONFIG_READER_H_
#define LATCHKEY_CORE_CONFIG_READER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

namespace latchkey {

class ConfigDocument;

// One mapping of the document. A getter answers the field's value, or its
// default if the field is absent; a value of the wrong form is noted as a
// mistake (file, line, field, what is wrong, what would be right) and the
// default is answered, so that reading goes on.
class ConfigReader {
 public:
  // A nested mapping; an empty one if absent.
  ConfigReader Section(std::string_view field) const;
  // True if the field is there, whatever its form.
  bool Has(std::string_view field) const;
  // True if the field is there and is a mapping, or a list.
  bool IsMapping(std::string_view field) const;
  bool IsList(std::string_view field) const;
  // The names of all fields, in alphabetical order: for mappings whose names
  // the file chooses. They count as unknown until they are asked for.
  std::vector<std::string> Fields() const;
  // Takes all fields for known: for what somebody else reads and judges.
  void IgnoreOthers() const;
  // Each field beside a text that is the same exactly as long as its value is,
  // comments and layout aside: for telling what changed in a file.
  std::map<std::string, std::string> FieldTexts() const;
  // "broker.yaml:12: policy[3]": where this mapping stands, for messages.
  std::string Where() const;

  std::string String(std::string_view field, std::string_view fallback) const;
  // Notes a mistake if the field is absent or empty.
  std::string RequiredString(std::string_view field) const;
  std::optional<std::string> OptionalString(std::string_view field) const;
  bool Bool(std::string_view field, bool fallback) const;
  int64_t Int(std::string_view field, int64_t fallback, int64_t least,
              int64_t most) const;
  // 90s, 15m, 1h30m; within [least, most].
  absl::Duration Duration(std::string_view field, absl::Duration fallback,
                          absl::Duration least, absl::Duration most) const;
  // One string of `choices`.
  std::string Choice(std::string_view field, std::string_view fallback,
                     const std::vector<std::string>& choices) const;
  // A list of strings; empty if absent.
  std::vector<std::string> Strings(std::string_view field) const;
  // A list of mappings; empty if absent.
  std::vector<ConfigReader> Sections(std::string_view field) const;

  // Notes a mistake at `field` (or at this mapping, if that is empty or
  // absent).
  void Mistake(std::string_view field, std::string_view message) const;
  // Notes the message of `status` as a mistake at `field`, unless it is OK.
  void Check(std::string_view field, const absl::Status& status) const;

 private:
  friend class ConfigDocument;
  struct Node;
  ConfigReader(ConfigDocument& document, std::shared_ptr<Node> node)
      : document_(&document), node_(std::move(node)) {}

  ConfigDocument* document_;
  std::shared_ptr<Node> node_;  // shared: copies of a reader mark the same
                                // fields as known
};

class ConfigDocument {
 public:
  // Larger documents are refused unread.
  static constexpr size_t kMaxBytes = 1 << 20;

  // kInvalidArgument if `text` is no YAML mapping. `name` stands for the
  // document in messages. Never throws, whatever the text.
  static absl::StatusOr<std::unique_ptr<ConfigDocument>> Parse(
      std::string_view name, std::string_view text);

  ConfigDocument(const ConfigDocument&) = delete;
  ConfigDocument& operator=(const ConfigDocument&) = delete;
  ~ConfigDocument();

  ConfigReader root();

  // What to do with fields that nobody asked for: in our own files a misspelt
  // field is a mistake, not a default; other programs' files may hold more than
  // we read.
  enum class UnknownFields { kRefuse, kAllow };

  // kInvalidArgument with all mistakes, a line each, in the order of the file.
  absl::Status Finish(UnknownFields unknown = UnknownFields::kRefuse);

 private:
  friend class ConfigReader;
  struct State;
  explicit ConfigDocument(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CORE_CONFIG_READER_H_
