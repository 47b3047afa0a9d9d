// Arguments as they were typed, the same for every command: what no value may
// be, and what CLI11 found wrong in our words.

#ifndef LATCHKEY_CLIENTS_CTL_ARGUMENTS_H_
#define LATCHKEY_CLIENTS_CTL_ARGUMENTS_H_

#include <string>
#include <vector>

#include <absl/status/status.h>

namespace CLI {
class App;
class Error;
class Option;
}  // namespace CLI

namespace latchkey {

// The positional `id`, which must be a token's. A ticket or a bootstrap token
// in its place is not repeated: its id is named, which is no secret.
CLI::Option* AddTokenId(CLI::App& command, std::string& id);

// `option`, its value marked as a path, which need not be UTF-8.
CLI::Option* AsPath(CLI::Option* option);

// kInvalidArgument for "--flag=" without a value, for which CLI11 would take
// the next word. Called before it parses.
absl::Status CheckWords(const std::vector<std::string>& arguments);

// kInvalidArgument, naming the option or the positional, for a value that was
// given and is empty, as that of an unset variable of a shell is: to go on
// without it would do more than was meant. Also for one that is not UTF-8,
// which no message to a broker can hold, unless it is marked AsPath(). Called
// after CLI11 has parsed, before the command runs.
absl::Status CheckValues(const CLI::App& app);

// kInvalidArgument, with what CLI11 refused. What it could not place goes
// first: a misspelt flag is also one that is missing. Repeats no ticket.
absl::Status UsageError(const CLI::App& app, const CLI::Error& error);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_ARGUMENTS_H_
