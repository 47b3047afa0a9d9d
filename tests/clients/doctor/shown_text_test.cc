#include "clients/doctor/shown_text.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/testing/child_process.h"

namespace latchkey {
namespace {

bool IsOneAsciiLine(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= ' ' && c <= '~'; });
}

const std::vector<std::string>& HostileNames() {
  static const std::vector<std::string> names = {
      "plain",
      "system:certificates.k8s.io:x",
      "",
      " ",
      "-x",
      "--kubeconfig=evil",
      "~",
      "a b",
      "$(touch /tmp/x)",
      "`id`",
      "$HOME",
      "it's",
      "'; rm -rf x; '",
      "\"",
      "back\\slash",
      "back\\slash and 'quote'\n",
      "two\nlines",
      "\x1b[31mred",
      "tab\there",
      "\xd1\x80\xd0\xb0ypal",  // Cyrillic look-alikes
      "\xe2\x80\xaegnp.exe",   // right-to-left override
      "\x01"
      "1f",  // a digit behind an escape
      "not utf-8 \xff\xfe",
      "{a,b}*?[x]",
      "#comment",
      "a&b|c;d<e>f",
      "!history",
      std::string(253, 'n'),
  };
  return names;
}

TEST(ShownTextTest, NothingHostileIsShownAsItIs) {
  for (const std::string& name : HostileNames()) {
    EXPECT_TRUE(IsOneAsciiLine(Shown(name))) << Shown(name);
  }
  EXPECT_EQ(Shown("plain"), "plain");
  EXPECT_EQ(Shown("a\nb\x1b\\"), "a\\x0ab\\x1b\\\\");
}

TEST(ShownTextTest, WhatIsLongIsCut) {
  EXPECT_EQ(Shown(std::string(512, 'x')), std::string(512, 'x'));
  EXPECT_EQ(Shown(std::string(513, 'x')), std::string(512, 'x') + "...");
}

TEST(ShownTextTest, AShellWordIsTheNameAndNothingElse) {
  for (const std::string& name : HostileNames()) {
    const std::string word = ShellWord(name);
    SCOPED_TRACE(word);
    EXPECT_TRUE(IsOneAsciiLine(word));
    const auto result = latchkey_testing::RunProgram(
        {"bash", "-c", "printf '[%s]' " + word}, {});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, "[" + name + "]");
    EXPECT_EQ(result.err, "");
  }
}

TEST(ShownTextTest, PlainNamesNeedNoQuotes) {
  EXPECT_EQ(ShellWord("latchkey:node-bootstrapper"),
            "latchkey:node-bootstrapper");
  EXPECT_EQ(ShellWord("a b"), "'a b'");
}

}  // namespace
}  // namespace latchkey
