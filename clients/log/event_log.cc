#include "clients/log/event_log.h"

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

}  // namespace

std::optional<LogLevel> LogLevelNamed(std::string_view name) {
  for (const LogLevel level : {LogLevel::kDebug, LogLevel::kInfo,
                               LogLevel::kWarning, LogLevel::kError}) {
    if (LevelName(level) == name) return level;
  }
  return std::nullopt;
}

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

}  // namespace latchkey
