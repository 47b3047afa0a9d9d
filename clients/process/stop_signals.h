// The signals that end a program, received by the one thread that waits for
// them.

#ifndef LATCHKEY_CLIENTS_PROCESS_STOP_SIGNALS_H_
#define LATCHKEY_CLIENTS_PROCESS_STOP_SIGNALS_H_

#include <signal.h>

#include <initializer_list>
#include <optional>

#include <absl/time/time.h>

namespace latchkey {

// Blocks the signals in this thread, and in those that it starts from
// now on. Made before the first other thread; never undone.
class StopSignals {
 public:
  explicit StopSignals(std::initializer_list<int> signals);

  // The signal that came, waited for up to `patience`; nullopt: none.
  std::optional<int> WaitFor(absl::Duration patience) const;

 private:
  sigset_t signals_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_PROCESS_STOP_SIGNALS_H_
