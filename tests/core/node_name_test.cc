#include "core/node_name.h"

#include <string>
#include <string_view>
#include <vector>

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::latchkey_testing::StatusIs;

TEST(NodeNameTest, GoodNames) {
  for (const std::string& name :
       {std::string("a"), std::string("0"), std::string("node-1"),
        std::string("node-1.pool.example"), std::string("10.0.0.1"),
        std::string("a--b"), std::string("xn--bcher-kva.example"),
        std::string(64, 'a'), std::string(253, 'a')}) {
    SCOPED_TRACE(name);
    EXPECT_THAT(ValidateNodeName(name), IsOk());
  }
}

TEST(NodeNameTest, BadNames) {
  struct Case {
    std::string_view name;
    std::string text;
  };
  const Case cases[] = {
      {"empty", ""},
      {"dot", "."},
      {"dash", "-"},
      {"upper case", "Node-1"},
      {"dash first", "-node"},
      {"dash last", "node-"},
      {"dot first", ".node"},
      {"dot last", "node."},
      {"two dots", "node..example"},
      {"dash before a dot", "node-.example"},
      {"dash after a dot", "node.-example"},
      {"underscore", "node_1"},
      {"colon", "system:node"},
      {"slash", "node/1"},
      {"space", "node 1"},
      {"newline after", "node-1\n"},
      {"NUL inside", std::string("node\0x", 6)},
      {"star", "node-*"},
      {"beyond ASCII", "n\xC3\xB6"},
      {"254 characters", std::string(254, 'a')},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(ValidateNodeName(c.text),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(NodeNameTest, Patterns) {
  for (const std::string_view good :
       {"*", "**", "node-*", "*-node", "*.pool.example", "node-1", "a*.*b"}) {
    SCOPED_TRACE(good);
    EXPECT_THAT(ValidateNodeNamePattern(good), IsOk());
  }
  for (const std::string_view bad :
       {"", ".*", "*.", "-*", "*..*", "Node-*", "node-?", "[a-z]*", "*\n"}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(ValidateNodeNamePattern(bad),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(NodeNameTest, AStarStandsForAnyRunWithoutADot) {
  struct Case {
    std::string_view pattern;
    std::string_view name;
    bool want;
  };
  const Case cases[] = {
      {"node-1", "node-1", true},
      {"node-1", "node-11", false},
      {"node-1", "xnode-1", false},
      {"*", "node-1", true},
      {"*", "node-1.example", false},
      {"worker-*", "worker-1", true},
      {"worker-*", "worker-", true},
      {"worker-*", "worker-1.evil.example", false},
      {"worker-*", "aworker-1", false},
      {"*-worker", "a-worker", true},
      {"*-worker", "evil.a-worker", false},
      {"*-worker", "a-worker-b", false},
      {"*.pool.example", "a.pool.example", true},
      {"*.pool.example", "a.b.pool.example", false},
      {"*.pool.example", "pool.example", false},
      {"*.*", "a.b", true},
      {"*.*", "a", false},
      {"*.*", "a.b.c", false},
      {"a*b*c", "abc", true},
      {"a*b*c", "axbxbxc", true},
      {"a*b*c", "ab.c", false},
      {"a*b*c", "axc", false},
      {"*a*.b", "xax.b", true},
      {"*ab", "aab", true},
      {"**", "a", true},
      {"", "", true},
      {"", "a", false},
      {"*", "", true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.pattern) + " " + std::string(c.name));
    EXPECT_EQ(MatchesNodeNamePattern(c.pattern, c.name), c.want);
  }
}

// The definition, word by word; exponential.
bool MatchesByDefinition(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern.front() != '*') {
    return !name.empty() && pattern.front() == name.front() &&
           MatchesByDefinition(pattern.substr(1), name.substr(1));
  }
  for (size_t run = 0;; ++run) {
    if (MatchesByDefinition(pattern.substr(1), name.substr(run))) return true;
    if (run == name.size() || name[run] == '.') return false;
  }
}

std::vector<std::string> AllTexts(std::string_view alphabet, size_t longest) {
  std::vector<std::string> texts = {""};
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].size() == longest) break;
    for (const char c : alphabet) texts.push_back(texts[i] + c);
  }
  return texts;
}

TEST(NodeNameTest, MatchingAgreesWithItsDefinition) {
  const std::vector<std::string> names = AllTexts("ab.", 5);
  for (const std::string& pattern : AllTexts("ab.*", 5)) {
    for (const std::string& name : names) {
      ASSERT_EQ(MatchesNodeNamePattern(pattern, name),
                MatchesByDefinition(pattern, name))
          << pattern << " " << name;
    }
  }
}

// Backtracking over every star would take longer than the universe has lasted.
TEST(NodeNameTest, PathologicalPatternsAreFast) {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "*a";
  pattern += "*b";
  const std::string name(253, 'a');
  const absl::Time start = absl::Now();
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(MatchesNodeNamePattern(pattern, name));
  }
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

}  // namespace
}  // namespace latchkey
