#include "clients/ctl/command_context.h"

#include <fmt/format.h>

#include "clients/ctl/cures.h"
#include "clients/files/read_file.h"
#include "core/config_reader.h"
#include "core/status_macros.h"
#include "core/text_time.h"

namespace latchkey {
namespace {

constexpr char kReaderGoneText[] = "the reader of standard output is gone";

}  // namespace

bool IsReaderGone(const absl::Status& status) {
  return absl::IsCancelled(status) && status.message() == kReaderGoneText;
}

absl::StatusOr<CtlConfig> CommandContext::Config() const {
  if (config_file.empty()) {
    return WithCure(
        absl::InvalidArgumentError(
            "HOME is not set, so there is no place to look for "
            ".config/latchkey/latchkeyctl.yaml"),
        "name the configuration with --config or $LATCHKEYCTL_CONFIG");
  }
  const absl::StatusOr<std::string> text =
      ReadFileBounded(config_file, ConfigDocument::kMaxBytes);
  if (!text.ok()) {
    return WithCure(
        absl::InvalidArgumentError(std::string(text.status().message())),
        "write which broker to call, and as whom, into that file, or name "
        "another with --config: docs/latchkeyctl.md, Configuration, has one to "
        "copy");
  }
  absl::StatusOr<CtlConfig> config =
      ParseCtlConfig(config_file, *text, context_name);
  if (config.ok()) return config;
  return WithCure(config.status(),
                  "mend the configuration: docs/latchkeyctl.md explains it");
}

absl::StatusOr<absl::Duration> CommandContext::Timeout(
    absl::Duration fallback) const {
  if (timeout.empty()) return fallback;
  const auto parsed = ParsePositiveDuration(timeout);
  if (parsed.ok()) return *parsed;
  return absl::InvalidArgumentError(
      fmt::format("--timeout: {}", std::string(parsed.status().message())));
}

absl::StatusOr<std::shared_ptr<BrokerApi>> CommandContext::Connect(
    absl::Duration fallback_timeout) const {
  LATCHKEY_ASSIGN_OR_RETURN(const absl::Duration limit,
                            Timeout(fallback_timeout));
  LATCHKEY_ASSIGN_OR_RETURN(const CtlConfig config, Config());
  return connect(config, limit);
}

absl::Status CommandContext::Flush() const {
  if (out.flush()) return absl::OkStatus();
  if (reader_is_gone && reader_is_gone()) {
    return absl::CancelledError(kReaderGoneText);
  }
  return WithCure(absl::InternalError("cannot write to standard output"),
                  "see whether its disk is full, or whoever reads it gone; "
                  "what was done stays done");
}

}  // namespace latchkey
