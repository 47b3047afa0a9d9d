// `latchkeyctl policy test`: a policy judged by its own self-tests, without a
// broker.

#ifndef LATCHKEY_CLIENTS_CTL_POLICY_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_POLICY_COMMAND_H_

#include <string>

#include <absl/status/status.h>

namespace CLI {
class App;
}

namespace latchkey {

struct PolicyFlags {
  std::string file;
};

// Adds `policy test FILE` to the program, whose parsing fills `flags` in;
// answers `policy`.
const CLI::App* AddPolicyCommand(CLI::App& app, PolicyFlags& flags);

// Runs the self-tests of a file, a whole broker.yaml or one that has nothing
// but `policy` and `policy_tests`, and prints a line for each on standard
// output. kInvalidArgument if one failed, or if the file cannot be used.
absl::Status RunPolicyTest(const PolicyFlags& flags);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_POLICY_COMMAND_H_
