#include "clients/ctl/completion_command.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace latchkey {
namespace {

struct Flag {
  std::vector<std::string> names;  // with their dashes
  bool takes_value = false;
  std::vector<std::string> choices;
  std::string description;
};

struct Command {
  // The words that lead to it: "policy test"; empty for the program itself.
  std::string path;
  // Its subcommands, and what its positionals may be.
  std::vector<std::string> words;
  std::vector<Flag> flags;
};

// The values of CLI::IsMember, which stand in the type's name: TEXT:{a,b}.
std::vector<std::string> ChoicesOf(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t open = type.find(":{");
  const size_t close = type.find('}');
  if (open == std::string::npos || close == std::string::npos) return {};
  return CLI::detail::split(type.substr(open + 2, close - open - 2), ',');
}

void AddFlags(const CLI::App& app, Command& command) {
  for (const CLI::Option* option : app.get_options()) {
    Flag flag;
    for (const auto& name : option->get_snames())
      flag.names.push_back("-" + name);
    for (const auto& name : option->get_lnames()) {
      flag.names.push_back("--" + name);
    }
    if (flag.names.empty()) {  // a positional
      for (const std::string& choice : ChoicesOf(*option)) {
        command.words.push_back(choice);
      }
      continue;
    }
    // The program's own flags come last; a command may have one of that name.
    if (std::ranges::any_of(command.flags, [&](const Flag& other) {
          return other.names == flag.names;
        })) {
      continue;
    }
    flag.takes_value = option->get_items_expected_max() > 0;
    flag.choices = ChoicesOf(*option);
    flag.description = option->get_description();
    command.flags.push_back(std::move(flag));
  }
}

// `app` and what is below it. The program's own flags may stand anywhere.
void Collect(const CLI::App& root, const CLI::App& app, const std::string& path,
             std::vector<Command>& commands) {
  Command command{.path = path, .words = {}, .flags = {}};
  AddFlags(app, command);
  if (&root != &app) AddFlags(root, command);
  for (const CLI::App* sub : app.get_subcommands({})) {
    if (sub->get_name().empty()) {
      AddFlags(*sub, command);  // a group of flags
      continue;
    }
    command.words.push_back(sub->get_name());
    Collect(root, *sub,
            path.empty() ? sub->get_name() : path + " " + sub->get_name(),
            commands);
  }
  commands.push_back(std::move(command));
}

std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

// bash and zsh run the same two functions.
constexpr char kStepFunction[] = R"(
# Sets _latchkeyctl_at to the command that the word $1 leads to.
_latchkeyctl_step() {{
  case "$_latchkeyctl_at $1" in
    {}) _latchkeyctl_at="$_latchkeyctl_at $1" ;;
  esac
}}
)";

std::string StepFunction(const std::vector<Command>& commands) {
  std::vector<std::string> paths;
  for (const Command& command : commands) {
    if (!command.path.empty()) paths.push_back(Quoted(" " + command.path));
  }
  return fmt::format(kStepFunction, fmt::join(paths, "|"));
}

std::string CommandCase(const Command& command) {
  std::vector<std::string> words = command.words;
  for (const Flag& flag : command.flags) {
    words.insert(words.end(), flag.names.begin(), flag.names.end());
  }
  return fmt::format("    {}) _latchkeyctl_words='{}' ;;\n",
                     Quoted(command.path.empty() ? "" : " " + command.path),
                     fmt::join(words, " "));
}

std::string ValueCases(const Command& command) {
  std::string cases;
  for (const Flag& flag : command.flags) {
    if (!flag.takes_value) continue;
    std::vector<std::string> patterns;
    for (const std::string& name : flag.names) {
      patterns.push_back(Quoted(fmt::format(
          "{} {}", command.path.empty() ? "" : " " + command.path, name)));
    }
    cases +=
        fmt::format("    {}) _latchkeyctl_words='{}'; return ;;\n",
                    fmt::join(patterns, "|"), fmt::join(flag.choices, " "));
  }
  return cases;
}

std::string FindFunction(const std::vector<Command>& commands) {
  std::string values;
  std::string words;
  for (const Command& command : commands) {
    values += ValueCases(command);
    words += CommandCase(command);
  }
  return fmt::format(
      "# Sets _latchkeyctl_words to what may follow the word $1 there.\n"
      "_latchkeyctl_find() {{\n"
      "  _latchkeyctl_words=\n"
      "  case \"$_latchkeyctl_at $1\" in\n{}  esac\n"
      "  case \"$_latchkeyctl_at\" in\n{}  esac\n"
      "}}\n",
      values, words);
}

