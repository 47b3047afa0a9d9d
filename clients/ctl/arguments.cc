#include "clients/ctl/arguments.h"

#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "clients/ctl/cures.h"
#include "core/bootstrap_token.h"
#include "core/ticket.h"
#include "core/utf8.h"

namespace latchkey {
namespace {

constexpr char kPathType[] = "FILE";

// The command that was typed, "latchkeyctl policy test".
std::string PathOf(const CLI::App& app) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  if (chosen.empty()) return app.get_name();
  return app.get_name() + " " + PathOf(*chosen.front());
}

const CLI::App& LastOf(const CLI::App& app) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  return chosen.empty() ? app : LastOf(*chosen.front());
}

absl::Status Usage(const CLI::App& app, const std::string& message) {
  return WithCure(absl::InvalidArgumentError(message),
                  PathOf(app) + " --help explains the arguments");
}

std::string Misplaced(const CLI::App& app, const std::string& word) {
  const std::string path = PathOf(app);
  if (word.starts_with('-')) {
    return fmt::format("{} has no flag {}", path,
                       word.substr(0, word.find('=')));
  }
  // Neither is repeated: it may be a secret.
  std::string shown = word;
  if (word.starts_with(Ticket::kPrefix)) shown = "a ticket";
  if (word.find('.') == TokenId::kLength) shown = "a token";
  if (!LastOf(app)
           .get_subcommands([](const CLI::App*) { return true; })
           .empty()) {
    return fmt::format("{} has no command {}", path, shown);
  }
  return fmt::format("{} cannot place the argument {}", path, shown);
}

// What is wrong with the values of the options of `app` itself; empty if
// nothing.
std::string MistakeOf(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_max() == 0) continue;  // takes no value
    for (const std::string& value : option->results()) {
      if (value.empty()) {
        return fmt::format("{}: is empty; is a variable not set?",
                           option->get_name());
      }
      if (option->get_type_name() != kPathType && !IsUtf8(value)) {
        return fmt::format("{}: not UTF-8", option->get_name());
      }
    }
  }
  for (const CLI::App* group : app.get_subcommands(
           [](const CLI::App* sub) { return sub->get_name().empty(); })) {
    if (std::string mistake = MistakeOf(*group); !mistake.empty()) {
      return mistake;
    }
  }
  return "";
}

// What is wrong with an id as it was typed, for CLI11; empty if nothing.
std::string MistakeOfId(const std::string& text) {
  if (text.empty() || TokenId::Parse(text).ok()) return "";
  const auto its_id = [](std::string_view what, std::string_view id) {
    return TokenId::Parse(id).ok()
               ? fmt::format("this is a {}, which is a secret; its id is {}",
                             what, id)
               : fmt::format("this is a {}, which is a secret, and no id",
                             what);
  };
  if (text.starts_with(Ticket::kPrefix)) {
    return its_id("ticket", std::string_view(text).substr(
                                Ticket::kPrefix.size(), TokenId::kLength));
  }
  if (const size_t dot = text.find('.'); dot == TokenId::kLength) {
    return its_id("bootstrap token", std::string_view(text).substr(0, dot));
  }
  return "must be six characters of [a-z0-9]";
}

}  // namespace

CLI::Option* AddTokenId(CLI::App& command, std::string& id) {
  return command.add_option("id", id, "the token's id")->check(MistakeOfId);
}

CLI::Option* AsPath(CLI::Option* option) {
  return option->type_name(kPathType);
}

absl::Status CheckWords(const std::vector<std::string>& arguments) {
  for (const std::string& word : arguments) {
    if (word == "--") break;
    if (word.starts_with("--") && word.find('=') == word.size() - 1) {
      return absl::InvalidArgumentError(
          fmt::format("{}: is empty; is a variable not set?",
                      word.substr(0, word.size() - 1)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckValues(const CLI::App& app) {
  for (const CLI::App* one = &app; one != nullptr;) {
    if (const std::string mistake = MistakeOf(*one); !mistake.empty()) {
      return Usage(app, mistake);
    }
    const std::vector<CLI::App*> chosen = one->get_subcommands();
    one = chosen.empty() ? nullptr : chosen.front();
  }
  return absl::OkStatus();
}

absl::Status UsageError(const CLI::App& app, const CLI::Error& error) {
  if (const std::vector<std::string> words = app.remaining(true);
      !words.empty()) {
    return Usage(app, Misplaced(app, words.front()));
  }
  std::vector<std::string> commands;
  for (const CLI::App* sub : LastOf(app).get_subcommands(
           [](const CLI::App* one) { return !one->get_name().empty(); })) {
    commands.push_back(sub->get_name());
  }
  if (!commands.empty() &&
      dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    return Usage(app,
                 fmt::format("name a command: {}", fmt::join(commands, ", ")));
  }
  return Usage(app, error.what());
}

}  // namespace latchkey
