// latchkeyd for tests: the product's own code, and a hook that kills it at the
// fault point that the environment names.
//
//   LATCHKEY_DIE_AT=approver.reserved latchkeyd-with-faults --config …
//
// dies there as by kill -9, the first time that it comes by.

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <string_view>

#include "core/fault_point.h"
#include "server/run_broker.h"

namespace {

void DieThere(std::string_view point) {
  const char* wanted = getenv("LATCHKEY_DIE_AT");
  if (wanted != nullptr && point == wanted) kill(getpid(), SIGKILL);
}

}  // namespace

int main(int argc, char** argv) {
  latchkey::InstallFaultHook(DieThere);
  return latchkey::RunBroker(argc, argv);
}
