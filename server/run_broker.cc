#include "server/run_broker.h"

#include <signal.h>

#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "clients/files/read_file.h"
#include "clients/log/event_log.h"
#include "clients/process/open_files.h"
#include "clients/process/process_hardening.h"
#include "clients/process/stop_signals.h"
#include "core/clock.h"
#include "core/config_reader.h"
#include "core/status_macros.h"
#include "core/version.h"
#include "server/broker.h"
#include "server/broker_config.h"
#include "server/connection_limits.h"
#include "server/library_logs.h"
#include "server/policy_reload.h"
#include "server/run_dev.h"
#include "server/serve.h"

namespace latchkey {
namespace {

struct LoadedConfig {
  BrokerConfig config;
  // As read, and as the file was before that.
  std::string text;
  FileStamp stamp;
};

absl::StatusOr<LoadedConfig> LoadConfig(const std::string& path) {
  LoadedConfig loaded;
  LATCHKEY_ASSIGN_OR_RETURN(loaded.stamp, StampOfFile(path));
  LATCHKEY_ASSIGN_OR_RETURN(loaded.text,
                            ReadFileBounded(path, ConfigDocument::kMaxBytes));
  LATCHKEY_ASSIGN_OR_RETURN(loaded.config,
                            ParseBrokerConfig(path, loaded.text));
  return loaded;
}

int RunConfigured(const std::string& path, const LoadedConfig& loaded,
                  const StopSignals& signals) {
  // An audit file that may not grow is an error like a full disk.
  signal(SIGXFSZ, SIG_IGN);
  if (const absl::Status allowed = AllowOpenFiles(kFewestOpenFiles);
      !allowed.ok()) {
    return Complain(allowed);
  }
  const SystemClock clock;
  const absl::StatusOr<std::unique_ptr<Broker>> broker =
      Broker::Start(loaded.config, clock);
  if (!broker.ok()) return Complain(broker.status());
  PolicyReload reload(path, loaded.text, loaded.stamp,
                      loaded.config.authentication, (*broker)->policy(), clock);
  LogEvent(LogLevel::kInfo, "broker listens",
           {{"version", kVersion},
            {"policy", reload.counts().digest},
            {"provisioner_port", std::to_string((*broker)->provisioner_port())},
            {"node_port", std::to_string((*broker)->node_port())},
            {"metrics_port", std::to_string((*broker)->metrics_port())}});
  reload.Observe([&broker](bool in_use, const std::string& digest) {
    (*broker)->NotePolicy(in_use, digest);
  });
  Serve(
      **broker, signals, [] {}, &reload);
  return 0;
}

// `latchkeyd dev`, with its flags put into `flags`.
CLI::App* AddDevCommand(CLI::App& app, DevFlags& flags) {
  CLI::App* dev = app.add_subcommand(
      "dev",
      "runs an embedded control plane and a broker of it, for development");
  dev->add_option("--data-dir", flags.data_dir,
                  "keep everything in this folder, over restarts; default: a "
                  "temporary folder");
  dev->add_option("--listen", flags.listen,
                  "IP address and port of the API server; the provisioner and "
                  "node APIs take the two ports after it; port 0: any")
      ->capture_default_str();
  dev->add_flag("--stock-approver", flags.stock_approver,
                "also run the approver of kubeadm clusters");
  dev->add_option("--log-level", flags.log_level,
                  "debug, info, warning (default), error; JSON lines on stderr")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  return dev;
}

}  // namespace

int RunBroker(int argc, char** argv) {
  CLI::App app("latchkeyd: the Latchkey token broker");
  std::string config_path;
  app.add_option("--config", config_path, "the broker's YAML configuration");
  bool check_only = false;
  app.add_flag("--check", check_only,
               "only check the configuration, then exit");
  app.set_version_flag("--version", kVersion);
  DevFlags dev_flags;
  const CLI::App* dev = AddDevCommand(app, dev_flags);
  try {
    app.parse(argc, argv);
    if (dev->parsed() && (!config_path.empty() || check_only)) {
      throw CLI::ExcludesError("dev", "--config and --check");
    }
    if (!dev->parsed() && config_path.empty()) {
      throw CLI::RequiredError("--config");
    }
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadConfiguration;
  }
  if (dev->parsed()) return RunDev(dev_flags);
  HardenProcess();
  EndWhenOutOfMemory();
  // Before the file is read: whoever asks for a reload by then gets it.
  const StopSignals signals({SIGTERM, SIGINT, SIGHUP});
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(config_path);
  // Whatever is wrong with the file, it is the file that has to be mended.
  if (!loaded.ok()) {
    Complain(loaded.status());
    return kBadConfiguration;
  }
  if (check_only) return 0;
  StartLogging(loaded->config.log_level);
  LogLibraryMessages();
  return RunConfigured(config_path, *loaded, signals);
}

}  // namespace latchkey
