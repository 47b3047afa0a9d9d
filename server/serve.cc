#include "server/serve.h"

#include <signal.h>

#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "clients/log/event_log.h"

namespace latchkey {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(200);
// Until it serves for the first time: somebody waits for that.
constexpr absl::Duration kFirstTick = absl::Milliseconds(10);
// After this without a cluster the log says so.
constexpr absl::Duration kPatience = absl::Seconds(5);

// The signal that ends the program, waited for up to `patience`. Signals of one
// number that come meanwhile count once, and a reload reads the file as it is
// by then, so none is lost.
std::optional<int> AwaitEnd(const StopSignals& signals, absl::Duration patience,
                            PolicyReload* reload) {
  const std::optional<int> signal = signals.WaitFor(patience);
  if (reload == nullptr) return signal;
  if (signal != SIGHUP) {
    reload->Poll();
    return signal;
  }
  static_cast<void>(reload->Reload());  // it logs
  return std::nullopt;
}

}  // namespace

int Complain(const absl::Status& status) {
  std::fprintf(stderr, "latchkeyd: %s\n",
               std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? kBadConfiguration : kFailed;
}

void Serve(Broker& broker, const StopSignals& signals,
           const std::function<void()>& on_serving, PolicyReload* reload) {
  bool serving = false;
  bool ever_served = false;
  bool warned = false;
  absl::Duration waited;
  std::optional<int> signal;
  while (!signal.has_value()) {
    const Broker::Health health = broker.ReportHealth();
    const bool served =
        std::exchange(serving, health == Broker::Health::kServing);
    if (serving && !std::exchange(ever_served, true)) on_serving();
    if (serving && !served) LogEvent(LogLevel::kInfo, "broker serves");
    const bool lost = served && !serving;
    const bool never_came =
        !ever_served && waited >= kPatience && !std::exchange(warned, true);
    if (lost || never_came) {
      LogEvent(LogLevel::kWarning,
               health == Broker::Health::kNoAuditLog
                   ? "broker cannot write its audit log, and refuses calls"
                   : "broker cannot reach the cluster");
    }
    const bool soon = !ever_served && waited < kPatience;
    const absl::Duration tick = soon ? kFirstTick : kTick;
    signal = AwaitEnd(signals, tick, reload);
    waited += tick;
  }
  LogEvent(LogLevel::kInfo, "broker stops",
           {{"signal", std::to_string(*signal)}});
}

}  // namespace latchkey
