#include "server/run_broker.h"

#include <signal.h>
#include <time.h>

#include <cstdio>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "clients/files/read_file.h"
#include "clients/log/event_log.h"
#include "clients/process/process_hardening.h"
#include "core/clock.h"
#include "core/config_reader.h"
#include "core/status_macros.h"
#include "core/version.h"
#include "server/broker.h"
#include "server/broker_config.h"

namespace latchkey {
namespace {

constexpr int kFailed = 1;
constexpr int kBadConfiguration = 2;
// After five seconds without a cluster the log says so.
constexpr int kTicksToServe = 25;

absl::StatusOr<BrokerConfig> LoadConfig(const std::string& path) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::string text,
                            ReadFileBounded(path, ConfigDocument::kMaxBytes));
  return ParseBrokerConfig(path, text);
}

void Complain(const absl::Status& status) {
  std::fprintf(stderr, "latchkeyd: %s\n",
               std::string(status.message()).c_str());
}

// The signals that end the program, blocked in every thread from here on, so
// that only sigtimedwait() below receives them.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

int Serve(const BrokerConfig& config) {
  const sigset_t stop_signals = BlockStopSignals();
  const SystemClock clock;
  absl::StatusOr<std::unique_ptr<Broker>> broker = Broker::Start(config, clock);
  if (!broker.ok()) {
    Complain(broker.status());
    return absl::IsInvalidArgument(broker.status()) ? kBadConfiguration
                                                    : kFailed;
  }
  LogEvent(LogLevel::kInfo, "broker listens",
           {{"version", kVersion},
            {"provisioner_port", std::to_string((*broker)->provisioner_port())},
            {"node_port", std::to_string((*broker)->node_port())}});
  const timespec tick = {.tv_sec = 0, .tv_nsec = 200'000'000};
  int signal = -1;
  bool serving = false;
  int ticks = 0;
  while (signal < 0) {
    const bool serves = (*broker)->ReportHealth();
    const bool never_served = !serves && ++ticks == kTicksToServe;
    if (serves != serving || never_served) {
      serving = serves;
      LogEvent(serves ? LogLevel::kInfo : LogLevel::kWarning,
               serves ? "broker serves" : "broker cannot reach the cluster");
    }
    signal = sigtimedwait(&stop_signals, nullptr, &tick);
  }
  LogEvent(LogLevel::kInfo, "broker stops",
           {{"signal", std::to_string(signal)}});
  return 0;
}

}  // namespace

int RunBroker(int argc, char** argv) {
  CLI::App app("latchkeyd: the Latchkey token broker");
  std::string config_path;
  app.add_option("--config", config_path, "the broker's YAML configuration")
      ->required();
  bool check_only = false;
  app.add_flag("--check", check_only,
               "only check the configuration, then exit");
  app.set_version_flag("--version", kVersion);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadConfiguration;
  }
  HardenProcess();
  const absl::StatusOr<BrokerConfig> config = LoadConfig(config_path);
  if (!config.ok()) {
    Complain(config.status());
    return kBadConfiguration;
  }
  if (check_only) return 0;
  StartLogging(config->log_level);
  return Serve(*config);
}

}  // namespace latchkey
