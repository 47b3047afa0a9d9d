#include "tests/testing/control_plane_process.h"

#include <signal.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "core/status_macros.h"

namespace latchkey_testing {
namespace {

constexpr size_t kLinesPerLog = 15;
constexpr size_t kMaxLine = 400;
constexpr absl::Duration kStartPatience = absl::Minutes(2);

std::string BoolFlag(std::string_view name, bool value) {
  return fmt::format("--{}={}", name, value);
}

std::vector<std::string> Flags(const ControlPlaneOptions& options) {
  return {fmt::format("--goaway-chance={}", options.goaway_chance),
          fmt::format("--kcm-qps={}", options.manager_qps),
          BoolFlag("stock-approver", options.stock_approver),
          BoolFlag("token-cleaner", options.token_cleaner),
          BoolFlag("csr-cleaner", options.csr_cleaner),
          BoolFlag("audit", options.audit),
          BoolFlag("unsafe-no-fsync", !options.durable),
          "--watch-stdin"};
}

// klog's errors begin with E or F and the date; etcd logs JSON.
bool LooksLikeError(const std::string& line) {
  const bool klog = line.size() > 5 && (line[0] == 'E' || line[0] == 'F') &&
                    std::isdigit(static_cast<unsigned char>(line[1])) != 0;
  if (klog) return true;
  for (const char* sign : {"panic", "fatal", "\"level\":\"error\"",
                           "failed:", "Error:", "goroutine "}) {
    if (line.find(sign) != std::string::npos) return true;
  }
  return false;
}

std::string ErrorLinesOf(const std::filesystem::path& log, size_t& position) {
  std::ifstream file(log, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(position));
  std::deque<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    position += line.size() + 1;
    if (!LooksLikeError(line)) continue;
    lines.push_back(line.substr(0, kMaxLine));
    if (lines.size() > kLinesPerLog) lines.pop_front();
  }
  std::string text;
  for (const std::string& line : lines) {
    text += fmt::format("  {}: {}\n", log.stem().string(), line);
  }
  return text;
}

}  // namespace

std::string ControlPlane::ProgramPath() {
  const char* path = std::getenv("LATCHKEY_CONTROLPLANE");
  return path == nullptr ? "" : path;
}

absl::StatusOr<std::unique_ptr<ControlPlane>> ControlPlane::Start(
    const ControlPlaneOptions& options) {
  std::unique_ptr<ControlPlane> plane(new ControlPlane(options));
  std::vector<std::string> command = {ProgramPath(), "up", "--dir",
                                      plane->Path("")};
  for (std::string& flag : Flags(options)) command.push_back(std::move(flag));
  LATCHKEY_ASSIGN_OR_RETURN(
      plane->supervisor_,
      ChildProcess::Start(command, {.environment = {},
                                    .stdout_path = plane->Path("up.out"),
                                    .stderr_path = plane->Path("up.err")}));
  const absl::Status started = plane->AwaitStart(kStartPatience);
  if (started.ok()) return plane;
  return absl::Status(
      started.code(),
      fmt::format("{}\n{}{}", std::string(started.message()),
                  ReadFile(plane->Path("up.err")), plane->TakeErrorLines()));
}

ControlPlane::~ControlPlane() = default;

absl::Status ControlPlane::AwaitStart(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (absl::Now() < deadline) {
    std::istringstream output(ReadFile(Path("up.out")));
    std::string word;
    if (output >> word >> url_ && word == "ready") return absl::OkStatus();
    if (supervisor_->AwaitExit(absl::Milliseconds(20))) {
      return absl::InternalError("the control plane did not start");
    }
  }
  return absl::DeadlineExceededError("the control plane did not get ready");
}

ProgramResult ControlPlane::Run(const std::vector<std::string>& command) const {
  std::vector<std::string> whole = {ProgramPath()};
  whole.insert(whole.end(), command.begin(), command.end());
  return RunProgram(whole, {{"KUBECONFIG", admin_kubeconfig()}});
}

absl::StatusOr<int> ControlPlane::PidOf(std::string_view program) const {
  std::ifstream file(Path("pids"));
  std::string name;
  for (int pid = 0; file >> name >> pid;) {
    if (name == program) return pid;
  }
  return absl::NotFoundError(fmt::format("{} does not run", program));
}

absl::Status ControlPlane::Kill(std::string_view program, int signal) const {
  LATCHKEY_ASSIGN_OR_RETURN(const int pid, PidOf(program));
  if (kill(pid, signal) == 0) return absl::OkStatus();
  return absl::NotFoundError(fmt::format("{} is gone already", program));
}

void ControlPlane::Hold(std::string_view program) const {
  dir_.Write(fmt::format("hold.{}", program), "");
}

void ControlPlane::Release(std::string_view program) const {
  std::error_code ignored;
  std::filesystem::remove(Path(fmt::format("hold.{}", program)), ignored);
}

absl::Status ControlPlane::AwaitReady(absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  ProgramResult last;
  do {
    last = Run({"kubectl", "get", "--raw", "/readyz", "--request-timeout=5s"});
    if (last.exit_code == 0) return absl::OkStatus();
    absl::SleepFor(absl::Milliseconds(50));
  } while (absl::Now() < deadline);
  return absl::DeadlineExceededError(
      fmt::format("the API server is not ready: {}", last.err));
}

std::string ControlPlane::TakeErrorLines() {
  std::string text;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(Path("logs"), ignored)) {
    if (entry.path().filename() == "audit.log") continue;
    text += ErrorLinesOf(entry.path(), log_read_[entry.path().string()]);
  }
  return text;
}

}  // namespace latchkey_testing
