// The completion scripts of the real program, sourced by the real shells.

#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/e2e/broker_process.h"
#include "tests/testing/child_process.h"
#include "tests/testing/left_out.h"
#include "tests/testing/temp_dir.h"

namespace latchkey_testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class CompletionTest : public ::testing::Test {
 protected:
  std::string Script(const std::string& shell) {
    const ProgramResult result =
        RunProgram({BuiltProgram("latchkeyctl"), "completion", shell}, {});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return dir_.Write(shell, result.out);
  }
  // What bash offers for the last of `words`, a word a line.
  std::string Bash(const std::string& words) {
    const ProgramResult result = RunProgram(
        {"bash", "-uc",
         fmt::format(". {}; COMP_WORDS=(latchkeyctl {}); "
                     "COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _latchkeyctl; "
                     "printf '<%s>\\n' \"${{COMPREPLY[@]}}\"",
                     Script("bash"), words)},
        {});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(result.err, "");
    return result.out;
  }
  // What zsh is told to offer for the last of `words`, before it keeps what
  // fits.
  std::string Zsh(const std::string& words) {
    const ProgramResult result =
        RunProgram({"zsh", "-fc",
                    fmt::format("compadd() {{ shift; print -r -- $@ }}; "
                                "compset() {{ PREFIX=${{PREFIX#*=}} }}; "
                                "_files() {{ print '<file>' }}; . {}; "
                                "words=(latchkeyctl {}); CURRENT=$#words; "
                                "PREFIX=$words[CURRENT]; _latchkeyctl",
                                Script("zsh"), words)},
                   {});
    EXPECT_EQ(result.err, "");
    return result.out;
  }
  static bool Has(const std::string& shell) {
    return RunProgram({shell, "--version"}, {}).exit_code == 0;
  }

  TempDir dir_;
};

TEST_F(CompletionTest, BashKnowsEveryCommandAndFlag) {
  EXPECT_THAT(Bash("''"), AllOf(HasSubstr("<issue>"), HasSubstr("<completion>"),
                                HasSubstr("<--config>")));
  EXPECT_EQ(Bash("ext"), "<extend>\n");
  EXPECT_THAT(Bash("issue --"),
              AllOf(HasSubstr("<--node>"), HasSubstr("<--label>"),
                    HasSubstr("<--context>"), Not(HasSubstr("<--state>"))));
  EXPECT_EQ(Bash("issue --delivery ''"), "<ticket>\n<direct>\n");
  EXPECT_EQ(Bash("list -o y"), "<yaml>\n");
  EXPECT_THAT(Bash("extend abc123 --u"), HasSubstr("<--until>"))
      << "a flag of a group";
  EXPECT_EQ(Bash("--context prod get --o"), "<--output>\n");
  EXPECT_EQ(Bash("completion fi"), "<fish>\n");
  EXPECT_EQ(Bash("list --state sp"), "<spent>\n");
  EXPECT_EQ(Bash("list -h"), "<-h>\n") << "once, though the program has it too";
  EXPECT_EQ(Bash("policy test fi"), "<>\n") << "a file, then";
}

TEST_F(CompletionTest, BashKnowsTheValueAfterAnEqualsSign) {
  EXPECT_EQ(Bash("issue --delivery ="), "<ticket>\n<direct>\n");
  EXPECT_EQ(Bash("issue --delivery = di"), "<direct>\n");
  EXPECT_EQ(Bash("issue --out = fi"), "<>\n") << "a file, then";
}

// Whatever --help lists is offered: the two cannot drift apart.
TEST_F(CompletionTest, WhatHelpListsIsOffered) {
  const ProgramResult help =
      RunProgram({BuiltProgram("latchkeyctl"), "batch", "--help"}, {});
  const std::string offered = Bash("batch --");
  int flags = 0;
  for (size_t at = help.out.find("  --"); at != std::string::npos;
       at = help.out.find("  --", at + 1)) {
    const size_t end = help.out.find_first_of(" \n", at + 2);
    EXPECT_THAT(offered,
                HasSubstr("<" + help.out.substr(at + 2, end - at - 2) + ">"));
    ++flags;
  }
  EXPECT_GT(flags, 3);
}

TEST_F(CompletionTest, ZshTakesItsScript) {
  if (!Has("zsh")) LATCHKEY_LEAVE_OUT("zsh is not installed");
  EXPECT_EQ(Zsh("issue --delivery ''"), "ticket direct\n");
  EXPECT_EQ(Zsh("issue --delivery=di"), "ticket direct\n");
  EXPECT_THAT(Zsh("issue --"),
              AllOf(HasSubstr("--node"), Not(HasSubstr("<file>"))));
  EXPECT_THAT(Zsh("pol"), AllOf(HasSubstr("policy"), Not(HasSubstr("<file>"))));
}

TEST_F(CompletionTest, ZshLooksForAFileWhereOneMayStand) {
  if (!Has("zsh")) LATCHKEY_LEAVE_OUT("zsh is not installed");
  EXPECT_THAT(Zsh("policy test bro"), HasSubstr("<file>"));
  EXPECT_THAT(Zsh("batch mach"), HasSubstr("<file>"));
  EXPECT_THAT(Zsh("audit verify aud"), HasSubstr("<file>"));
  EXPECT_THAT(Zsh("audit verify ''"),
              AllOf(HasSubstr("<file>"), HasSubstr("--clock-skew")));
  EXPECT_EQ(Zsh("issue --out ti"), "<file>\n");
  EXPECT_EQ(Zsh("issue --out=ti"), "<file>\n");
}

TEST_F(CompletionTest, FishTakesItsScript) {
  if (!Has("fish")) LATCHKEY_LEAVE_OUT("fish is not installed");
  const auto offered = [this](const std::string& line) {
    const ProgramResult result = RunProgram(
        {"fish", "--no-config", "-c",
         fmt::format("source {}; complete -C '{}'", Script("fish"), line)},
        {{"HOME", dir_.path().string()}});
    EXPECT_EQ(result.err, "");
    return result.out;
  };
  EXPECT_THAT(offered("latchkeyctl ext"), HasSubstr("extend"));
  EXPECT_THAT(offered("latchkeyctl issue --delivery "),
              AllOf(HasSubstr("ticket"), HasSubstr("direct")));
  EXPECT_THAT(offered("latchkeyctl issue --no"), HasSubstr("--node"));
  EXPECT_THAT(offered("latchkeyctl list --lab"), HasSubstr("--label"));
  EXPECT_THAT(offered("latchkeyctl list --deliv"), Not(HasSubstr("delivery")));
}

}  // namespace
}  // namespace latchkey_testing
