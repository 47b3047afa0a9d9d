#include "clients/process/stop_signals.h"

#include <time.h>

namespace latchkey {

StopSignals::StopSignals(std::initializer_list<int> signals) {
  sigemptyset(&signals_);
  for (const int signal : signals) sigaddset(&signals_, signal);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

std::optional<int> StopSignals::WaitFor(absl::Duration patience) const {
  const timespec limit = absl::ToTimespec(patience);
  const int signal = sigtimedwait(&signals_, nullptr, &limit);
  if (signal < 0) return std::nullopt;
  return signal;
}

}  // namespace latchkey
