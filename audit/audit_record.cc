#include "audit/audit_record.h"

#include <charconv>
#include <optional>
#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "core/json_string.h"
#include "crypto/digest.h"

namespace latchkey {
namespace {

constexpr char kTimeFormat[] = "%Y-%m-%d%ET%H:%M:%E6SZ";
// What JsonString writes for a byte that is no text, and a byte that it writes
// it for.
constexpr std::string_view kNoText = "\\ufffd";
constexpr char kNoTextByte = '\xff';

std::string Value(std::string_view text) {
  return JsonString(text.substr(0, kMaxAuditValueBytes));
}

void AppendUnlessEmpty(std::string& line, std::string_view name,
                       std::string_view value) {
  if (value.empty()) return;
  line.append(fmt::format(",\"{}\":", name)).append(Value(value));
}

void AppendFacts(std::string& line, const AuditEvent& event) {
  char separator = '{';
  for (const auto& [name, value] : event.facts) {
    if (separator == '{') line.append(",\"facts\":");
    line.push_back(separator);
    line.append(Value(name)).append(":").append(Value(value));
    separator = ',';
  }
  if (separator == ',') line.push_back('}');
}

std::string EncodeWithoutHash(const AuditEvent& event, absl::Time time,
                              uint64_t sequence, std::string_view prev) {
  std::string line = fmt::format(
      R"({{"v":1,"seq":{},"time":"{}","action":{},"verdict":"{}")", sequence,
      absl::FormatTime(kTimeFormat, time, absl::UTCTimeZone()),
      Value(event.action), AuditVerdictName(event.verdict));
  AppendUnlessEmpty(line, "reason", event.reason);
  AppendUnlessEmpty(line, "identity", event.identity);
  if (!event.identity.empty()) {
    AppendUnlessEmpty(line, "identity_kind",
                      IdentityKindName(event.identity_kind));
  }
  AppendUnlessEmpty(line, "peer", event.peer);
  AppendUnlessEmpty(line, "rule", event.rule);
  AppendUnlessEmpty(line, "token", event.token_id);
  AppendUnlessEmpty(line, "token_uid", event.token_uid);
  AppendFacts(line, event);
  return line.append(fmt::format(",\"prev\":\"{}\"", prev));
}

std::string WithHash(std::string line, std::string_view hash) {
  return std::move(line.append(fmt::format(",\"hash\":\"{}\"}}", hash)));
}

// Reads the fixed form from left to right. It is lax where encoding again shows
// the difference.
class LineReader {
 public:
  explicit LineReader(std::string_view line) : rest_(line) {}

