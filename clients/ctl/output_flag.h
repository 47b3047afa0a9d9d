// The flag -o of the commands that print no more than one kind of thing.

#ifndef LATCHKEY_CLIENTS_CTL_OUTPUT_FLAG_H_
#define LATCHKEY_CLIENTS_CTL_OUTPUT_FLAG_H_

#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace latchkey {

// table (the default), json, yaml or name. `output` must outlive the parsing.
void AddOutputFlag(CLI::App& command, std::string& output);

// text (the default), json or yaml: of what has no name.
void AddTextOutputFlag(CLI::App& command, std::string& output);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_OUTPUT_FLAG_H_
