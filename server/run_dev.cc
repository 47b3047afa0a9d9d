#include "server/run_dev.h"

#include <signal.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <fmt/format.h>

#include "clients/log/event_log.h"
#include "clients/process/open_files.h"
#include "clients/process/process_hardening.h"
#include "clients/process/stop_signals.h"
#include "core/clock.h"
#include "core/status_macros.h"
#include "server/connection_limits.h"
#include "server/dev_site.h"
#include "server/library_logs.h"
#include "server/serve.h"

namespace latchkey {
namespace {

// The folder of one run: removed with all that is in it.
class ScratchFolder {
 public:
  static absl::StatusOr<std::unique_ptr<ScratchFolder>> Make() {
    std::error_code error;
    std::string path =
        (std::filesystem::temp_directory_path(error) / "latchkey-dev-XXXXXX")
            .string();
    if (error || mkdtemp(path.data()) == nullptr) {
      return absl::InvalidArgumentError(
          "cannot make a folder under $TMPDIR; name one with --data-dir");
    }
    return std::unique_ptr<ScratchFolder>(new ScratchFolder(std::move(path)));
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

absl::StatusOr<DevSiteOptions> OptionsOf(const DevFlags& flags) {
  DevSiteOptions options;
  LATCHKEY_RETURN_IF_ERROR(ParseListen(flags.listen, options));
  options.stock_approver = flags.stock_approver;
  if (!flags.data_dir.empty()) {
    std::error_code error;
    options.dir = std::filesystem::absolute(flags.data_dir, error)
                      .lexically_normal()
                      .string();
    if (error) {
      return absl::InvalidArgumentError(
          fmt::format("--data-dir {}: {}", flags.data_dir, error.message()));
    }
    options.durable = true;
  }
  return options;
}

}  // namespace

int RunDev(const DevFlags& flags) {
  HardenProcess();
  // SIGHUP too: a terminal that closes leaves no keys behind.
  const StopSignals signals({SIGTERM, SIGINT, SIGHUP});
  if (const absl::Status allowed = AllowOpenFiles(kFewestOpenFiles);
      !allowed.ok()) {
    return Complain(allowed);
  }
  absl::StatusOr<DevSiteOptions> options = OptionsOf(flags);
  if (!options.ok()) return Complain(options.status());
  std::unique_ptr<ScratchFolder> scratch;
  if (flags.data_dir.empty()) {
    auto made = ScratchFolder::Make();
    if (!made.ok()) return Complain(made.status());
    scratch = *std::move(made);
    options->dir = scratch->path();
  }
  StartLogging(LogLevelNamed(flags.log_level).value_or(LogLevel::kWarning));
  LogLibraryMessages();
  const SystemClock clock;
  const auto site = DevSite::Start(*options, clock);
  if (!site.ok()) return Complain(site.status());
  Serve((*site)->broker(), signals, [&site] {
    std::fputs((*site)->Guide().c_str(), stdout);
    std::fputs("Ready. Ctrl-C ends it.\n", stdout);
    std::fflush(stdout);
  });
  return 0;
}

}  // namespace latchkey
