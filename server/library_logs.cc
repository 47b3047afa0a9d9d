#include "server/library_logs.h"

#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include "clients/log/event_log.h"

namespace latchkey {
namespace {

void Log(LogLevel level, const char* library, const char* file, int line,
         std::string text) {
  LogEvent(level, "library message",
           {{"library", library},
            {"text", std::move(text)},
            {"at", std::string(file) + ":" + std::to_string(line)}});
}

}  // namespace

// Debug: a port scan, or a message that is none, is nothing that an operator
// has to see, and would fill the disk. After a fatal one the process ends.
void LogLibraryMessages() {
  gpr_set_log_function([](gpr_log_func_args* entry) {
    const bool fatal = std::string_view(entry->message).starts_with("assert");
    Log(fatal ? LogLevel::kError : LogLevel::kDebug, "grpc", entry->file,
        entry->line, entry->message);
  });
  google::protobuf::SetLogHandler([](google::protobuf::LogLevel level,
                                     const char* file, int line,
                                     const std::string& text) {
    const bool fatal = level == google::protobuf::LOGLEVEL_FATAL;
    Log(fatal ? LogLevel::kError : LogLevel::kDebug, "protobuf", file, line,
        text);
  });
}

}  // namespace latchkey
