#include "core/config_reader.h"

#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::unique_ptr<ConfigDocument> MustParse(std::string_view text) {
  auto document = ConfigDocument::Parse("a.yaml", text);
  EXPECT_THAT(document, IsOk());
  return document.ok() ? *std::move(document) : nullptr;
}

TEST(ConfigReaderTest, ReadsEveryType) {
  const auto document = MustParse(R"(
name: worker-1
quoted: "007"
plain: 007
on: true
off: false
count: -3
wait: 1h30m
mode: ticket
list: [a, "b", 3]
section:
  inner: {deep: yes}
rules:
- name: first
- name: second
nothing:
)");
  const ConfigReader root = document->root();

  EXPECT_EQ(root.String("name", ""), "worker-1");
  EXPECT_EQ(root.RequiredString("quoted"), "007");
  EXPECT_EQ(root.OptionalString("plain"), "007");
  EXPECT_TRUE(root.Bool("on", false));
  EXPECT_FALSE(root.Bool("off", true));
  EXPECT_EQ(root.Int("count", 0, -5, 5), -3);
  EXPECT_EQ(
      root.Duration("wait", absl::Seconds(1), absl::Seconds(1), absl::Hours(2)),
      absl::Minutes(90));
  EXPECT_EQ(root.Choice("mode", "direct", {"ticket", "direct"}), "ticket");
  EXPECT_THAT(root.Strings("list"), ElementsAre("a", "b", "3"));
  EXPECT_EQ(root.Section("section").Section("inner").String("deep", ""), "yes");
  const auto rules = root.Sections("rules");
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].RequiredString("name"), "first");
  EXPECT_EQ(rules[1].RequiredString("name"), "second");
  EXPECT_TRUE(root.Has("nothing"));
  EXPECT_THAT(root.Strings("nothing"), IsEmpty());
  EXPECT_THAT(document->Finish(), IsOk());
}

TEST(ConfigReaderTest, AnswersDefaultsForAbsentFields) {
  const auto document = MustParse("{}");
  const ConfigReader root = document->root();

  EXPECT_EQ(root.String("a", "x"), "x");
  EXPECT_EQ(root.OptionalString("a"), std::nullopt);
  EXPECT_TRUE(root.Bool("a", true));
  EXPECT_EQ(root.Int("a", 7, 0, 5), 7);
  EXPECT_EQ(
      root.Duration("a", absl::Hours(1), absl::Seconds(1), absl::Seconds(2)),
      absl::Hours(1));
  EXPECT_EQ(root.Choice("a", "z", {"b"}), "z");
  EXPECT_THAT(root.Strings("a"), IsEmpty());
  EXPECT_THAT(root.Sections("a"), IsEmpty());
  EXPECT_EQ(root.Section("a").Section("b").String("c", "d"), "d");
  EXPECT_FALSE(root.Has("a"));
  EXPECT_THAT(document->Finish(), IsOk());
}

// What is wrong with `text`, read as a file that may have these fields.
absl::Status MistakesOf(std::string_view text) {
  auto document = ConfigDocument::Parse("a.yaml", text);
  if (!document.ok()) return document.status();
  const ConfigReader root = (*document)->root();
  root.String("string", "");
  root.Bool("bool", false);
  root.Int("int", 0, 1, 10);
  root.Duration("duration", absl::Seconds(1), absl::Seconds(1), absl::Hours(1));
  root.Choice("choice", "red", {"red", "green"});
  root.Strings("strings");
  root.Section("section").String("inner", "");
  for (const ConfigReader& item : root.Sections("sections")) {
    item.RequiredString("name");
  }
  return (*document)->Finish();
}

