#include "core/config_reader.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <exception>
#include <istream>
#include <map>
#include <streambuf>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "core/text_time.h"

namespace latchkey {
namespace {

// Far above what any file of ours needs, far below what hurts: a megabyte of
// brackets would otherwise become gigabytes of nodes, or a deep stack.
constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxNodes = 100'000;
// Nobody mends more in one go.
constexpr size_t kMaxReported = 50;

// Reads a view in place.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    // The get area is only read.
    char* begin = const_cast<char*>(text.data());
    setg(begin, begin, begin + text.size());
  }
};

// The name of a field as a message may show it. What does not look like a
// field's name could be a misplaced value, and a value could be secret: tokens
// have a dot, tickets are longer.
bool IsShowable(std::string_view field) {
  constexpr size_t kMaxLength = 40;
  return !field.empty() && field.size() <= kMaxLength &&
         std::ranges::all_of(field, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || c == '_' || c == '-';
         });
}

std::string Joined(std::string_view path, std::string_view field) {
  if (path.empty()) return std::string(field);
  return fmt::format("{}.{}", path, field);
}

// What the parser says, without what it quotes from the file: it quotes only
// after a colon, and the names of anchors.
std::string WithoutQuotes(const std::string& message) {
  if (message.find("anchor") != std::string::npos ||
      message.find("alias") != std::string::npos) {
    return "misplaced or unknown anchor or alias";
  }
  return message.substr(0, message.find(':'));
}

}  // namespace

struct ConfigReader::Node {
  enum class Kind { kNull, kScalar, kSequence, kMapping };
  struct Field {
    int line = 0;
    bool known = false;
    std::shared_ptr<Node> value;
  };

  Kind kind = Kind::kNull;
  int line = 0;
  // From the root, such as policy.rules[2].lifetime; empty for the root.
  std::string path;
  std::string text;     // of a scalar
  bool quoted = false;  // of a scalar
  // Somebody reads the fields of this mapping. The fields of a mapping that
  // stands where something else must are not reported one by one.
  bool opened = false;
  std::vector<std::shared_ptr<Node>> items;
  std::map<std::string, Field, std::less<>> fields;

  Field* Find(std::string_view name) {
    const auto it = fields.find(name);
    return it == fields.end() ? nullptr : &it->second;
  }

  // Adds one text for one value. Lengths keep texts apart.
  void AppendTo(std::string& out) const {
    out += fmt::format("{}{}{}:{}", static_cast<int>(kind), quoted ? 'q' : 'p',
                       text.size(), text);
    out += fmt::format("[{}", items.size());
    for (const auto& item : items) item->AppendTo(out);
    out += fmt::format("{{{}", fields.size());
    for (const auto& [name, field] : fields) {
      out += fmt::format("{}:{}", name.size(), name);
      field.value->AppendTo(out);
    }
  }
};

struct ConfigDocument::State {
  using Node = ConfigReader::Node;
  struct Noted {
    int line;
    std::string text;
  };

  class Builder;

  void Note(int line, std::string_view path, std::string_view message) {
    mistakes.push_back(
        {line, path.empty()
                   ? fmt::format("{}:{}: {}", name, line, message)
                   : fmt::format("{}:{}: {}: {}", name, line, path, message)});
  }

  // Marks the field as known and answers its value; null if it is absent.
  static std::shared_ptr<Node> Take(Node& mapping, std::string_view field) {
    Node::Field* found = mapping.Find(field);
    if (found == nullptr) return nullptr;
    found->known = true;
    return found->value;
  }

  // The same for a field that must be a scalar; null, and a mistake noted, if
  // it is anything else.
  std::shared_ptr<Node> TakeScalar(Node& mapping, std::string_view field,
                                   std::string_view wanted);

  void NoteUnknownFields(const Node& node);

  std::string name;
  std::shared_ptr<Node> root;
  std::vector<Noted> mistakes;
};

// Turns the parser's events into nodes. What makes going on pointless throws
// Refused, which ends in ConfigDocument::Parse.
class ConfigDocument::State::Builder final : public YAML::EventHandler {
 public:
  struct Refused {
    int line;
    std::string message;
  };

  explicit Builder(State& state) : state_(state) {}

