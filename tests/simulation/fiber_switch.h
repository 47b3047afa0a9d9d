// Fibers, as the sanitizers know them: a fiber is a stack that they must be
// told of whenever the thread goes on on it. In a build without sanitizers all
// of this is empty.

#ifndef LATCHKEY_TESTS_SIMULATION_FIBER_SWITCH_H_
#define LATCHKEY_TESTS_SIMULATION_FIBER_SWITCH_H_

#include <cstddef>

#include "tests/simulation/sanitizers.h"

namespace latchkey_testing {

#if defined(LATCHKEY_ASAN) || defined(LATCHKEY_TSAN)

// From before the fiber is made until it has ended or was unwound.
class SanitizedFiber {
 public:
  // The stack's lowest address.
  SanitizedFiber(const void* bottom, size_t bytes);
  SanitizedFiber(const SanitizedFiber&) = delete;
  SanitizedFiber& operator=(const SanitizedFiber&) = delete;
  ~SanitizedFiber();

  void SetApart(bool apart) { apart_ = apart; }

 private:
  friend class FiberSwitch;

  const void* const bottom_;
  const size_t bytes_;
  // AddressSanitizer's copies of its locals (detect_stack_use_after_return);
  // null while it runs, or has none.
  void* locals_ = nullptr;
  void* const thread_;  // what it is to ThreadSanitizer
  bool apart_ = false;
};

// While it exists, whatever runs is the fiber's. It goes around that which
// changes stacks, and so is told on the stack of whoever resumes the fiber:
// around making it (boost enters it once, to come back at once), each resume,
// which returns when the fiber waits or has ended, and its destruction, which
// throws an exception through it. The fiber itself tells nothing, which it
// could not do in time at its end, where the last frames are boost's.
//
// AddressSanitizer is told which stack that is: it needs it to find the locals
// that an exception skips, and to name addresses and print stacks in reports.
//
// ThreadSanitizer is told that another thread goes on. It keeps the functions
// that each is in, and notes entry and return with whoever runs then; since
// both the entry to what changes stacks and the return from it lie within a
// FiberSwitch, nobody's list grows or shrinks by another's. What is read and
// written there is overlooked, being nobody's: the fiber ends that where it
// goes on (Watched at its beginning; Overlooked around its own changing of
// stacks).
//
// To it, each turn comes after the one before, or there would be no end of
// races: the simulated world has no locks. But a fiber that waits for a
// CondVar, as only production's code does, is apart: what it did before that,
// and what it does after it, is ordered by the mutex that it waits with, as it
// is in production, and by nothing else, until it comes to the world once more.
// Without that it could find no lock missing.
class FiberSwitch {
 public:
  explicit FiberSwitch(SanitizedFiber& fiber);
  FiberSwitch(const FiberSwitch&) = delete;
  FiberSwitch& operator=(const FiberSwitch&) = delete;
  ~FiberSwitch();

 private:
  SanitizedFiber& fiber_;
  // Whoever resumes it.
  const void* bottom_ = nullptr;
  size_t bytes_ = 0;
  void* locals_ = nullptr;
  void* const thread_;
};

#else

class SanitizedFiber {
 public:
  SanitizedFiber(const void* /*bottom*/, size_t /*bytes*/) {}
  void SetApart(bool /*apart*/) {}
};

class FiberSwitch {
 public:
  explicit FiberSwitch(SanitizedFiber& /*fiber*/) {}
  // Not trivial, or it would be an unused variable.
  ~FiberSwitch() {}
};

#endif

#ifdef LATCHKEY_TSAN

// While it exists, ThreadSanitizer overlooks what is done: for what stands for
// the system, which orders its own work.
class Overlooked {
 public:
  Overlooked();
  Overlooked(const Overlooked&) = delete;
  Overlooked& operator=(const Overlooked&) = delete;
  ~Overlooked();
};

// The opposite, within.
class Watched {
 public:
  Watched();
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
  ~Watched();
};

// Where a fiber of production's code comes to the world, and where it goes:
// what it did before is behind whoever comes to the world later.
class InTheWorld {
 public:
  InTheWorld();
  InTheWorld(const InTheWorld&) = delete;
  InTheWorld& operator=(const InTheWorld&) = delete;
  ~InTheWorld();
};

#else

class Overlooked {
 public:
  Overlooked() {}
  ~Overlooked() {}
};

class Watched {
 public:
  Watched() {}
  ~Watched() {}
};

class InTheWorld {
 public:
  InTheWorld() {}
  ~InTheWorld() {}
};

#endif

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_FIBER_SWITCH_H_
