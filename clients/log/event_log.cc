#include "clients/log/event_log.h"

#include <cstddef>
#include <cstdint>
#include <memory>

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace latchkey {
namespace {

constexpr char kLoggerName[] = "latchkey";

std::shared_ptr<spdlog::logger>& Logger() {
  static std::shared_ptr<spdlog::logger> logger;
  return logger;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

// The length of the UTF-8 sequence (RFC 3629) that `text` begins with; 0 if it
// begins with none.
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  size_t length = 0;
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) length = 2;
  if (lead >= 0xE0 && lead <= 0xEF) length = 3;
  if (lead >= 0xF0 && lead <= 0xF4) length = 4;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const uint8_t second = byte(1);
  const bool overlong =
      (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool beyond =
      (lead == 0xED && second > 0x9F) || (lead == 0xF4 && second > 0x8F);
  return overlong || beyond ? 0 : length;
}

}  // namespace

void StartLogging(LogLevel least) {
  auto logger = std::make_shared<spdlog::logger>(
      kLoggerName, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%v");
  logger->set_level(ToSpdlog(least));
  logger->flush_on(spdlog::level::debug);
  Logger() = std::move(logger);
}

bool LogsAt(LogLevel level) {
  return Logger() != nullptr && Logger()->should_log(ToSpdlog(level));
}

void LogEvent(LogLevel level, std::string_view event,
              std::initializer_list<LogField> fields) {
  if (!LogsAt(level)) return;
  std::string line =
      fmt::format(R"({{"time":"{}","level":"{}","event":{})",
                  absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ", absl::Now(),
                                   absl::UTCTimeZone()),
                  LevelName(level), JsonString(event));
  for (const auto& [key, value] : fields) {
    line.append(",").append(JsonString(key)).append(":");
    line.append(JsonString(value));
  }
  line.push_back('}');
  Logger()->log(ToSpdlog(level), "{}", line);
}

std::string JsonString(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const char c = text.front();
    if (length == 0) {
      quoted.append("\\ufffd");
    } else if (c == '"' || c == '\\') {
      quoted.append({'\\', c});
    } else if (length == 1 && (static_cast<uint8_t>(c) < 0x20 || c == 0x7F)) {
      quoted.append(fmt::format("\\u{:04x}", static_cast<uint8_t>(c)));
    } else {
      quoted.append(text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  quoted.push_back('"');
  return quoted;
}

}  // namespace latchkey
