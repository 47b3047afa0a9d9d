#include "tests/simulation/fiber_switch.h"

#ifdef LATCHKEY_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef LATCHKEY_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if defined(LATCHKEY_ASAN) || defined(LATCHKEY_TSAN)

// Not instrumented: what begins with one stack and ends with another would be
// noted as entered by one and left by the other.
#ifdef __clang__
#define LATCHKEY_NOT_NOTED __attribute__((disable_sanitizer_instrumentation))
#else
#define LATCHKEY_NOT_NOTED __attribute__((no_sanitize("address", "thread")))
#endif

namespace latchkey_testing {
namespace {

#ifdef LATCHKEY_TSAN
void* MakeThread() { return __tsan_create_fiber(0); }
void* CurrentThread() { return __tsan_get_current_fiber(); }
#else
void* MakeThread() { return nullptr; }
void* CurrentThread() { return nullptr; }
#endif

}  // namespace

SanitizedFiber::SanitizedFiber(const void* bottom, size_t bytes)
    : bottom_(bottom), bytes_(bytes), thread_(MakeThread()) {}

LATCHKEY_NOT_NOTED SanitizedFiber::~SanitizedFiber() {
#ifdef LATCHKEY_ASAN
  // Its copies of locals go when a stack is left for good: null.
  if (locals_ != nullptr) {
    const void* bottom = nullptr;
    size_t bytes = 0;
    void* locals = nullptr;
    __sanitizer_start_switch_fiber(&locals, bottom_, bytes_);
    __sanitizer_finish_switch_fiber(locals_, &bottom, &bytes);
    __sanitizer_start_switch_fiber(nullptr, bottom, bytes);
    __sanitizer_finish_switch_fiber(locals, nullptr, nullptr);
  }
#endif
#ifdef LATCHKEY_TSAN
  __tsan_destroy_fiber(thread_);
#endif
}

LATCHKEY_NOT_NOTED FiberSwitch::FiberSwitch(SanitizedFiber& fiber)
    : fiber_(fiber), thread_(CurrentThread()) {
#ifdef LATCHKEY_ASAN
  __sanitizer_start_switch_fiber(&locals_, fiber_.bottom_, fiber_.bytes_);
  __sanitizer_finish_switch_fiber(fiber_.locals_, &bottom_, &bytes_);
  fiber_.locals_ = nullptr;
#endif
#ifdef LATCHKEY_TSAN
  __tsan_switch_to_fiber(fiber_.thread_, 0);
#endif
}

LATCHKEY_NOT_NOTED FiberSwitch::~FiberSwitch() {
#ifdef LATCHKEY_ASAN
  __sanitizer_start_switch_fiber(&fiber_.locals_, bottom_, bytes_);
  __sanitizer_finish_switch_fiber(locals_, nullptr, nullptr);
#endif
#ifdef LATCHKEY_TSAN
  __tsan_switch_to_fiber(thread_, 0);
#endif
}

}  // namespace latchkey_testing

#endif
