#include "clients/node/run_join.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <string>

#include <CLI/CLI.hpp>

#include "clients/files/read_file.h"
#include "clients/node/api_server_client.h"
#include "clients/node/join_config.h"
#include "clients/node/join_report.h"
#include "clients/process/open_files.h"
#include "clients/process/process_hardening.h"
#include "core/config_reader.h"
#include "core/status_macros.h"
#include "core/version.h"

namespace latchkey {
namespace {

// A join has a dozen open at a time; and some for what the libraries do.
constexpr unsigned kOpenFiles = 64;

// How long what is under way at the end of the time may still take.
constexpr absl::Duration kOvertime = absl::Seconds(30);

// Ends the process then, whatever hangs in it: gRPC waits for ever for a thread
// that it could not have.
void EndAfter(absl::Duration time) {
  signal(SIGALRM, [](int) {
    static constexpr std::string_view kLine =
        "latchkey-join: hangs, as when it cannot have a thread; run it again\n";
    [[maybe_unused]] const ssize_t written =
        write(STDERR_FILENO, kLine.data(), kLine.size());
    _exit(static_cast<int>(JoinVerdict::kTryAgain));
  });
  alarm(static_cast<unsigned>(
      absl::ToInt64Seconds(absl::Ceil(time, absl::Seconds(1)))));
}

constexpr char kDescription[] =
    "Joins this machine to its Kubernetes cluster: exchanges the ticket, gets "
    "the certificate, writes what the kubelet reads.\n"
    "Exit codes: 0 joined, now or before; 1 this machine's files, or a bug; 2 "
    "bad configuration; 3 refused, do not retry; 4 not in time, run it again; "
    "5 "
    "out of memory.";

JoinEnvironment ReadEnvironment() {
  JoinEnvironment environment;
  std::array<char, HOST_NAME_MAX + 1> name = {};
  if (gethostname(name.data(), name.size() - 1) == 0) {
    environment.host_name = name.data();
  }
  if (const char* folder = getenv("CREDENTIALS_DIRECTORY")) {
    environment.credentials_dir = folder;
  }
  return environment;
}

absl::StatusOr<JoinConfig> LoadConfig(const std::string& path) {
  const auto text = ReadFileBounded(path, ConfigDocument::kMaxBytes);
  if (!text.ok()) {
    return absl::InvalidArgumentError(std::string(text.status().message()));
  }
  return ParseJoinConfig(path, *text, ReadEnvironment());
}

absl::StatusOr<JoinResult> Join(const JoinConfig& config,
                                GrpcBrokerClient* broker, const Clock& clock,
                                ReportFormat format) {
  LATCHKEY_RETURN_IF_ERROR(AllowOpenFiles(kOpenFiles));
  NodeFiles files(config.output);
  SystemPace pace;
  return NodeJoiner(
             config.plan,
             {.broker = broker,
              .api_servers = MakeApiServerClient,
              .files = files,
              .clock = clock,
              .pace = pace,
              .on_progress =
                  [&](const JoinProgress& progress) {
                    fputs(ReportLine(format, progress, clock.Now()).c_str(),
                          stderr);
                  }})
      .Run();
}

}  // namespace

int RunJoin(int argc, char** argv) {
  HardenProcess();
  EndWhenOutOfMemory();
  GrpcBrokerClient::SilenceLibrary();
  std::string config_path = "/etc/latchkey/join.yaml";
  bool json = false;
  CLI::App app{kDescription, "latchkey-join"};
  app.add_option("--config", config_path, "the configuration file")
      ->capture_default_str();
  app.add_flag("--json", json,
               "report in JSON, one object a line, on a terminal too");
  app.set_version_flag("--version", kVersion);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked_for = app.exit(error) == 0;  // --help, --version
    return static_cast<int>(asked_for ? JoinVerdict::kJoined
                                      : JoinVerdict::kBadConfiguration);
  }

  const ReportFormat format = json || isatty(STDERR_FILENO) == 0
                                  ? ReportFormat::kJson
                                  : ReportFormat::kText;
  const SystemClock clock;
  const auto config = LoadConfig(config_path);
  if (config.ok()) EndAfter(config->plan.timeout + kOvertime);
  std::unique_ptr<GrpcBrokerClient> broker;
  if (config.ok() && config->broker) {
    broker = std::make_unique<GrpcBrokerClient>(*config->broker);
  }
  const absl::StatusOr<JoinResult> result =
      config.ok() ? Join(*config, broker.get(), clock, format)
                  : config.status();
  fputs(VerdictLine(format, config.ok() ? config->plan.node_name : "", result,
                    clock.Now())
            .c_str(),
        stderr);
  // No destructors: gRPC's wait for its threads, for ever if there was no
  // memory to start one.
  _exit(static_cast<int>(VerdictOf(result.status())));
}

}  // namespace latchkey
