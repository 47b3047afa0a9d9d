#include "tests/simulation/fiber_switch.h"

#ifdef LATCHKEY_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef LATCHKEY_TSAN
#include <sanitizer/tsan_interface.h>

// In no header of g++'s.
extern "C" {
void __tsan_ignore_thread_begin();
void __tsan_ignore_thread_end();
void AnnotateIgnoreSyncBegin(const char* file, int line);
void AnnotateIgnoreSyncEnd(const char* file, int line);

// OpenSSL's random generators are one a thread. A fiber is a thread to the
// sanitizer, and to OpenSSL it is none.
const char* __tsan_default_suppressions();
const char* __tsan_default_suppressions() { return "race:libcrypto.so\n"; }
}
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
// What is in the world is ordered by it; whoever gives turns is always in it.
char world;

void* MakeThread() { return __tsan_create_fiber(0); }
// Also what it synchronises: a count of references orders whoever counts.
LATCHKEY_NOT_NOTED void BeginOverlooking() {
  __tsan_ignore_thread_begin();
  AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
}
LATCHKEY_NOT_NOTED void EndOverlooking() {
  AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
  __tsan_ignore_thread_end();
}
unsigned FlagsOf(bool apart) {
  return apart ? __tsan_switch_to_fiber_no_sync : 0;
}
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
  __tsan_release(&world);
  __tsan_switch_to_fiber(fiber_.thread_, FlagsOf(fiber_.apart_));
  BeginOverlooking();
#endif
}

LATCHKEY_NOT_NOTED FiberSwitch::~FiberSwitch() {
#ifdef LATCHKEY_ASAN
  __sanitizer_start_switch_fiber(&fiber_.locals_, bottom_, bytes_);
  __sanitizer_finish_switch_fiber(locals_, nullptr, nullptr);
#endif
#ifdef LATCHKEY_TSAN
  EndOverlooking();
  __tsan_switch_to_fiber(thread_, FlagsOf(fiber_.apart_));
  __tsan_acquire(&world);
#endif
}

#ifdef LATCHKEY_TSAN

// Not instrumented either: what they begin would end with their own return.
LATCHKEY_NOT_NOTED Overlooked::Overlooked() { BeginOverlooking(); }
LATCHKEY_NOT_NOTED Overlooked::~Overlooked() { EndOverlooking(); }
LATCHKEY_NOT_NOTED Watched::Watched() { EndOverlooking(); }
LATCHKEY_NOT_NOTED Watched::~Watched() { BeginOverlooking(); }

InTheWorld::InTheWorld() { __tsan_acquire(&world); }
InTheWorld::~InTheWorld() { __tsan_release(&world); }

#endif

}  // namespace latchkey_testing

#endif
