// Stops a program dead at a fault point, as far as a test can stop and go on:
// by an exception. Code under test does nothing on the way out but close files.

#ifndef LATCHKEY_TESTS_TESTING_KILL_AT_H_
#define LATCHKEY_TESTS_TESTING_KILL_AT_H_

#include <string>
#include <string_view>
#include <utility>

#include "core/fault_point.h"

namespace latchkey_testing {

struct Killed {};

// While it lives, reaching the fault point throws Killed. One at a time.
class KillAt {
 public:
  explicit KillAt(std::string point) {
    Point() = std::move(point);
    latchkey::InstallFaultHook([](std::string_view reached) {
      if (reached == Point()) throw Killed();
    });
  }
  KillAt(const KillAt&) = delete;
  KillAt& operator=(const KillAt&) = delete;
  ~KillAt() { latchkey::InstallFaultHook(nullptr); }

 private:
  // The hook is a plain function, so this cannot be a member.
  static std::string& Point() {
    static std::string point;
    return point;
  }
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_KILL_AT_H_
