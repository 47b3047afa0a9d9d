// In the place of clients/log/event_log.h (--wrap in CMakeLists.txt), which
// writes nothing here.

#include "tests/simulation/heard_lines.h"

#include <initializer_list>
#include <string_view>

#include "clients/log/event_log.h"
#include "tests/simulation/fiber_switch.h"

namespace latchkey_testing {
namespace {

struct Heard {
  bool hear = false;
  std::vector<std::string> lines;
};

// One a process, as the log is.
Heard& Ears() {
  static Heard heard;
  return heard;
}

}  // namespace

void HearLines(bool hear) {
  Ears().hear = hear;
  Ears().lines.clear();
}

const std::vector<std::string>& HeardLines() { return Ears().lines; }

// NOLINTBEGIN(readability-identifier-naming)
bool LogsAt(latchkey::LogLevel level) __asm__(
    "__wrap__ZN8latchkey6LogsAtENS_8LogLevelE");
void LogEvent(latchkey::LogLevel level, std::string_view event, std::initializer_list<latchkey::LogField> fields) __asm__(
    "__wrap__ZN8latchkey8LogEventENS_8LogLevelESt17basic_string_viewIcSt11"
    "char_traitsIcEESt16initializer_listISt4pairIS4_NSt7__cxx1112basic_"
    "stringIcS3_SaIcEEEEE");
// NOLINTEND(readability-identifier-naming)

bool LogsAt(latchkey::LogLevel /*level*/) { return Ears().hear; }

void LogEvent(latchkey::LogLevel /*level*/, std::string_view event,
              std::initializer_list<latchkey::LogField> fields) {
  if (!Ears().hear) return;
  const Overlooked overlooked;  // it has a lock of its own where it is real
  std::string& line = Ears().lines.emplace_back(event);
  for (const auto& [key, value] : fields) {
    line.append(" ").append(key).append("=").append(value);
  }
}

}  // namespace latchkey_testing
