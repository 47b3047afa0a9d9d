// Which sanitizer this is compiled for; g++ and clang say it differently.

#ifndef LATCHKEY_TESTS_SIMULATION_SANITIZERS_H_
#define LATCHKEY_TESTS_SIMULATION_SANITIZERS_H_

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LATCHKEY_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define LATCHKEY_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define LATCHKEY_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define LATCHKEY_TSAN 1
#endif

#endif  // LATCHKEY_TESTS_SIMULATION_SANITIZERS_H_
