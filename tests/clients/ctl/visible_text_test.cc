#include "clients/ctl/visible_text.h"

#include <gmock/gmock.h>

#include "clients/ctl/data_tree.h"
#include "tests/clients/ctl/hostile_text.h"

namespace latchkey {
namespace {

using latchkey_testing::HostileTexts;

TEST(VisibleTest, LeavesWhatCanBeSeen) {
  for (const std::string text :
       {"", "worker-1", "w\xC3\xB6rker", "\xE6\x9D\xB1\xE4\xBA\xAC"}) {
    EXPECT_EQ(Visible(text), text);
  }
}

TEST(VisibleTest, WritesOutWhatCannot) {
  struct Case {
    std::string text;
    const char* shown;
  };
  for (const Case& c :
       {Case{"a\x1b[2Jb", "a\\x1b[2Jb"}, Case{"a\nb\tc\rd", "a\\nb\\tc\\rd"},
        Case{std::string("a\0b", 3), "a\\x00b"}, Case{"\x7f", "\\x7f"},
        Case{"a\\n", "a\\\\n"}, Case{"\xC2\x9B", "\\u{9b}"},
        Case{"\xE2\x80\xAE", "\\u{202e}"}, Case{"\xE2\x80\x8B", "\\u{200b}"},
        Case{"\xEF\xBB\xBF", "\\u{feff}"}, Case{"\xE2\x80\xA8", "\\u{2028}"},
        Case{"\xF3\xA0\x81\x81", "\\u{e0041}"}, Case{"\xff", "\\xff"},
        Case{"\xE6\x9D", "\\xe6\\x9d"}}) {
    EXPECT_EQ(Visible(c.text), c.shown);
  }
}

TEST(VisibleTest, NothingMovesTheCursor) {
  for (const std::string& text : HostileTexts()) {
    for (const char c : Visible(text)) {
      EXPECT_TRUE(c < 0 || (c >= ' ' && c != 0x7f)) << text;
    }
  }
}

TEST(TextTableTest, AlignsColumnsByWhatIsSeen) {
  TextTable table({"ID", "NODE", "X"});
  table.Add({"a", "\xE6\x9D\xB1\xE4\xBA\xAC", "1"});
  table.Add({"abc", "w\xC3\xB6rker", ""});
  EXPECT_EQ(table.Take(),
            "ID   NODE    X\n"
            "a    \xE6\x9D\xB1\xE4\xBA\xAC    1\n"
            "abc  w\xC3\xB6rker  -\n");
  table.Add({"b", "c", "2"});
  EXPECT_EQ(table.Take(), "b    c       2\n") << "without another header";
}

TEST(TextTableTest, ARowIsALineWhateverIsInIt) {
  for (const std::string& text : HostileTexts()) {
    TextTable table({"A", "B"});
    table.Add({text, text});
    const std::string lines = table.Take();
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2) << text;
  }
}

TEST(DataTreeTest, WritesYamlAndJson) {
  const DataTree tree =
      DataFields{{"path", "/a"},
                 {"on", true},
                 {"mode", 384},
                 {"items", DataList{"x", DataFields{{"key", "no"}}}},
                 {"content", DataText{"line 1\nline 2\n"}}};
  EXPECT_EQ(ToYaml(tree),
            "\"path\": \"/a\"\n\"on\": true\n\"mode\": 384\nitems:\n  - \"x\"\n"
            "  - \"key\": \"no\"\ncontent: |\n  line 1\n  line 2\n");
  EXPECT_EQ(
      ToJson(tree),
      "{\"path\": \"/a\", \"on\": true, \"mode\": 384, \"items\": "
      "[\"x\", {\"key\": \"no\"}], \"content\": \"line 1\\nline 2\\n\"}\n");
}

}  // namespace
}  // namespace latchkey
