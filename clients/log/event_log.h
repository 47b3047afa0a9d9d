// Log lines for machines and people alike: one JSON object a line, through
// spdlog, with the time, the level, the event and its keys.
//
//   LogEvent(LogLevel::kInfo, "token issued", {{"token", id}, {"node", name}});
//   {"time":"2026-01-02T15:04:05.123Z","level":"info","event":"token issued",…}
//
// Values are public by contract: a SecretString does not convert to one.

#ifndef LATCHKEY_CLIENTS_LOG_EVENT_LOG_H_
#define LATCHKEY_CLIENTS_LOG_EVENT_LOG_H_

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/json_string.h"

namespace latchkey {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

using LogField = std::pair<std::string_view, std::string>;

// "debug", "info", "warning" or "error"; nullopt for any other name.
std::optional<LogLevel> LogLevelNamed(std::string_view name);

// Sends lines of `least` and above to standard error from now on. Called once,
// before the first thread. Before that, nothing is logged.
void StartLogging(LogLevel least);

// True if a line of `level` would be written: for callers whose fields cost.
bool LogsAt(LogLevel level);

// Writes one line. Safe from any thread. What is no text (control characters,
// bytes that are not UTF-8) is escaped or replaced, so that a hostile value can
// neither break the line nor forge another.
void LogEvent(LogLevel level, std::string_view event,
              std::initializer_list<LogField> fields = {});

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_LOG_EVENT_LOG_H_
