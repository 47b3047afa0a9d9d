#include "clients/doctor/report.h"

#include <gmock/gmock.h>

#include "core/config_reader.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Findings Some() {
  return {{.id = "fine", .message = "all is well"},
          {.id = "bad",
           .severity = Severity::kError,
           .message = "it is \"broken\"",
           .evidence = {"one thing", "another \\x0a"},
           .commands = {"kubectl delete clusterrolebinding -- 'a b'"},
           .advice = "mend it"},
          {.id = "odd", .severity = Severity::kWarning, .message = "hm"}};
}

TEST(ReportTest, TheWorstSeverityCounts) {
  EXPECT_EQ(WorstOf({}), Severity::kOk);
  EXPECT_EQ(WorstOf(Some()), Severity::kError);
  EXPECT_EQ(WorstOf({{.id = "a", .severity = Severity::kInfo}}),
            Severity::kInfo);
}

TEST(ReportTest, ATableHasTheWorstFirst) {
  EXPECT_EQ(TableOf(Some()),
            "error    bad                              it is \"broken\"\n"
            "           - one thing\n"
            "           - another \\x0a\n"
            "         $ kubectl delete clusterrolebinding -- 'a b'\n"
            "         > mend it\n"
            "warning  odd                              hm\n"
            "ok       fine                             all is well\n"
            "1 error, 1 warning, 0 notes, 1 ok\n");
}

TEST(ReportTest, JsonHasEverything) {
  // JSON is YAML, of which the reader knows every escape.
  const auto document = ConfigDocument::Parse("json", JsonOf(Some()));
  ASSERT_THAT(document, IsOk());
  const ConfigReader root = (*document)->root();
  EXPECT_EQ(root.String("worst", ""), "error");
  const auto findings = root.Sections("findings");
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_EQ(findings[0].String("id", ""), "bad");
  EXPECT_EQ(findings[0].String("severity", ""), "error");
  EXPECT_EQ(findings[0].String("message", ""), "it is \"broken\"");
  EXPECT_THAT(findings[0].Strings("evidence"),
              ElementsAre("one thing", "another \\x0a"));
  EXPECT_THAT(findings[0].Strings("commands"),
              ElementsAre("kubectl delete clusterrolebinding -- 'a b'"));
  EXPECT_EQ(findings[0].String("advice", ""), "mend it");
  EXPECT_EQ(findings[2].String("id", ""), "fine");
}

TEST(ReportTest, CommandsNameTheKubeconfig) {
  Findings findings = Some();
  NameKubeconfig("/a b/c", findings);
  EXPECT_EQ(findings[1].commands.front(),
            "kubectl --kubeconfig '/a b/c' delete clusterrolebinding -- 'a b'");
}

TEST(ReportTest, WhatMayNotBeLookedAtSaysWhatItNeeds) {
  const Finding finding =
      NotChecked("signer", Severity::kWarning,
                 absl::PermissionDeniedError("no\n"), "list things");
  EXPECT_EQ(finding.id, "signer-not-checked");
  EXPECT_EQ(finding.severity, Severity::kWarning);
  EXPECT_THAT(finding.message, HasSubstr("needs list things"));
  EXPECT_THAT(finding.evidence, ElementsAre("no\\x0a"));
}

TEST(ReportTest, LongEvidenceIsCounted) {
  EXPECT_EQ(FirstOf(std::vector<std::string>(12, "x")).size(), 12U);
  const auto first = FirstOf(std::vector<std::string>(1000, "x"));
  EXPECT_EQ(first.size(), 13U);
  EXPECT_EQ(first.back(), "and 988 more");
}

}  // namespace
}  // namespace latchkey
