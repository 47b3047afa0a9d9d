// Named places where a test may stop the program dead, to show what survives.
//
// A product binary never installs a hook, so a fault point there is one load of
// a null pointer. Only the test build's own main() (tests/testing) installs
// one.

#ifndef LATCHKEY_CORE_FAULT_POINT_H_
#define LATCHKEY_CORE_FAULT_POINT_H_

#include <string_view>

namespace latchkey {

using FaultHook = void (*)(std::string_view point);

// Called once, before the first thread. nullptr removes the hook.
void InstallFaultHook(FaultHook hook);

// Runs the hook, if there is one, with the point's name.
void FaultPoint(std::string_view point);

}  // namespace latchkey

#endif  // LATCHKEY_CORE_FAULT_POINT_H_
