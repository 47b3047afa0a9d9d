// What most tests include, compiled once (latchkey_test in
// cmake/Latchkey.cmake). A test includes what it uses all the same.

#ifndef LATCHKEY_TESTS_PRECOMPILED_H_
#define LATCHKEY_TESTS_PRECOMPILED_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#endif  // LATCHKEY_TESTS_PRECOMPILED_H_
