// The configuration that the pages show is good: whoever pastes it gets what
// the page says.

#include <string>
#include <vector>

#include <absl/strings/str_split.h>
#include <gmock/gmock.h>

#include "server/broker_config.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::ReadFile;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kRest[] = R"(
provisioner_api: {certificate_file: a, private_key_file: b}
node_api: {certificate_file: a, private_key_file: b}
)";

// What stands in the page's fences ```yaml, in its order.
std::vector<std::string> YamlOf(const std::string& page) {
  std::vector<std::string> blocks;
  bool within = false;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(
           ReadFile(std::string(LATCHKEY_SOURCE_DIR) + "/" + page), '\n'))) {
    if (!within && line == "```yaml") {
      within = true;
      blocks.emplace_back();
    } else if (line == "```") {
      within = false;
    } else if (within) {
      blocks.back() += line + "\n";
    }
  }
  return blocks;
}

// The blocks that begin so.
std::vector<std::string> Beginning(const std::string& with,
                                   const std::vector<std::string>& blocks) {
  std::vector<std::string> found;
  for (const std::string& block : blocks) {
    if (block.starts_with(with)) found.push_back(block);
  }
  return found;
}

std::string Indented(int by, const std::string& block) {
  std::string text;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(block, '\n'))) {
    text += std::string(static_cast<size_t>(by), ' ') + line + "\n";
  }
  return text;
}

TEST(PagesTest, TheConfigurationOfTheReadmeIsGood) {
  const auto whole = Beginning("cluster:", YamlOf("README.md"));
  ASSERT_THAT(whole, SizeIs(1));
  EXPECT_THAT(ParseBrokerConfig("README.md", whole.front()), IsOk());
}

// Every example of docs/policy.md, put together to one policy under the issuers
// of docs/identities.md.
TEST(PagesTest, ThePolicyOfThePolicyPageIsGood) {
  const std::vector<std::string> page = YamlOf("docs/policy.md");
  const auto issuers =
      Beginning("authentication:", YamlOf("docs/identities.md"));
  const auto rules = Beginning("policy:", page);
  const auto more_rules = Beginning("- name:", page);
  const auto who = Beginning("provisioners:", page);
  const auto what = Beginning("allow:", page);
  const auto tests = Beginning("policy_tests:", page);
  ASSERT_THAT(issuers, SizeIs(1));
  ASSERT_THAT(rules, SizeIs(1));
  ASSERT_THAT(more_rules, Not(IsEmpty()));
  ASSERT_THAT(who, SizeIs(1));
  ASSERT_THAT(what, SizeIs(1));
  ASSERT_THAT(tests, SizeIs(1));
  ASSERT_THAT(page, SizeIs(rules.size() + more_rules.size() + who.size() +
                           what.size() + tests.size()))
      << "an example that this test does not know";
  std::string config = kRest + issuers.front() + rules.front();
  for (const std::string& rule : more_rules) config += Indented(2, rule);
  config += Indented(2, "- name: page") + Indented(4, who.front()) +
            Indented(4, what.front()) + tests.front();
  EXPECT_THAT(ParseBrokerConfig("docs/policy.md", config), IsOk()) << config;
}

}  // namespace
}  // namespace latchkey