  std::shared_ptr<Node> TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) {
      throw Refused{LineOf(mark),
                    "a second document; one file holds one document"};
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(mark, "", anchor, Node::Kind::kNull, "");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    throw Refused{LineOf(mark),
                  "aliases are not supported; write the value out"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor, const std::string& value) override {
    Add(mark, tag, anchor, Node::Kind::kScalar, value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    Open(Add(mark, tag, anchor, Node::Kind::kSequence, ""), mark);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    Open(Add(mark, tag, anchor, Node::Kind::kMapping, ""), mark);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  struct Level {
    std::shared_ptr<Node> node;
    // In a mapping, the name read last, whose value comes next.
    bool has_name = false;
    std::string name;
    int name_line = 0;
  };

  static int LineOf(const YAML::Mark& mark) {
    return std::max(mark.line, 0) + 1;
  }

  void Open(std::shared_ptr<Node> node, const YAML::Mark& mark) {
    if (open_.size() >= kMaxDepth) {
      throw Refused{
          LineOf(mark),
          fmt::format("nested too deeply; {} levels are allowed", kMaxDepth)};
    }
    open_.push_back({.node = std::move(node), .name = {}});
  }

  std::shared_ptr<Node> Add(const YAML::Mark& mark, const std::string& tag,
                            YAML::anchor_t anchor, Node::Kind kind,
                            const std::string& text) {
    const int line = LineOf(mark);
    if (++nodes_ > kMaxNodes) {
      throw Refused{line, "too many values"};
    }
    if (anchor != 0) {
      throw Refused{line, "anchors are not supported; leave it out"};
    }
    // "?" stands for no tag, "!" for a quoted scalar.
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw Refused{line, "tags are not supported; leave it out"};
    }
    if (WantsName()) {
      TakeName(line, kind, text);
      return nullptr;
    }
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->line = line;
    node->text = text;
    node->quoted = tag == "!";
    Place(node);
    return node;
  }

  bool WantsName() const {
    return !open_.empty() && open_.back().node->kind == Node::Kind::kMapping &&
           !open_.back().has_name;
  }

  void TakeName(int line, Node::Kind kind, const std::string& text) {
    if (kind != Node::Kind::kScalar || text.empty()) {
      throw Refused{line, "a field without a name; a field is name: value"};
    }
    Level& level = open_.back();
    level.has_name = true;
    level.name = text;
    level.name_line = line;
  }

  void Place(const std::shared_ptr<Node>& node) {
    if (open_.empty()) {
      root_ = node;
      return;
    }
    Level& level = open_.back();
    Node& parent = *level.node;
    if (parent.kind == Node::Kind::kSequence) {
      node->path = fmt::format("{}[{}]", parent.path, parent.items.size());
      parent.items.push_back(node);
      return;
    }
    level.has_name = false;
    node->path =
        Joined(parent.path, IsShowable(level.name) ? level.name : "(a field)");
    if (const Node::Field* first = parent.Find(level.name)) {
      state_.Note(
          level.name_line, node->path,
          fmt::format("given twice; line {} has it already", first->line));
      return;
    }
    parent.fields.emplace(
        std::move(level.name),
        Node::Field{.line = level.name_line, .known = false, .value = node});
  }

  State& state_;
  int documents_ = 0;
  size_t nodes_ = 0;
  std::shared_ptr<Node> root_;
  std::vector<Level> open_;
};

std::shared_ptr<ConfigReader::Node> ConfigDocument::State::TakeScalar(
    Node& mapping, std::string_view field, std::string_view wanted) {
  std::shared_ptr<Node> node = Take(mapping, field);
  if (node == nullptr || node->kind == Node::Kind::kScalar) return node;
  const std::string_view is = node->kind == Node::Kind::kNull ? "has no value"
                              : node->kind == Node::Kind::kSequence
                                  ? "is a list"
                                  : "is a mapping";
  Note(node->line, node->path, fmt::format("{}; must be {}", is, wanted));
  return nullptr;
}

void ConfigDocument::State::NoteUnknownFields(const Node& node) {
  for (const std::shared_ptr<Node>& item : node.items) NoteUnknownFields(*item);
  if (!node.opened) return;
  for (const auto& [field_name, field] : node.fields) {
    if (field.known) {
      NoteUnknownFields(*field.value);
      continue;
    }
    Note(field.line, field.value->path,
         IsShowable(field_name)
             ? "unknown field; check its spelling and its indentation"
             : "unknown field, not shown since it looks like a value");
  }
}

ConfigReader ConfigReader::Section(std::string_view field) const {
  std::shared_ptr<Node> node = ConfigDocument::State::Take(*node_, field);
  if (node != nullptr && node->kind == Node::Kind::kMapping) {
    node->opened = true;
    return {*document_, std::move(node)};
  }
  auto empty = std::make_shared<Node>();
  empty->kind = Node::Kind::kMapping;
  empty->line = node == nullptr ? node_->line : node->line;
  empty->path = Joined(node_->path, field);
  if (node != nullptr && node->kind != Node::Kind::kNull) {
    document_->state_->Note(node->line, node->path,
                            "must be a mapping, fields indented below it");
  }
  return {*document_, std::move(empty)};
}

bool ConfigReader::Has(std::string_view field) const {
  return ConfigDocument::State::Take(*node_, field) != nullptr;
}

bool ConfigReader::IsMapping(std::string_view field) const {
  const auto node = ConfigDocument::State::Take(*node_, field);
  return node != nullptr && node->kind == Node::Kind::kMapping;
}

bool ConfigReader::IsList(std::string_view field) const {
  const auto node = ConfigDocument::State::Take(*node_, field);
  return node != nullptr && node->kind == Node::Kind::kSequence;
}

std::vector<std::string> ConfigReader::Fields() const {
  std::vector<std::string> names;
  for (const auto& [name, field] : node_->fields) names.push_back(name);
  return names;
}

void ConfigReader::IgnoreOthers() const {
  for (const std::string& field : Fields()) Has(field);
}

std::map<std::string, std::string> ConfigReader::FieldTexts() const {
  std::map<std::string, std::string> texts;
  for (const auto& [name, field] : node_->fields) {
    field.value->AppendTo(texts[name]);
  }
  return texts;
}

std::string ConfigReader::Where() const {
  return fmt::format("{}:{}: {}", document_->state_->name, node_->line,
                     node_->path);
}

std::string ConfigReader::String(std::string_view field,
                                 std::string_view fallback) const {
  return OptionalString(field).value_or(std::string(fallback));
}

std::string ConfigReader::RequiredString(std::string_view field) const {
  const auto node = document_->state_->TakeScalar(*node_, field, "a string");
  if (node != nullptr && !node->text.empty()) return node->text;
  // Of a field of another kind the mistake is noted already.
  if (node != nullptr || !Has(field)) {
    Mistake(field, node != nullptr ? "must not be empty"
                                   : "is missing; it is required");
  }
  return "";
}

std::optional<std::string> ConfigReader::OptionalString(
    std::string_view field) const {
  const auto node = document_->state_->TakeScalar(*node_, field, "a string");
  if (node == nullptr) return std::nullopt;
  return node->text;
}

bool ConfigReader::Bool(std::string_view field, bool fallback) const {
  constexpr std::string_view kWanted = "true or false, without quotes";
  const auto node = document_->state_->TakeScalar(*node_, field, kWanted);
  if (node == nullptr) return fallback;
  if (!node->quoted && node->text == "true") return true;
  if (!node->quoted && node->text == "false") return false;
  Mistake(field, fmt::format("must be {}", kWanted));
  return fallback;
}

int64_t ConfigReader::Int(std::string_view field, int64_t fallback,
                          int64_t least, int64_t most) const {
  const std::string wanted =
      fmt::format("a whole number from {} to {}, without quotes", least, most);
  const auto node = document_->state_->TakeScalar(*node_, field, wanted);
  if (node == nullptr) return fallback;
  int64_t value = 0;
  const char* end = node->text.data() + node->text.size();
  const auto parsed = std::from_chars(node->text.data(), end, value);
  if (node->quoted || parsed.ec != std::errc() || parsed.ptr != end ||
      value < least || value > most) {
    Mistake(field, fmt::format("must be {}", wanted));
    return fallback;
  }
  return value;
}

absl::Duration ConfigReader::Duration(std::string_view field,
                                      absl::Duration fallback,
                                      absl::Duration least,
                                      absl::Duration most) const {
  const std::string wanted =
      fmt::format("a duration such as 90s, 15m or 1h30m, from {} to {}",
                  absl::FormatDuration(least), absl::FormatDuration(most));
  const auto node = document_->state_->TakeScalar(*node_, field, wanted);
  if (node == nullptr) return fallback;
  const auto value = ParsePositiveDuration(node->text);
  if (!value.ok() || *value < least || *value > most) {
    Mistake(field, fmt::format("must be {}", wanted));
    return fallback;
  }
  return *value;
}

std::string ConfigReader::Choice(
    std::string_view field, std::string_view fallback,
    const std::vector<std::string>& choices) const {
  const std::string wanted = fmt::format("one of {}", fmt::join(choices, ", "));
  const auto node = document_->state_->TakeScalar(*node_, field, wanted);
  if (node == nullptr) return std::string(fallback);
  if (std::ranges::find(choices, node->text) == choices.end()) {
    Mistake(field, fmt::format("must be {}", wanted));
    return std::string(fallback);
  }
  return node->text;
}

std::vector<std::string> ConfigReader::Strings(std::string_view field) const {
  std::vector<std::string> strings;
  const auto node = ConfigDocument::State::Take(*node_, field);
  if (node == nullptr || node->kind == Node::Kind::kNull) return strings;
  if (node->kind != Node::Kind::kSequence) {
    Mistake(field, "must be a list of strings");
    return strings;
  }
  for (const std::shared_ptr<Node>& item : node->items) {
    if (item->kind == Node::Kind::kScalar) {
      strings.push_back(item->text);
    } else {
      document_->state_->Note(item->line, item->path, "must be a string");
    }
  }
  return strings;
}

std::vector<ConfigReader> ConfigReader::Sections(std::string_view field) const {
  std::vector<ConfigReader> sections;
  const auto node = ConfigDocument::State::Take(*node_, field);
  if (node == nullptr || node->kind == Node::Kind::kNull) return sections;
  if (node->kind != Node::Kind::kSequence) {
    Mistake(field, "must be a list of mappings");
    return sections;
  }
  for (const std::shared_ptr<Node>& item : node->items) {
    if (item->kind == Node::Kind::kMapping) {
      item->opened = true;
      sections.push_back(ConfigReader(*document_, item));
    } else {
      document_->state_->Note(item->line, item->path, "must be a mapping");
    }
  }
  return sections;
}

void ConfigReader::Mistake(std::string_view field,
                           std::string_view message) const {
  const Node::Field* found = node_->Find(field);
  if (found != nullptr) {
    document_->state_->Note(found->line, found->value->path, message);
    return;
  }
  document_->state_->Note(
      node_->line, field.empty() ? node_->path : Joined(node_->path, field),
      message);
}

void ConfigReader::Check(std::string_view field,
                         const absl::Status& status) const {
  if (!status.ok()) Mistake(field, std::string(status.message()));
}

absl::StatusOr<std::unique_ptr<ConfigDocument>> ConfigDocument::Parse(
    std::string_view name, std::string_view text) {
  const auto refuse = [name](int line, std::string_view message) {
    return absl::InvalidArgumentError(
        fmt::format("{}:{}: {}", name, line, message));
  };
  if (text.size() > kMaxBytes) {
    return refuse(1, fmt::format("{} bytes; at most {} are read", text.size(),
                                 kMaxBytes));
  }
  // The parser would take the first for the end of the text.
  if (text.find('\0') != std::string_view::npos) {
    return refuse(1, "has a NUL byte; must be plain text");
  }

  auto state = std::make_unique<State>();
  state->name = std::string(name);
  State::Builder builder(*state);
  try {
    ViewBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const State::Builder::Refused& refused) {
    return refuse(refused.line, refused.message);
  } catch (const YAML::Exception& error) {
    return refuse(std::max(error.mark.line, 0) + 1,
                  "not well-formed YAML: " + WithoutQuotes(error.msg));
  } catch (const std::exception&) {
    return refuse(1, "not well-formed YAML");
  }

  state->root = builder.TakeRoot();
  if (state->root == nullptr ||
      state->root->kind != State::Node::Kind::kMapping) {
    return refuse(state->root == nullptr ? 1 : state->root->line,
                  "must be a mapping of fields, name: value");
  }
  state->root->opened = true;
  return std::unique_ptr<ConfigDocument>(new ConfigDocument(std::move(state)));
}

ConfigDocument::ConfigDocument(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
ConfigDocument::~ConfigDocument() = default;

ConfigReader ConfigDocument::root() { return {*this, state_->root}; }

absl::Status ConfigDocument::Finish(UnknownFields unknown) {
  if (unknown == UnknownFields::kRefuse) {
    state_->NoteUnknownFields(*state_->root);
  }
  std::vector<State::Noted>& mistakes = state_->mistakes;
  if (mistakes.empty()) return absl::OkStatus();

  std::ranges::stable_sort(mistakes, {}, &State::Noted::line);
  std::string text;
  const size_t shown = std::min(mistakes.size(), kMaxReported);
  for (size_t i = 0; i < shown; ++i) {
    if (i > 0) text += '\n';
    text += mistakes[i].text;
  }
  if (shown < mistakes.size()) {
    text += fmt::format("\n{}: {} more mistakes", state_->name,
                        mistakes.size() - shown);
  }
  return absl::InvalidArgumentError(text);
}

}  // namespace latchkey