std::string BashScript(const std::vector<Command>& commands) {
  return "# bash completion of latchkeyctl: source <(latchkeyctl completion "
         "bash)\n" +
         StepFunction(commands) + FindFunction(commands) + R"(
_latchkeyctl() {
  local i _latchkeyctl_at= _latchkeyctl_words=
  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD - 1]}"
  for ((i = 1; i < COMP_CWORD; i++)); do
    _latchkeyctl_step "${COMP_WORDS[i]}"
  done
  # --flag=value is three words here.
  if [[ "$word" == '=' ]]; then
    word=
  elif [[ "$before" == '=' ]]; then
    before="${COMP_WORDS[COMP_CWORD - 2]}"
  fi
  _latchkeyctl_find "$before"
  COMPREPLY=($(compgen -W "$_latchkeyctl_words" -- "$word"))
}
complete -o default -F _latchkeyctl latchkeyctl
)";
}

std::string ZshScript(const std::vector<Command>& commands) {
  return "#compdef latchkeyctl\n"
         "# zsh completion of latchkeyctl: source <(latchkeyctl completion "
         "zsh)\n" +
         StepFunction(commands) + FindFunction(commands) + R"(
_latchkeyctl() {
  local i none=1 before="${words[CURRENT - 1]}"
  local _latchkeyctl_at= _latchkeyctl_words=
  for ((i = 2; i < CURRENT; i++)); do
    _latchkeyctl_step "${words[i]}"
  done
  if [[ "$PREFIX" == --*=* ]]; then
    before="${PREFIX%%=*}"
    compset -P '*='
  fi
  _latchkeyctl_find "$before"
  local -a offered=(${=_latchkeyctl_words})
  if (( $#offered )) && compadd -- $offered; then none=0; fi
  # Where no word is asked for but flags, it may be a file.
  if [[ "$PREFIX" != -* ]] && (( ! ${#offered:#-*} )) && _files; then none=0; fi
  return none
}
(( $+functions[compdef] )) && compdef _latchkeyctl latchkeyctl
)";
}

std::string FishFlag(const Command& command, const Flag& flag) {
  std::string line = fmt::format("complete -c latchkeyctl -n {}",
                                 Quoted("__latchkeyctl_at " + command.path));
  for (const std::string& name : flag.names) {
    line += name.starts_with("--") ? " -l " + name.substr(2)
                                   : " -s " + name.substr(1);
  }
  if (flag.takes_value) line += " -r";
  if (!flag.choices.empty()) {
    line += fmt::format(" -f -a '{}'", fmt::join(flag.choices, " "));
  }
  // fish's single quotes know the backslash.
  std::string description;
  for (const char c : flag.description) {
    if (c == '\'' || c == '\\') description += '\\';
    description += c;
  }
  return line + fmt::format(" -d '{}'\n", description);
}

std::string FishScript(const std::vector<Command>& commands) {
  std::vector<std::string> paths;
  std::string lines;
  for (const Command& command : commands) {
    if (!command.path.empty()) paths.push_back(Quoted(command.path));
    for (const std::string& name : command.words) {
      lines += fmt::format("complete -c latchkeyctl -n {} -f -a {}\n",
                           Quoted("__latchkeyctl_at " + command.path), name);
    }
    for (const Flag& flag : command.flags) lines += FishFlag(command, flag);
  }
  return fmt::format(
      "# fish completion of latchkeyctl: latchkeyctl completion fish | source\n"
      "function __latchkeyctl_at\n"
      "  set -l words (commandline -opc)\n"
      "  set -e words[1]\n"
      "  set -l at\n"
      "  for word in $words\n"
      "    contains -- (string join -- ' ' $at $word) {}\n"
      "    and set -a at $word\n"
      "  end\n"
      "  test \"$at\" = \"$argv\"\n"
      "end\n{}",
      fmt::join(paths, " "), lines);
}

absl::StatusOr<int> Complete(const CommandContext& context, const CLI::App& app,
                             const std::string& shell) {
  std::vector<Command> commands;
  Collect(app, app, "", commands);
  context.out << (shell == "bash"  ? BashScript(commands)
                  : shell == "zsh" ? ZshScript(commands)
                                   : FishScript(commands));
  return kDone;
}

}  // namespace

void AddCompletionCommand(CLI::App& app, CommandContext& context) {
  const auto shell = std::make_shared<std::string>();
  CLI::App& command = *app.add_subcommand(
      "completion", "print what a shell needs to complete latchkeyctl's flags");
  command.footer(
      "Example:\n"
      "  source <(latchkeyctl completion bash)\n"
      "  latchkeyctl completion fish | source");
  command.add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command.callback([&app, &context, shell] {
    context.run = [&app, &context, shell] {
      return Complete(context, app, *shell);
    };
  });
}

}  // namespace latchkey