  bool Eat(std::string_view text) {
    if (rest_.substr(0, text.size()) != text) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  bool AtEnd() const { return rest_.empty(); }

  std::optional<uint64_t> Number() {
    uint64_t number = 0;
    const char* end = rest_.data() + rest_.size();
    const auto [after, error] = std::from_chars(rest_.data(), end, number);
    if (error != std::errc()) return std::nullopt;
    rest_.remove_prefix(static_cast<size_t>(after - rest_.data()));
    return number;
  }

  std::optional<std::string> String() {
    if (!Eat("\"")) return std::nullopt;
    std::string text;
    while (!rest_.empty()) {
      if (Eat("\"")) return text;
      const char c = rest_.front();
      if (c != '\\') {
        text.push_back(c);
        rest_.remove_prefix(1);
      } else if (!Escaped(text)) {
        return std::nullopt;
      }
    }
    return std::nullopt;
  }

  // The value of `,"name":`, or "" if that is not next.
  std::optional<std::string> Optional(std::string_view name) {
    if (!Eat(fmt::format(",\"{}\":", name))) return "";
    return String();
  }

 private:
  bool Escaped(std::string& text) {
    if (Eat(kNoText)) {
      text.push_back(kNoTextByte);
    } else if (Eat("\\\"")) {
      text.push_back('"');
    } else if (Eat("\\\\")) {
      text.push_back('\\');
    } else if (Eat("\\u00") && rest_.size() >= 2) {
      int code = 0;
      const char* end = rest_.data() + 2;
      if (std::from_chars(rest_.data(), end, code, 16).ptr != end) return false;
      text.push_back(static_cast<char>(code));
      rest_.remove_prefix(2);
    } else {
      return false;
    }
    return true;
  }

  std::string_view rest_;
};

bool ReadFacts(LineReader& reader, AuditEvent& event) {
  if (!reader.Eat(",\"facts\":{")) return true;
  do {
    auto name = reader.String();
    if (!name.has_value() || !reader.Eat(":")) return false;
    auto value = reader.String();
    if (!value.has_value()) return false;
    event.facts.insert_or_assign(*std::move(name), *std::move(value));
  } while (reader.Eat(","));
  return reader.Eat("}");
}

bool ReadVerdict(LineReader& reader, AuditEvent& event) {
  if (!reader.Eat(",\"verdict\":")) return false;
  const auto name = reader.String();
  for (const AuditVerdict verdict :
       {AuditVerdict::kAllowed, AuditVerdict::kDenied, AuditVerdict::kFailed,
        AuditVerdict::kObserved}) {
    if (name == AuditVerdictName(verdict)) {
      event.verdict = verdict;
      return true;
    }
  }
  return false;
}

bool ReadEvent(LineReader& reader, AuditEvent& event) {
  const auto action =
      reader.Eat(",\"action\":") ? reader.String() : std::nullopt;
  if (!action.has_value() || !ReadVerdict(reader, event)) return false;
  event.action = *action;
  std::string kind;
  const std::pair<std::string_view, std::string*> members[] = {
      {"reason", &event.reason},      {"identity", &event.identity},
      {"identity_kind", &kind},       {"peer", &event.peer},
      {"rule", &event.rule},          {"token", &event.token_id},
      {"token_uid", &event.token_uid}};
  for (const auto& [name, value] : members) {
    auto read = reader.Optional(name);
    if (!read.has_value()) return false;
    *value = *std::move(read);
  }
  if (const auto known = IdentityKindFromName(kind)) {
    event.identity_kind = *known;
  }
  return ReadFacts(reader, event);
}

std::optional<AuditRecord> Read(std::string_view line) {
  LineReader reader(line);
  AuditRecord record;
  if (!reader.Eat("{\"v\":1,\"seq\":")) return std::nullopt;
  const auto sequence = reader.Number();
  const auto time = reader.Eat(",\"time\":") ? reader.String() : std::nullopt;
  std::string error;
  if (!sequence.has_value() || !time.has_value() ||
      !absl::ParseTime(kTimeFormat, *time, &record.time, &error) ||
      !ReadEvent(reader, record.event) || !reader.Eat(",\"prev\":")) {
    return std::nullopt;
  }
  record.sequence = *sequence;
  const auto prev = reader.String();
  if (!prev.has_value() || !reader.Eat(",\"hash\":")) return std::nullopt;
  const auto hash = reader.String();
  if (!hash.has_value() || !reader.Eat("}") || !reader.AtEnd()) {
    return std::nullopt;
  }
  record.prev = *prev;
  record.hash = *hash;
  return record;
}

}  // namespace

std::string EncodeAuditLine(const AuditEvent& event, absl::Time time,
                            AuditHead& head) {
  std::string line =
      EncodeWithoutHash(event, time, head.sequence + 1, head.hash);
  head = {.sequence = head.sequence + 1, .hash = Sha256Hex(line)};
  return WithHash(std::move(line), head.hash);
}

absl::StatusOr<AuditRecord> ParseAuditLine(std::string_view line) {
  if (line.size() > kMaxAuditLineBytes) {
    return absl::InvalidArgumentError("too long for an audit record");
  }
  std::optional<AuditRecord> record = Read(line);
  if (!record.has_value()) {
    return absl::InvalidArgumentError("not an audit record");
  }
  std::string again = EncodeWithoutHash(record->event, record->time,
                                        record->sequence, record->prev);
  const std::string hash = Sha256Hex(again);
  // Whatever is not in the one form, or was changed after, ends here.
  if (WithHash(std::move(again), hash) != line) {
    return absl::InvalidArgumentError(
        "the record was altered: its hash does not fit it");
  }
  return *std::move(record);
}

}  // namespace latchkey
