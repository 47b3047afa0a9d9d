#include "clients/ctl/batch_input.h"

#include <algorithm>
#include <map>
#include <memory>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "clients/ctl/cures.h"
#include "clients/ctl/issue_request.h"
#include "core/config_reader.h"
#include "core/node_name.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

absl::Status Unusable(absl::Status status) {
  return WithCure(std::move(status),
                  "mend the input; latchkeyctl batch --help shows its form, "
                  "in CSV and in YAML");
}

// Collects items and mistakes, so that a file is mended in one go.
class Collector {
 public:
  void Add(std::string where, const IssueFields& fields) {
    absl::StatusOr<v1::IssueTokenRequest> request = IssueRequestOf(fields);
    const absl::Status name = ValidateNodeName(fields.node_name);
    Mistake(where, request.status());
    Mistake(where, name);
    if (!request.ok() || !name.ok()) return;
    const auto [first, is_new] = seen_.emplace(fields.node_name, where);
    if (!is_new) {
      return Mistake(where, absl::InvalidArgumentError(
                                fmt::format("node {} is there already: {}",
                                            fields.node_name, first->second)));
    }
    items_.push_back({std::move(where), *std::move(request)});
  }

  // Of each line of the message; of none if `status` is OK.
  void Mistake(std::string_view where, const absl::Status& status) {
    constexpr int kMaxReported = 50;
    std::istringstream lines{std::string(status.message())};
    for (std::string line; std::getline(lines, line);) {
      if (++mistakes_ > kMaxReported) return;
      text_ += fmt::format("{}{}: {}", text_.empty() ? "" : "\n", where, line);
    }
  }

  absl::StatusOr<std::vector<BatchItem>> Finish(std::string_view name) {
    if (mistakes_ > 0) {
      return Unusable(absl::InvalidArgumentError(
          fmt::format("{}\n{}: {} mistake{}; nothing was asked for", text_,
                      name, mistakes_, mistakes_ == 1 ? "" : "s")));
    }
    if (items_.empty()) {
      return Unusable(
          absl::InvalidArgumentError(fmt::format("{}: has no machines", name)));
    }
    return std::move(items_);
  }

 private:
  std::vector<BatchItem> items_;
  std::map<std::string, std::string> seen_;
  std::string text_;
  int mistakes_ = 0;
};

struct CsvRecord {
  int line = 0;
  std::vector<std::string> fields;
};

// Takes records off the front of a text (RFC 4180; a bare LF ends a line too).
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : text_(text) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text_.starts_with(kByteOrderMark)) {
      text_.remove_prefix(kByteOrderMark.size());
    }
  }

  bool AtEnd() const { return text_.empty(); }

  // kInvalidArgument for a quote that stands where none may, or does not end.
  absl::StatusOr<CsvRecord> Next() {
    CsvRecord record{.line = line_, .fields = {}};
    while (true) {
      LATCHKEY_ASSIGN_OR_RETURN(std::string field, NextField());
      record.fields.push_back(std::move(field));
      if (text_.empty()) return record;
      const char end = text_.front();
      text_.remove_prefix(1);
      if (end == '\n') {
        ++line_;
        return record;
      }
    }
  }
  int line() const { return line_; }

 private:
  // Up to the comma or LF, which stays.
  absl::StatusOr<std::string> NextField() {
    if (text_.starts_with('"')) return QuotedField();
    std::string field(text_.substr(0, text_.find_first_of(",\n")));
    text_.remove_prefix(field.size());
    if (field.find('"') != std::string::npos) return BadQuote();
    if (field.ends_with('\r') && !text_.starts_with(',')) field.pop_back();
    return field;
  }
  absl::StatusOr<std::string> QuotedField() {
    std::string field;
    text_.remove_prefix(1);
    while (true) {
      const size_t quote = text_.find('"');
      if (quote == std::string_view::npos) return BadQuote();
      field += text_.substr(0, quote);
      text_.remove_prefix(quote + 1);
      if (!text_.starts_with('"')) break;
      field += '"';
      text_.remove_prefix(1);
    }
    line_ += static_cast<int>(std::ranges::count(field, '\n'));
    if (text_.starts_with('\r')) text_.remove_prefix(1);
    if (text_.empty() || text_.front() == ',' || text_.front() == '\n') {
      return field;
    }
    return BadQuote();
  }
  static absl::Status BadQuote() {
    return absl::InvalidArgumentError(
        "a quote must enclose the whole field, and be doubled within it");
  }

  std::string_view text_;
  int line_ = 1;
};