TEST(ConfigReaderTest, NamesLineFieldFaultAndCure) {
  struct Case {
    const char* text;
    const char* want;
  };
  constexpr Case kCases[] = {
      {"string: [a]", "a.yaml:1: string: is a list; must be a string"},
      {"string: {a: b}", "a.yaml:1: string: is a mapping; must be a string"},
      {"string:", "a.yaml:1: string: has no value; must be a string"},
      {"string: ~", "a.yaml:1: string: has no value; must be a string"},
      {"bool: yes", "a.yaml:1: bool: must be true or false, without quotes"},
      {"bool: 'true'", "a.yaml:1: bool: must be true or false, without quotes"},
      {"int: 11",
       "a.yaml:1: int: must be a whole number from 1 to 10, without quotes"},
      {"int: 0",
       "a.yaml:1: int: must be a whole number from 1 to 10, without quotes"},
      {"int: 1.5",
       "a.yaml:1: int: must be a whole number from 1 to 10, without quotes"},
      {"int: '5'",
       "a.yaml:1: int: must be a whole number from 1 to 10, without quotes"},
      {"int: 99999999999999999999",
       "a.yaml:1: int: must be a whole number from 1 to 10, without quotes"},
      {"duration: 2h",
       "a.yaml:1: duration: must be a duration such as 90s, 15m or 1h30m, "
       "from 1s to 1h"},
      {"duration: 30",
       "a.yaml:1: duration: must be a duration such as 90s, 15m or 1h30m, "
       "from 1s to 1h"},
      {"choice: blue", "a.yaml:1: choice: must be one of red, green"},
      {"strings: a", "a.yaml:1: strings: must be a list of strings"},
      {"strings:\n- a\n- [b]", "a.yaml:3: strings[1]: must be a string"},
      {"section: 5",
       "a.yaml:1: section: must be a mapping, fields indented below it"},
      {"section:\n  outer: 1",
       "a.yaml:2: section.outer: unknown field; check its spelling and its "
       "indentation"},
      {"sections: {}", "a.yaml:1: sections: must be a list of mappings"},
      {"sections:\n- name: a\n- b", "a.yaml:3: sections[1]: must be a mapping"},
      {"sections:\n- {}",
       "a.yaml:2: sections[0].name: is missing; it is required"},
      {"sections:\n- name: ''",
       "a.yaml:2: sections[0].name: must not be empty"},
      {"sections:\n- name: []",
       "a.yaml:2: sections[0].name: is a list; must be a string"},
      {"int: 1\n\nint: 1", "a.yaml:3: int: given twice; line 1 has it already"},
      {"strnig: a",
       "a.yaml:1: strnig: unknown field; check its spelling and its "
       "indentation"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.text);
    EXPECT_THAT(MistakesOf(c.text),
                StatusIs(absl::StatusCode::kInvalidArgument, c.want));
  }
}

TEST(ConfigReaderTest, RefusesWhatIsNoPlainMapping) {
  struct Case {
    const char* name;
    std::string text;
    const char* want;
  };
  const std::vector<Case> cases = {
      {"empty", "", "a.yaml:1: must be a mapping of fields, name: value"},
      {"only a comment", "# x\n",
       "a.yaml:1: must be a mapping of fields, name: value"},
      {"a list", "\n- a", "a.yaml:2: must be a mapping of fields, name: value"},
      {"a word", "word", "a.yaml:1: must be a mapping of fields, name: value"},
      {"two documents", "a: 1\n---\nb: 2",
       "a.yaml:2: a second document; one file holds one document"},
      {"alias", "a: &x 1\nb: *x",
       "a.yaml:1: anchors are not supported; leave it out"},
      {"unknown alias", "b: *lk1_secret",
       "a.yaml:1: not well-formed YAML: misplaced or unknown anchor or alias"},
      {"tag",
       "a: !!binary aGk=", "a.yaml:1: tags are not supported; leave it out"},
      {"list as a name", "? [a]\n: b",
       "a.yaml:1: a field without a name; a field is name: value"},
      {"no name", "? \n: b",
       "a.yaml:2: a field without a name; a field is name: value"},
      {"not closed", "a: [b",
       "a.yaml:1: not well-formed YAML: end of sequence "
       "flow not found"},
      {"odd escape", "a: \"\\q\"",
       "a.yaml:1: not well-formed YAML: unknown escape character"},
      {"NUL", std::string("a: b\0c", 6),
       "a.yaml:1: has a NUL byte; must be plain text"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(ConfigDocument::Parse("a.yaml", c.text),
                StatusIs(absl::StatusCode::kInvalidArgument, c.want));
  }
}

TEST(ConfigReaderTest, CollectsMistakesInTheOrderOfTheFile) {
  EXPECT_THAT(MistakesOf("typo: 1\nint: x\nbool: 3\nint: 4\n"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("a.yaml:1: typo: "),
                             HasSubstr("\na.yaml:2: int: "),
                             HasSubstr("\na.yaml:3: bool: "),
                             HasSubstr("\na.yaml:4: int: given twice"))));
}

TEST(ConfigReaderTest, NeverRepeatsAValue) {
  for (const char* text : {
           "int: hunter2",
           "bool: hunter2",
           "choice: hunter2",
           "duration: hunter2",
           "strings: hunter2",
           "sections: [hunter2]",
           "section: hunter2",
           "a: b\n hunter2",
           "a: *hunter2",
           "a: &hunter2 b",
           "a: !hunter2 b",
           "%TAG hunter2\n---\na: b",
           "abcdef.hunter20123456789: a",  // a token where a name should be
           "lk1_abcdef_hunter2aaaaaaaaaaaaaaaaaaaaaaaaaa_0000000: a",
           "lk1_abcdef_hunter2aaaaaaaaaaaaaaaaaaaaaaaaaa_0000000: [{b: c}]",
       }) {
    SCOPED_TRACE(text);
    EXPECT_THAT(MistakesOf(text), StatusIs(absl::StatusCode::kInvalidArgument,
                                           Not(HasSubstr("hunter2"))));
  }
}

