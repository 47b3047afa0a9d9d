#include "core/fault_point.h"

#include <atomic>

namespace latchkey {
namespace {

std::atomic<FaultHook> installed_hook = nullptr;

}  // namespace

void InstallFaultHook(FaultHook hook) { installed_hook.store(hook); }

void FaultPoint(std::string_view point) {
  if (const FaultHook hook = installed_hook.load(); hook != nullptr) {
    hook(point);
  }
}

}  // namespace latchkey