absl::Status CheckColumns(const std::vector<std::string>& columns) {
  for (const std::string& column : columns) {
    if (std::ranges::find(kIssueFieldNames, column) == kIssueFieldNames.end()) {
      return absl::InvalidArgumentError(
          fmt::format("the first line must name the columns; {} is none of {}",
                      column, fmt::join(kIssueFieldNames, ", ")));
    }
    if (std::ranges::count(columns, column) > 1) {
      return absl::InvalidArgumentError(
          fmt::format("two columns are named {}", column));
    }
  }
  if (std::ranges::find(columns, "node") == columns.end()) {
    return absl::InvalidArgumentError("there is no column node");
  }
  return absl::OkStatus();
}

void AddRecord(std::string where, const std::vector<std::string>& columns,
               const CsvRecord& record, Collector& collector) {
  if (record.fields.size() == 1 && record.fields[0].empty()) return;
  if (record.fields.size() != columns.size()) {
    return collector.Mistake(
        where, absl::InvalidArgumentError(
                   fmt::format("has {} fields; the first line names {} columns",
                               record.fields.size(), columns.size())));
  }
  IssueFields fields;
  for (size_t i = 0; i < columns.size(); ++i) {
    collector.Mistake(where,
                      SetIssueField(fields, columns[i], record.fields[i]));
  }
  collector.Add(std::move(where), fields);
}

absl::Status ReadYamlItem(const ConfigReader& item, IssueFields& fields) {
  for (const std::string_view name : kIssueFieldNames) {
    if (name == "group") {
      fields.groups = item.Strings(name);
    } else if (name == "label") {
      fields.labels = item.Strings(name);
    } else if (name == "allow-node-replacement") {
      fields.allow_node_replacement = item.Bool(name, false);
    } else {
      LATCHKEY_RETURN_IF_ERROR(
          SetIssueField(fields, name, item.String(name, "")));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<BatchItem>> ParseBatchCsv(std::string_view name,
                                                     std::string_view text) {
  Collector collector;
  CsvReader reader(text);
  std::vector<std::string> columns;
  while (!reader.AtEnd()) {
    const absl::StatusOr<CsvRecord> record = reader.Next();
    if (!record.ok()) {
      // Where the next record begins is anybody's guess.
      collector.Mistake(fmt::format("{}:{}", name, reader.line()),
                        record.status());
      break;
    }
    const std::string where = fmt::format("{}:{}", name, record->line);
    if (columns.empty()) {
      columns = record->fields;
      if (const absl::Status status = CheckColumns(columns); !status.ok()) {
        collector.Mistake(where, status);
        break;
      }
    } else {
      AddRecord(where, columns, *record, collector);
    }
  }
  return collector.Finish(name);
}

absl::StatusOr<std::vector<BatchItem>> ParseBatchYaml(std::string_view name,
                                                      std::string_view text) {
  auto parsed = ConfigDocument::Parse(name, text);
  if (!parsed.ok()) return Unusable(parsed.status());
  const std::unique_ptr<ConfigDocument> document = *std::move(parsed);
  Collector collector;
  for (const ConfigReader& item : document->root().Sections("tokens")) {
    IssueFields fields;
    collector.Mistake(item.Where(), ReadYamlItem(item, fields));
    collector.Add(item.Where(), fields);
  }
  if (const absl::Status form = document->Finish(); !form.ok()) {
    return Unusable(form);
  }
  return collector.Finish(name);
}

}  // namespace latchkey