TEST(ConfigReaderTest, MistakesOfTheOwnerAreCollectedToo) {
  const auto document = MustParse("a:\n  b: 1\n");
  const ConfigReader a = document->root().Section("a");
  a.Int("b", 0, 0, 9);
  a.Mistake("b", "must be even");
  a.Mistake("c", "must be there");
  a.Mistake("", "is one-sided");
  a.Check("b", absl::OkStatus());
  a.Check("b", absl::InvalidArgumentError("no such thing"));

  EXPECT_THAT(document->Finish(), StatusIs(absl::StatusCode::kInvalidArgument,
                                           "a.yaml:2: a.b: must be even\n"
                                           "a.yaml:2: a.c: must be there\n"
                                           "a.yaml:2: a: is one-sided\n"
                                           "a.yaml:2: a.b: no such thing"));
}

TEST(ConfigReaderTest, FieldsOfOtherProgramsMayBeAllowed) {
  const auto document = MustParse("kind: Config\nextensions: [{a: {b: c}}]\n");
  EXPECT_EQ(document->root().String("kind", ""), "Config");
  EXPECT_THAT(document->Finish(ConfigDocument::UnknownFields::kAllow), IsOk());
}

TEST(ConfigReaderTest, LongListsOfMistakesAreCut) {
  std::string text;
  for (int i = 0; i < 200; ++i) {
    text += "typo" + std::to_string(i) + ": 1\n";
  }
  EXPECT_THAT(MistakesOf(text),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("typo49"), Not(HasSubstr("typo50")),
                             HasSubstr("a.yaml: 150 more mistakes"))));
}

TEST(ConfigReaderTest, BoundsWhatAFileMayCost) {
  struct Case {
    const char* name;
    std::string text;
    const char* want;
  };
  const auto repeat = [](std::string_view text, size_t times) {
    std::string all;
    for (size_t i = 0; i < times; ++i) all += text;
    return all;
  };
  const std::vector<Case> cases = {
      {"too long", "a: " + std::string(ConfigDocument::kMaxBytes, 'x'),
       "at most 1048576 are read"},
      {"deep flow", "a: " + repeat("[", 400'000) + repeat("]", 400'000),
       "nested too deeply"},
      {"deep flow mappings", repeat("{a: ", 100'000) + repeat("}", 100'000),
       "nested too deeply"},
      {"deep block", repeat("- ", 500'000), "nested too deeply"},
      {"many values", "a: [" + repeat("b,", 500'000) + "]", "too many values"},
      {"many names", "a: {" + repeat("b,", 500'000) + "}", "too many values"},
      {"aliases", "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n",
       "anchors are not supported"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(
        ConfigDocument::Parse("a.yaml", c.text),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.want)));
  }
}

TEST(ConfigReaderTest, NamesTheFieldsOfAMappingThatTheFileChooses) {
  const auto document = MustParse("a: {y: 1, x: [2]}\nb: [1]\nc: 1\n");
  const ConfigReader root = document->root();
  EXPECT_TRUE(root.IsMapping("a"));
  EXPECT_FALSE(root.IsMapping("b"));
  EXPECT_TRUE(root.IsList("b"));
  EXPECT_FALSE(root.IsList("c"));
  EXPECT_FALSE(root.IsList("d"));
  const ConfigReader a = root.Section("a");
  EXPECT_THAT(a.Fields(), ElementsAre("x", "y"));
  EXPECT_EQ(a.Where(), "a.yaml:1: a");
  // Nobody has asked for them.
  EXPECT_THAT(document->Finish(), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("a.x: unknown field")));
}

TEST(ConfigReaderTest, TheTextOfAFieldChangesWithItsValueOnly) {
  const auto text = [](std::string_view yaml) {
    return MustParse(yaml)->root().FieldTexts()["a"];
  };
  const std::string same = text("a: {x: [1, b], y: }");
  EXPECT_EQ(same, text("# moved\n\nb: 1\na:\n  y:\n  x:\n  - 1 # one\n  - b"));
  for (const char* other :
       {"a: {x: [1, b], y: z}", "a: {x: [1b], y: }", "a: {x: [\"1\", b], y: }",
        "a: {x: [b, 1], y: }", "a: {x: [1, b]}", "a: {x: [[1], b], y: }"}) {
    SCOPED_TRACE(other);
    EXPECT_NE(same, text(other));
  }
}

}  // namespace
}  // namespace latchkey
