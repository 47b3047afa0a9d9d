// The commands from their arguments to what they print, over a broker in
// memory.

#include <filesystem>
#include <regex>

#include <absl/strings/match.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "audit/audit_record.h"
#include "core/refusal.h"
#include "tests/clients/ctl/ctl_test.h"
#include "tests/clients/ctl/hostile_text.h"
#include "tests/testing/kill_at.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

int Lines(const std::string& text) {
  return static_cast<int>(std::ranges::count(text, '\n'));
}

absl::Status Denied() {
  return latchkey::Refuse(absl::StatusCode::kPermissionDenied, "POLICY_DENIED",
                          "no rule allows it", {{"rule", "workers"}});
}

class CommandsTest : public CtlTest {};

// --- issue

TEST_F(CommandsTest, IssueAsksForWhatTheFlagsSay) {
  const std::string digest(64, 'a');
  const CtlResult result = Run(
      {"issue", "--node", "worker-1", "--lifetime", "20m", "--group",
       "system:bootstrappers:a", "--group", "system:bootstrappers:b",
       "--max-certificate-lifetime", "24h", "--public-key-sha256", digest,
       "--allow-node-replacement", "--label", "pool=gpu", "--label", "zone="});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  ASSERT_THAT(broker_->issues, SizeIs(1));
  const v1::IssueTokenRequest& asked = broker_->issues[0];
  EXPECT_EQ(asked.scope().node_name(), "worker-1");
  EXPECT_THAT(asked.scope().groups(),
              ElementsAre("system:bootstrappers:a", "system:bootstrappers:b"));
  EXPECT_EQ(asked.scope().max_certificate_lifetime().seconds(), 86400);
  EXPECT_EQ(asked.scope().public_key_sha256(), std::string(32, '\xaa'));
  EXPECT_TRUE(asked.scope().allow_node_replacement());
  EXPECT_EQ(asked.lifetime().seconds(), 1200);
  EXPECT_EQ(asked.labels().at("pool"), "gpu");
  EXPECT_EQ(asked.labels().at("zone"), "");
  EXPECT_THAT(asked.request_id(), SizeIs(32)) << "so that it can be repeated";
  EXPECT_THAT(result.out, StartsWith("lk1_"));
  EXPECT_EQ(Lines(result.out), 1) << "the ticket, alone on a line";
  EXPECT_THAT(result.err, AllOf(HasSubstr("worker-1"), Not(HasSubstr("lk1_"))));
}

TEST_F(CommandsTest, IssueWritesANewFileAndNoOther) {
  const std::string file = dir_.File("ticket");
  EXPECT_EQ(Run({"issue", "--node", "w", "--out", file}).exit_code, 0);
  EXPECT_THAT(ReadFile(file), StartsWith("lk1_"));
  const CtlResult again = Run({"issue", "--node", "w", "--out", file});
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(broker_->issues, SizeIs(1)) << "nothing was minted for no place";
  broker_->next_errors = {Denied()};
  const std::string other = dir_.File("other");
  EXPECT_EQ(Run({"issue", "--node", "w", "--out", other}).exit_code, 3);
  EXPECT_FALSE(std::filesystem::exists(other));
}

TEST_F(CommandsTest, IssueThatIsKilledCanBeRunAgain) {
  const std::string file = dir_.File("ticket");
  const std::vector<std::string> arguments = {"issue", "--node", "w", "--out",
                                              file};
  for (const char* point :
       {"durable_file.temporary_made", "durable_file.temporary_written"}) {
    const KillAt fault(point);
    EXPECT_THROW((void)Run(arguments), Killed);
    EXPECT_FALSE(std::filesystem::exists(file)) << "whole, or not at all";
  }
  // As a power cut leaves it: the broker was asked, and nothing is there.
  broker_->before_answer = [&] { EXPECT_FALSE(std::filesystem::exists(file)); };
  EXPECT_EQ(Run(arguments).exit_code, 0);
  EXPECT_THAT(ReadFile(file), StartsWith("lk1_"));
}

TEST_F(CommandsTest, ATicketWithoutAPlaceIsToldOf) {
  const std::string file = dir_.File("ticket");
  // Another program is faster.
  broker_->before_answer = [&] { dir_.Write("ticket", "theirs"); };
  const CtlResult result = Run({"issue", "--node", "w", "--out", file});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(ReadFile(file), "theirs");
  EXPECT_THAT(result.err, AllOf(HasSubstr("is there already"),
                                HasSubstr("latchkeyctl revoke ")));
}

TEST_F(CommandsTest, IssueMakesMachineFiles) {
  const CtlResult result =
      Run({"issue", "--node", "worker-1", "-o", "cloud-init"});
  EXPECT_THAT(result.out, AllOf(StartsWith("#cloud-config\n"),
                                HasSubstr("latchkey.example:7444"),
                                HasSubstr("BEGIN CERTIFICATE")));
  EXPECT_THAT(
      Run({"issue", "--node", "w", "--delivery", "direct", "-o", "kubeadm"})
          .out,
      HasSubstr("JoinConfiguration"));
  EXPECT_EQ(Run({"issue", "--node", "w", "-o", "kubeadm"}).exit_code, 2);
  WriteConfig("");
  const CtlResult nowhere = Run({"issue", "--node", "w", "-o", "systemd"});
  EXPECT_EQ(nowhere.exit_code, 2);
  EXPECT_THAT(nowhere.err, HasSubstr("node_endpoint"));
  EXPECT_THAT(broker_->issues, SizeIs(2));
}

TEST_F(CommandsTest, IssueNamesTheTokenIfTheTicketHasAPlace) {
  EXPECT_EQ(Run({"issue", "--node", "w", "-o", "name"}).exit_code, 2);
  EXPECT_THAT(broker_->issues, IsEmpty()) << "no ticket was lost";
  const std::string file = dir_.File("ticket");
  const CtlResult result =
      Run({"issue", "--node", "w", "-o", "name", "--out", file});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(ReadFile(file), StartsWith("lk1_" + result.out.substr(0, 6)));
  EXPECT_THAT(result.out, SizeIs(7)) << "the id, alone on a line";
}

TEST_F(CommandsTest, IssueOnlyAsksWithValidateOnly) {
  const CtlResult result = Run({"issue", "--node", "w", "--validate-only"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(broker_->issues[0].validate_only());
  EXPECT_THAT(result.out, IsEmpty());
  EXPECT_THAT(result.err, HasSubstr("allowed"));
  EXPECT_EQ(
      Run({"issue", "--node", "w", "--validate-only", "--out", dir_.File("t")})
          .exit_code,
      2)
      << "there is nothing to write";
}

TEST_F(CommandsTest, IssueShowsItsPreview) {
  const auto preview = [this](const std::string& output) {
    return Run({"issue", "--node", "w", "--validate-only", "-o", output});
  };
  EXPECT_THAT(preview("json").out, HasSubstr("\"nodeName\": \"w\""));
  EXPECT_THAT(preview("yaml").out, HasSubstr("nodeName: \"w\""));
  for (const char* output : {"name", "env", "cloud-init"}) {
    const CtlResult refused = preview(output);
    EXPECT_EQ(refused.exit_code, 2) << output;
    EXPECT_THAT(refused.err, HasSubstr(std::string("-o ") + output));
  }
  EXPECT_THAT(broker_->issues, SizeIs(2)) << "the others were not asked for";
}

TEST_F(CommandsTest, ARefusalSaysWhyAndWhatToDo) {
  broker_->next_errors = {Denied()};
  const CtlResult result = Run({"issue", "--node", "w"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(
      result.err,
      AllOf(HasSubstr("no rule allows it"), HasSubstr("reason: POLICY_DENIED"),
            HasSubstr("rule: workers"), HasSubstr("what to do: ask")));
}

TEST_F(CommandsTest, IssueSaysThatATokenMayBeThereAllTheSame) {
  const auto refuse = [](const std::string& reason) {
    return latchkey::Refuse(absl::StatusCode::kUnavailable, reason, "x");
  };
  for (const absl::Status& error :
       {refuse("CLUSTER_UNAVAILABLE"), refuse("AUDIT_UNAVAILABLE"),
        absl::UnavailableError("Socket closed"),
        absl::DeadlineExceededError("late"),
        latchkey::WithOutcome(refuse("BROKER_STOPPING"), true)}) {
    broker_->next_errors = {error, error};
    const CtlResult result = Run({"issue", "--node", "w"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, AllOf(HasSubstr("a token may have been minted"),
                                  HasSubstr("latchkeyctl list --node w ")));
    const CtlResult again =
        Run({"issue", "--node", "w", "--request-id", "12345678"});
    EXPECT_THAT(again.err, HasSubstr("with the same --request-id"));
  }
  for (const absl::Status& error :
       {refuse("BROKER_STOPPING"),
        latchkey::WithOutcome(absl::UnavailableError("no way"), false)}) {
    broker_->next_errors = {error};
    EXPECT_THAT(Run({"issue", "--node", "w"}).err, Not(HasSubstr("minted")));
  }
  broker_->next_errors = {refuse("CLUSTER_UNAVAILABLE")};
  EXPECT_THAT(Run({"issue", "--node", "w", "--validate-only"}).err,
              Not(HasSubstr("minted")));
}

TEST_F(CommandsTest, ABrokersErrorCannotMoveTheCursor) {
  for (const std::string& text : HostileTexts()) {
    broker_->next_errors = {latchkey::Refuse(
        absl::StatusCode::kPermissionDenied, "POLICY_DENIED", text)};
    const CtlResult result = Run({"get", "abc123"});
    EXPECT_EQ(result.exit_code, 3);
    EXPECT_EQ(Lines(result.err), 3) << text;
    EXPECT_THAT(result.err, Not(HasSubstr("\x1b")));
  }
}

TEST_F(CommandsTest, BadArgumentsAreExitCodeTwo) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {},
           {"frob"},
           {"issue"},
           {"issue", "--node", "w", "--lifetime", "soon"},
           {"issue", "--node", "w", "--label", "nothing"},
           {"issue", "--node", "w", "--label", "a=1", "--label", "a=2"},
           {"issue", "--node", "w", "--public-key-sha256", "AB"},
           {"issue", "--node", "w", "-o", "xml"},
           {"list", "--state", "lost"},
           {"list", "--expires-before", "soon"},
           {"list", "--limit", "0"},
           {"get"},
           {"extend", "abc123"},
           {"extend", "abc123", "--for", "1h", "--until", "1h"},
           {"extend", "abc123", "--for", "-1h"},
           {"extend", "abc123", "--until", "2020-01-02T15:04:05Z"},
           {"revoke", "abc123"},
           {"revoke", "--reason", "x"},
           {"revoke", "abc123", "--node", "w", "--reason", "x"},
           {"revoke", "--node", "w*", "--reason", "x"},
           {"completion", "tcsh"},
           {"list", "--timeout", "x"},
       }) {
    EXPECT_EQ(Run(arguments).exit_code, 2)
        << ::testing::PrintToString(arguments);
  }
  EXPECT_THAT(broker_->issues, IsEmpty());
}

// What an unset variable leaves behind would widen what was asked for.
TEST_F(CommandsTest, AnEmptyValueIsNoValue) {
  broker_->AddToken("abc123", "worker-1");
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {"revoke", "--node", "", "--label", "a=b", "--reason", "x", "--yes"},
           {"revoke", "--node=", "abc123", "--reason", "x", "--yes"},
           {"revoke", "", "--node", "w", "--reason", "x", "--yes"},
           {"revoke", "abc123", "--reason", ""},
           {"list", "--node", ""},
           {"list", "--provisioner", ""},
           {"list", "--state", ""},
           {"list", "--state", ","},
           {"list", "--expires-before", ""},
           {"list", "--label", ""},
           {"issue", "--node", "n1", "--out", ""},
           {"issue", "--node", "n1", "--lifetime", ""},
           {"issue", "--node", "n1", "--group", ""},
           {"issue", "--node", "n1", "--request-id", ""},
           {"get", ""},
           {"extend", "abc123", "--for", ""},
           {"watch", "--cursor-file", ""},
           {"--context", "", "list"},
           {"--timeout", "", "list"},
           {"batch", ""},
           {"policy", "test", ""},
           {"audit", "verify", "a", ""},
       }) {
    SCOPED_TRACE(::testing::PrintToString(arguments));
    const CtlResult result = Run(arguments);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, StartsWith("latchkeyctl: "));
  }
  EXPECT_THAT(Run({"list", "--node", ""}).err,
              HasSubstr("--node: is empty; is a variable not set?\n"));
  EXPECT_THAT(broker_->revocations, IsEmpty());
  EXPECT_THAT(broker_->lists, IsEmpty());
  EXPECT_THAT(broker_->issues, IsEmpty());
}

TEST_F(CommandsTest, WhatIsNotUtf8IsNotSent) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {"issue", "--node", "w", "--label", "a=\xff"},
           {"issue", "--node", "w", "--group", "\xff"},
           {"list", "--node", "\xff"},
           {"get", "\xff"},
           {"revoke", "abc123", "--reason", "\xc3"},
       }) {
    SCOPED_TRACE(::testing::PrintToString(arguments));
    EXPECT_EQ(Run(arguments).exit_code, 2);
  }
  EXPECT_THAT(Run({"list", "--node", "\xff"}).err,
              HasSubstr("--node: not UTF-8\n"));
  EXPECT_THAT(broker_->issues, IsEmpty());
  EXPECT_THAT(broker_->lists, IsEmpty());
  const std::string path = dir_.File("\xff");
  EXPECT_EQ(Run({"issue", "--node", "w", "--out", path}).exit_code, 0)
      << "the name of a file may be anything";
}

TEST_F(CommandsTest, WhatCannotBePlacedIsNamed) {
  const auto said = [this](const std::vector<std::string>& arguments) {
    const CtlResult result = Run(arguments);
    EXPECT_EQ(result.exit_code, 2);
    return result.err;
  };
  EXPECT_THAT(said({"lst"}),
              AllOf(StartsWith("latchkeyctl: latchkeyctl has no command lst\n"),
                    HasSubstr("latchkeyctl --help")));
  EXPECT_THAT(said({"help"}), HasSubstr("latchkeyctl --help"));
  EXPECT_THAT(said({"policy", "tst"}), HasSubstr("policy has no command tst"));
  EXPECT_THAT(said({"policy"}), HasSubstr("name a command: test\n"));
  EXPECT_THAT(said({}), HasSubstr("name a command: issue, batch, "));
  EXPECT_THAT(said({"issue", "--nod", "worker-1"}),
              AllOf(HasSubstr("latchkeyctl issue has no flag --nod\n"),
                    HasSubstr("latchkeyctl issue --help")));
  EXPECT_THAT(said({"list", "--nod=secret"}), Not(HasSubstr("secret")));
  EXPECT_THAT(said({"get", "abc123", "lk1_abc123_x"}),
              Not(HasSubstr("lk1_abc123")));
  EXPECT_THAT(said({"issue"}), StartsWith("latchkeyctl: --node is required\n"));
  const std::string limit = said({"list", "--limit", "0"});
  EXPECT_THAT(limit, HasSubstr("--limit: must be a whole number from 1 to "));
  EXPECT_EQ(said({"list", "--limit", "many"}), limit);
}

TEST_F(CommandsTest, ATicketIsNoId) {
  for (const std::string command : {"get", "explain"}) {
    for (const std::string& secret :
         {"lk1_abc123_" + std::string(32, 'x') + "_0000000",
          std::string("abc123.0123456789abcdef")}) {
      const CtlResult result = Run({command, secret});
      EXPECT_EQ(result.exit_code, 2);
      EXPECT_THAT(result.err,
                  AllOf(HasSubstr("its id is abc123"), Not(HasSubstr("xxx")),
                        Not(HasSubstr("0123456789"))));
    }
  }
  EXPECT_THAT(Run({"revoke", "ABC123", "--reason", "x"}).err,
              HasSubstr("id: must be six characters of [a-z0-9]"));
  EXPECT_THAT(broker_->revocations, IsEmpty());
}

TEST_F(CommandsTest, ALabelThatIsNoneIsNamed) {
  const CtlResult result =
      Run({"issue", "--node", "w", "--label", "a=b", "--label", "c=d,e=f"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("label c=d,e=f: "), HasSubstr("one by one")));
}

TEST_F(CommandsTest, WhatTheBrokerFindsWrongWithAnArgumentNamesTheFlag) {
  broker_->next_errors = {
      latchkey::InvalidField("scope.node_name", "is no name")};
  const CtlResult result = Run({"issue", "--node", "Worker_1"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err,
              HasSubstr("what to do: correct --node, and run it again\n"));
}

TEST_F(CommandsTest, ATicketThatReachesNobodyIsNamed) {
  output_is_full_ = true;
  const CtlResult result = Run({"issue", "--node", "f-1"});
  EXPECT_EQ(result.exit_code, 1);
  const std::string id = broker_->minted.begin()->second.token().id();
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("cannot write to standard output"),
                    HasSubstr("token " + id + " for f-1"),
                    HasSubstr("latchkeyctl revoke " + id + " --reason"),
                    Not(HasSubstr("lk1_"))));
  reader_is_gone_ = true;
  EXPECT_THAT(Run({"issue", "--node", "f-1"}).err, HasSubstr("revoke"));
}

TEST_F(CommandsTest, AReaderWhoHasEnoughIsNoError) {
  broker_->AddToken("abc123", "worker-1");
  output_is_full_ = true;
  EXPECT_EQ(Run({"list"}).exit_code, 1) << "a full disk is";
  reader_is_gone_ = true;
  const CtlResult result = Run({"list"});
  EXPECT_EQ(result.exit_code, 141) << "as of SIGPIPE";
  EXPECT_EQ(result.err, "");
}

TEST_F(CommandsTest, WithoutAConfigurationItSaysHowToGetOne) {
  std::filesystem::remove(dir_.File("ctl.yaml"));
  const CtlResult none = Run({"list"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err,
              AllOf(HasSubstr("ctl.yaml: No such file"), HasSubstr("--config"),
                    HasSubstr("docs/latchkeyctl.md")));
  dir_.Write("ctl.yaml", "broker: {endpoint: b}\n");
  EXPECT_THAT(Run({"list"}).err, HasSubstr("mend the configuration"));
}

TEST_F(CommandsTest, EveryHelpNamesTheFlagsOfAll) {
  for (const std::string command : {"issue", "list", "watch", "revoke"}) {
    EXPECT_THAT(Run({command, "--help"}).out,
                AllOf(HasSubstr("--config FILE"), HasSubstr("--context"),
                      HasSubstr("--timeout")));
  }
  for (const std::string command : {"policy", "audit", "version"}) {
    EXPECT_THAT(Run({command, "--help"}).out,
                Not(HasSubstr("latchkeyctl issue")));
  }
}

// A group of flags in a help: how it is called, and its flags.
struct FlagGroup {
  std::string title;
  std::vector<std::string> flags;
};

// Without --help, which needs no example.
std::vector<FlagGroup> GroupsIn(const std::string& help) {
  static const std::regex title(
      "(?:\\[Option Group: )?([A-Z][^:\\]]*)[:\\]] *");
  static const std::regex flag("(?:^|[ ,])(--?[A-Za-z][A-Za-z0-9-]*)");
  std::vector<FlagGroup> groups = {{"before any", {}}};
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, title)) groups.push_back({match[1], {}});
    const size_t begin = line.find_first_not_of(' ');
    if (begin == 0 || begin == std::string::npos || line[begin] != '-') {
      continue;
    }
    // Up to the name of the value, or the description.
    const std::string names = line.substr(begin, line.find(' ', begin) - begin);
    if (names == "-h,--help") continue;
    for (std::sregex_iterator it(names.begin(), names.end(), flag), end;
         it != end; ++it) {
      groups.back().flags.push_back((*it)[1]);
    }
  }
  std::erase_if(groups, [](const auto& one) { return one.flags.empty(); });
  return groups;
}

// The indented lines that run `command`; CLI11's "Usage:" is none.
std::vector<std::string> ExamplesIn(const std::string& help,
                                    const std::string& command) {
  std::vector<std::string> examples;
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("  ") &&
        absl::StrContains(line + " ", "latchkeyctl " + command)) {
      examples.push_back(line + " ");
    }
  }
  return examples;
}

TEST_F(CommandsTest, EveryHelpHasAnExampleForEachGroupOfFlags) {
  EXPECT_THAT(Run({"--help"}).out,
              AllOf(HasSubstr("Exit codes"), HasSubstr("  4  ")));
  const std::vector<std::vector<std::string>> commands = {
      {},         {"issue"},      {"batch"},          {"list"},
      {"get"},    {"watch"},      {"extend"},         {"explain"},
      {"revoke"}, {"completion"}, {"doctor"},         {"policy"},
      {"audit"},  {"version"},    {"policy", "test"}, {"audit", "verify"}};
  size_t groups = 0;
  for (std::vector<std::string> arguments : commands) {
    std::string command;
    for (const std::string& word : arguments) command += word + " ";
    SCOPED_TRACE(command);
    arguments.emplace_back("--help");
    const CtlResult help = Run(arguments);
    EXPECT_EQ(help.exit_code, 0);
    const std::vector<std::string> examples = ExamplesIn(help.out, command);
    EXPECT_THAT(examples, Not(IsEmpty()));
    for (const FlagGroup& group : GroupsIn(help.out)) {
      ++groups;
      EXPECT_TRUE(std::ranges::any_of(
          group.flags,
          [&](const auto& flag) {
            return std::ranges::any_of(examples, [&](const auto& example) {
              return absl::StrContains(example, " " + flag + " ");
            });
          }))
          << "the group '" << group.title << "' has no example with one of "
          << ::testing::PrintToString(group.flags);
    }
  }
  EXPECT_EQ(groups, 28U) << "each group was seen";
}

// --- list

TEST_F(CommandsTest, ListShowsEveryPage) {
  for (int i = 0; i < 1201; ++i) {
    broker_->AddToken(fmt::format("{:06}", i), fmt::format("worker-{}", i));
  }
  const CtlResult table = Run({"list"});
  EXPECT_EQ(table.exit_code, 0);
  EXPECT_EQ(Lines(table.out), 1202);
  EXPECT_THAT(table.out, StartsWith("ID "));
  EXPECT_THAT(broker_->lists, SizeIs(3));
  EXPECT_EQ(Lines(Run({"list", "-o", "json"}).out), 1201);
  EXPECT_THAT(Run({"list", "-o", "name"}).out, StartsWith("000000\n000001\n"));
  EXPECT_THAT(Run({"list", "-o", "yaml"}).out,
              HasSubstr("---\nexpireTime: \"2027-01-15T09:00:00Z\"\n"));
}

TEST_F(CommandsTest, ListEndsAtItsLimit) {
  for (int i = 0; i < 700; ++i) broker_->AddToken(fmt::format("{:06}", i), "w");
  EXPECT_EQ(Lines(Run({"list", "--limit", "600", "-o", "name"}).out), 600);
  EXPECT_EQ(broker_->lists[1].page_size(), 100);
  EXPECT_THAT(Run({"list", "--limit", "5"}).err, HasSubstr("there are more"));
  EXPECT_EQ(Lines(Run({"list", "--limit", "700", "-o", "name"}).out), 700);
}

TEST_F(CommandsTest, ListAsksForWhatTheFlagsSay) {
  EXPECT_EQ(Run({"list", "--state", "issued,active", "--node", "worker-*",
                 "--provisioner", "spiffe://a", "--label", "pool=gpu",
                 "--expires-before", "10m", "--expires-after",
                 "2026-01-02T15:04:05Z"})
                .exit_code,
            0);
  const v1::TokenFilter& filter = broker_->lists[0].filter();
  EXPECT_THAT(filter.states(),
              ElementsAre(v1::TOKEN_STATE_ISSUED, v1::TOKEN_STATE_ACTIVE));
  EXPECT_EQ(filter.node_name(), "worker-*");
  EXPECT_EQ(filter.provisioner(), "spiffe://a");
  EXPECT_EQ(filter.labels().at("pool"), "gpu");
  EXPECT_EQ(filter.expires_before().seconds(), 1'800'000'600);
  EXPECT_EQ(filter.expires_after().seconds(), 1'767'366'245);
}

TEST_F(CommandsTest, ATableHoldsWhateverTokensHold) {
  const std::vector<std::string> texts = HostileTexts();
  for (const std::string& text : texts) {
    v1::Token& token = broker_->AddToken("abc123", text);
    token.set_provisioner(text);
    (*token.mutable_labels())[text] = text;
  }
  const CtlResult table = Run({"list"});
  EXPECT_EQ(Lines(table.out), static_cast<int>(texts.size()) + 1);
  EXPECT_THAT(table.out, Not(HasSubstr("\x1b")));
  EXPECT_EQ(Lines(Run({"list", "-o", "json"}).out),
            static_cast<int>(texts.size()));
}

TEST_F(CommandsTest, AListingThatTookTooLongSaysRunAgain) {
  broker_->next_errors = {
      latchkey::Refuse(absl::StatusCode::kAborted, "PAGE_EXPIRED", "too old")};
  const CtlResult result = Run({"list"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("run it again"));
}

// --- get and explain

TEST_F(CommandsTest, GetDescribesAToken) {
  v1::Token& token =
      broker_->AddToken("abc123", "worker-1", v1::TOKEN_STATE_SPENT);
  token.set_rule("workers");
  token.mutable_claim()->set_claimant("10.0.0.7:1234");
  token.mutable_certificate()->set_serial("0a0b");
  v1::RefusedAttempt& attempt = *token.add_refused_attempts();
  attempt.set_reason("SCOPE_PUBLIC_KEY");
  attempt.set_by("10.6.6.6:1");
  const CtlResult result = Run({"get", "abc123"});
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("state         spent\n"),
                    HasSubstr("rule          workers"), HasSubstr("10.0.0.7"),
                    HasSubstr("0a0b"), HasSubstr("SCOPE_PUBLIC_KEY by 10.6")));
  EXPECT_THAT(Run({"get", "abc123", "-o", "json"}).out,
              HasSubstr("\"state\":\"TOKEN_STATE_SPENT\""));
  const CtlResult unknown = Run({"get", "zzzzzz"});
  EXPECT_EQ(unknown.exit_code, 3);
  EXPECT_THAT(unknown.err, HasSubstr("TOKEN_UNKNOWN"));
}

TEST_F(CommandsTest, ExplainTellsTheStory) {
  v1::ExplainTokenResponse& story = broker_->explanation;
  story.mutable_token()->set_id("abc123");
  v1::ExplainStep& step = *story.add_steps();
  step.mutable_time()->set_seconds(1'800'000'000);
  step.set_type(v1::TokenEvent::ISSUED);
  step.set_description("minted under the rule workers");
  v1::ExplainCsr& csr = *story.add_csrs();
  csr.set_name("node-csr-1");
  csr.set_verdict("Denied");
  csr.set_reason("SCOPE_NODE_NAME");
  csr.set_message("asks for another name\x1b[2J");
  const CtlResult result = Run({"explain", "abc123"});
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("2027-01-15T08:00:00Z  issued  minted under"),
                    HasSubstr("Denied SCOPE_NODE_NAME: asks for another name"),
                    HasSubstr("there is no Node"), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(result.out, Not(HasSubstr("more CSRs")));
  story.set_more_csrs(true);
  EXPECT_THAT(Run({"explain", "abc123"}).out, HasSubstr("more CSRs"));
  story.mutable_node()->set_name("worker-1");
  EXPECT_THAT(Run({"explain", "abc123"}).out, HasSubstr("Node worker-1 since"));
  EXPECT_THAT(Run({"explain", "abc123", "-o", "yaml"}).out,
              HasSubstr("\"Denied\""));
}

TEST_F(CommandsTest, ExplainSaysWhichAttemptsItKnows) {
  EXPECT_THAT(Run({"explain", "--help"}).out,
              AllOf(HasSubstr("the first few"), HasSubstr("audit log only")));
}

TEST_F(CommandsTest, ExplainSaysWhoStillKnowsATokenThatIsGone) {
  broker_->next_errors = {latchkey::Refuse(absl::StatusCode::kNotFound,
                                           "TOKEN_UNKNOWN", "no such token")};
  EXPECT_THAT(Run({"explain", "abc123"}).err, HasSubstr("audit log"));
}

// --- extend

TEST_F(CommandsTest, ExtendAsksForATime) {
  broker_->AddToken("abc123", "worker-1");
  EXPECT_EQ(Run({"extend", "abc123", "--for", "2h"}).exit_code, 0);
  EXPECT_EQ(broker_->extensions[0].expire_time().seconds(), 1'800'007'200);
  EXPECT_EQ(
      Run({"extend", "abc123", "--until", "2027-01-15T11:00:00Z"}).exit_code,
      0);
  EXPECT_EQ(broker_->extensions[1].expire_time().seconds(), 1'800'010'800);
  EXPECT_THAT(Run({"extend", "abc123", "--for", "1m"}).err,
              HasSubstr("unchanged"));
}

// --- revoke

TEST_F(CommandsTest, RevokeByIdIsAskedOnATerminalOnly) {
  broker_->AddToken("abc123", "worker-1");
  const std::vector<std::string> arguments = {"revoke", "abc123", "--reason",
                                              "leaked"};
  const CtlResult no = Run(arguments, "n\n", true);
  EXPECT_THAT(no.err, AllOf(HasSubstr("worker-1"), HasSubstr("[y/N]")));
  EXPECT_EQ(broker_->tokens[0].state(), v1::TOKEN_STATE_ISSUED);
  EXPECT_EQ(no.exit_code, 1) << "it is not done";
  EXPECT_EQ(Run(arguments, "", true).exit_code, 1) << "nobody answered";
  EXPECT_EQ(broker_->tokens[0].state(), v1::TOKEN_STATE_ISSUED);
  EXPECT_EQ(Run(arguments, "y\n", true).exit_code, 0);
  EXPECT_EQ(broker_->tokens[0].state(), v1::TOKEN_STATE_REVOKED);
  EXPECT_EQ(broker_->revocations.back().reason(), "leaked");
  EXPECT_EQ(Run(arguments).exit_code, 0) << "a script is not asked";
}

TEST_F(CommandsTest, RevokeSaysWhatWasRevokedAlready) {
  broker_->AddToken("abc123", "worker-1");
  const auto revoke = [this](const std::string& reason) {
    return Run({"revoke", "abc123", "--reason", reason});
  };
  EXPECT_EQ(revoke("leaked").err, "1 revoked\n");
  EXPECT_EQ(revoke("leaked").err, "1 revoked\n") << "that is what was asked";
  const CtlResult again = revoke("other");
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.err,
              AllOf(HasSubstr("revoked already, by the caller"),
                    HasSubstr("leaked"), HasSubstr("0 revoked, 1 before")));
  const CtlResult preview =
      Run({"revoke", "abc123", "--reason", "leaked", "--dry-run"});
  EXPECT_THAT(preview.err, AllOf(HasSubstr("revoked already"),
                                 HasSubstr("would revoke 0 tokens")));
  EXPECT_THAT(Run({"revoke", "abc123", "--reason", "other"}, "y\n", true).err,
              HasSubstr("there is nothing to revoke"));
}

TEST_F(CommandsTest, RevokeSaysThatASpentTokenCannotBeRevoked) {
  broker_->AddToken("abc123", "worker-1", v1::TOKEN_STATE_SPENT);
  const CtlResult result =
      Run({"revoke", "--state", "issued,spent", "--reason", "x", "--yes"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, AllOf(HasSubstr("spent"), HasSubstr("--state"),
                                HasSubstr("cannot be revoked")));
  EXPECT_THAT(broker_->revocations, IsEmpty());
}

TEST_F(CommandsTest, AFlagTakesOneWord) {
  EXPECT_EQ(
      Run({"revoke", "--label", "a=b", "abc123", "--reason", "x"}).exit_code, 2)
      << "an id and a label, not two labels";
  EXPECT_EQ(Run({"issue", "--label", "a=b", "--node", "w", "c=d"}).exit_code,
            2);
}

TEST_F(CommandsTest, RevokeShowsWhatWouldBeCutOff) {
  broker_->AddToken("aaaaaa", "worker-1");
  broker_->AddToken("bbbbbb", "gpu-1");
  const CtlResult result =
      Run({"revoke", "--node", "worker-*", "--reason", "x", "--dry-run"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("aaaaaa"), Not(HasSubstr("bbbbbb"))));
  EXPECT_THAT(result.err, HasSubstr("would revoke 1 token\n"));
  EXPECT_TRUE(broker_->revocations[0].validate_only());
  EXPECT_EQ(broker_->tokens[0].state(), v1::TOKEN_STATE_ISSUED);
}

TEST_F(CommandsTest, RevokeByFilterGoesOnUntilNoneIsLeft) {
  for (int i = 0; i < 1300; ++i) {
    broker_->AddToken(fmt::format("{:06}", i), "worker-1");
  }
  const CtlResult result = Run(
      {"revoke", "--node", "worker-*", "--reason", "x", "--yes", "-o", "name"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(Lines(result.out), 1300);
  EXPECT_THAT(broker_->revocations, SizeIs(3));
  EXPECT_THAT(result.err, HasSubstr("1300 revoked\n"));
}

TEST_F(CommandsTest, RevokeByFilterSaysWhatWasLeft) {
  broker_->AddToken("aaaaaa", "worker-1");
  broker_->AddToken("bbbbbb", "worker-2", v1::TOKEN_STATE_SPENT);
  const std::vector<std::string> arguments = {"revoke",   "--node", "worker-*",
                                              "--reason", "x",      "--yes"};
  const CtlResult result = Run(arguments);
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, AllOf(HasSubstr("bbbbbb"), HasSubstr("TOKEN_SPENT")));
  broker_->AddToken("cccccc", "worker-3");
  broker_->AddToken("dddddd", "worker-4");
  broker_->most_at_once = 1;
  broker_->next_errors = {absl::OkStatus(), absl::UnavailableError("gone")};
  const CtlResult cut = Run(arguments);
  EXPECT_EQ(cut.exit_code, 4) << cut.err;
  EXPECT_THAT(cut.err, HasSubstr("run it again"));
}

TEST_F(CommandsTest, RevokeByFilterComesBackToWhatFailed) {
  for (const char* id : {"aaaaaa", "bbbbbb", "cccccc"}) {
    broker_->AddToken(id, "worker-1");
  }
  broker_->fails_once = "bbbbbb";
  const CtlResult result =
      Run({"revoke", "--node", "worker-*", "--reason", "x", "--yes"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("3 revoked\n"));
}

TEST_F(CommandsTest, RevokeByFilterMayBeTriedAgainIfTheClusterWasAway) {
  broker_->AddToken("aaaaaa", "worker-1");
  broker_->fails_once = "aaaaaa";
  const std::vector<std::string> arguments = {"revoke",   "--node", "worker-*",
                                              "--reason", "x",      "--yes"};
  const CtlResult away = Run(arguments);
  EXPECT_EQ(away.exit_code, 1) << "nobody refused anything";
  EXPECT_THAT(away.err, AllOf(HasSubstr("token aaaaaa may or may not be"),
                              HasSubstr("what to do")));
  EXPECT_EQ(Run(arguments).exit_code, 0);

  broker_->AddToken("bbbbbb", "worker-2", v1::TOKEN_STATE_SPENT);
  const CtlResult refused = Run(arguments);
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.err, HasSubstr("token bbbbbb is not revoked"));
}

TEST_F(CommandsTest, RevokeByFilterWantsAYes) {
  broker_->AddToken("aaaaaa", "worker-1");
  EXPECT_EQ(Run({"revoke", "--node", "w*", "--reason", "x"}).exit_code, 2);
  EXPECT_THAT(broker_->revocations, IsEmpty());
  EXPECT_THAT(
      Run({"revoke", "--node", "nobody", "--reason", "x"}, "y\n", true).err,
      HasSubstr("nothing to revoke"));
}

// --- watch

v1::WatchTokensResponse Event(const std::string& cursor,
                              v1::TokenEvent::Type type,
                              const std::string& id) {
  v1::WatchTokensResponse news;
  news.set_cursor(cursor);
  news.mutable_event()->set_type(type);
  news.mutable_event()->mutable_token()->set_id(id);
  return news;
}

v1::WatchTokensResponse Progress(const std::string& cursor) {
  v1::WatchTokensResponse news;
  news.set_cursor(cursor);
  news.mutable_progress();
  return news;
}

TEST_F(CommandsTest, WatchGoesOnAfterItsCursor) {
  broker_->streams = {
      {{Progress("c1"), Event("c2", v1::TokenEvent::ISSUED, "aaaaaa")},
       absl::UnavailableError("the broker ended the stream")},
      {{}, absl::UnavailableError("connection refused")},
      {{Event("c3", v1::TokenEvent::JOINED, "aaaaaa")}, Denied()}};
  const CtlResult result = Run({"watch", "-o", "json", "--node", "w-*"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(Lines(result.out), 2) << result.out;
  ASSERT_THAT(broker_->watches, SizeIs(3));
  EXPECT_EQ(broker_->watches[0].cursor(), "");
  EXPECT_EQ(broker_->watches[1].cursor(), "c2");
  EXPECT_EQ(broker_->watches[2].cursor(), "c2");
  EXPECT_EQ(broker_->watches[2].filter().node_name(), "w-*");
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("the connection broke"),
                    HasSubstr("connected again"), HasSubstr("POLICY_DENIED")));
}

TEST_F(CommandsTest, WatchOutlivesItsTokenIfTheFileHasAFreshOne) {
  const absl::Status over = latchkey::Refuse(absl::StatusCode::kUnauthenticated,
                                             "UNAUTHENTICATED", "who are you");
  broker_->streams = {{{Event("c1", v1::TokenEvent::ISSUED, "aaaaaa")}, over},
                      {{Event("c2", v1::TokenEvent::JOINED, "aaaaaa")}, over},
                      {{}, over}};
  const CtlResult result = Run({"watch", "-o", "json"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(Lines(result.out), 2) << result.out;
  ASSERT_THAT(broker_->watches, SizeIs(3))
      << "one that is refused at once ends it";
  EXPECT_EQ(broker_->watches[1].cursor(), "c1");
  EXPECT_EQ(broker_->watches[2].cursor(), "c2");
  EXPECT_THAT(result.err, HasSubstr("UNAUTHENTICATED"));
}

TEST_F(CommandsTest, WatchKeepsItsCursorInAFile) {
  const std::string file = dir_.File("cursor");
  broker_->streams = {
      {{Event("c1", v1::TokenEvent::ISSUED, "aaaaaa")}, Denied()}};
  Run({"watch", "--cursor-file", file});
  EXPECT_EQ(ReadFile(file), "c1\n");
  Run({"watch", "--cursor-file", file});
  EXPECT_EQ(broker_->watches.back().cursor(), "c1");
}

TEST_F(CommandsTest, WatchNamesACursorFileThatIsNone) {
  const CtlResult nowhere =
      Run({"watch", "--cursor-file", dir_.File("no/cursor")});
  EXPECT_EQ(nowhere.exit_code, 2);
  EXPECT_THAT(nowhere.err, AllOf(HasSubstr("--cursor-file"),
                                 HasSubstr(dir_.File("no") + ": ")));
  const std::string file = dir_.Write("cursor", "\xff\n");
  EXPECT_EQ(Run({"watch", "--cursor-file", file}).exit_code, 2);
  EXPECT_THAT(broker_->watches, IsEmpty());
  dir_.Write("cursor", "junk\n");
  broker_->streams = {{{}, latchkey::InvalidField("cursor", "not one")}};
  const CtlResult junk = Run({"watch", "--cursor-file", file});
  EXPECT_EQ(junk.exit_code, 2);
  EXPECT_THAT(junk.err, HasSubstr(file + ": holds no cursor"));
}

TEST_F(CommandsTest, WatchSaysThatNobodyAnswersYet) {
  for (int i = 0; i < 1000; ++i) {
    broker_->streams.push_back({{}, absl::UnavailableError("refused")});
  }
  EXPECT_THAT(Run({"watch", "--timeout", "9s"}).err,
              StartsWith("no connection yet (refused); trying again\n"));
}

TEST_F(CommandsTest, WatchGivesUpOnABrokerItNeverReached) {
  for (int i = 0; i < 1000; ++i) {
    broker_->streams.push_back({{}, absl::UnavailableError("refused")});
  }
  EXPECT_EQ(Run({"watch", "--timeout", "5s"}).exit_code, 1);
  EXPECT_LT(pace_.Elapsed(), absl::Seconds(6));
}

TEST_F(CommandsTest, WatchSaysWhereEventsAreMissing) {
  v1::WatchTokensResponse gap;
  gap.set_cursor("c9");
  gap.mutable_gap()->set_reason("too slow\x1b[2J");
  gap.mutable_gap()->set_cause(v1::Gap::READ_TOO_SLOWLY);
  broker_->streams = {{{gap}, Denied()}, {{gap}, Denied()}};
  EXPECT_THAT(Run({"watch", "-o", "json"}).out,
              HasSubstr(R"("cause":"READ_TOO_SLOWLY")"));
  const CtlResult result = Run({"watch"});
  EXPECT_THAT(result.err, AllOf(HasSubstr("events are missing here (too slow"),
                                Not(HasSubstr("\x1b"))));
}

TEST_F(CommandsTest, WatchTellsAPersonEachEventOnALine) {
  v1::WatchTokensResponse refused =
      Event("c1", v1::TokenEvent::REFUSED, "aaaaaa");
  refused.mutable_event()->mutable_token()->add_refused_attempts()->set_reason(
      "SCOPE_PUBLIC_KEY");
  broker_->streams = {
      {{refused, Event("c2", v1::TokenEvent::REVOKED, "aaaaaa")}, Denied()}};
  const CtlResult result = Run({"watch"});
  EXPECT_EQ(Lines(result.out), 3);
  EXPECT_THAT(result.out,
              AllOf(StartsWith("SEEN"), HasSubstr("refused"),
                    HasSubstr("SCOPE_PUBLIC_KEY"), HasSubstr("revoked")));
}

// --- audit

TEST_F(CommandsTest, AuditVerifySaysWhatToDoAboutWhatIsNotProven) {
  const CtlResult missing = Run({"audit", "verify", dir_.File("none")});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, AllOf(HasSubstr("what to do: name files"),
                                 Not(HasSubstr("endpoint"))));

  latchkey::AuditHead head;
  latchkey::AuditEvent event;
  event.action = "GetToken";
  const std::string first =
      latchkey::EncodeAuditLine(event, clock_.Now(), head) + "\n";
  event.action = "csr.approve";
  event.token_id = "abc123";
  event.facts["csr_uid"] = "csr-1";
  const std::string second =
      latchkey::EncodeAuditLine(event, clock_.Now(), head) + "\n";
  struct Case {
    const char* text;
    std::string file;
    const char* cure;
  };
  for (const auto& [name, file, cure] :
       {Case{"damaged", "x\n", "somebody altered it"},
        Case{"emptied", "", "somebody altered it"},
        Case{"without its beginning", second, "--allow-missing-start"},
        Case{"a violation", first + second, "never to happen"}}) {
    const CtlResult result =
        Run({"audit", "verify", dir_.Write("audit.log", file)});
    EXPECT_EQ(result.exit_code, 3) << name;
    EXPECT_THAT(result.err, AllOf(HasSubstr("NOT PROVEN: "),
                                  HasSubstr("\nwhat to do: "), HasSubstr(cure)))
        << name;
  }
  const std::string whole = dir_.Write("audit.log", first);
  EXPECT_THAT(Run({"audit", "verify", whole, whole}).err,
              HasSubstr("what to do: name each file once"));
}

TEST_F(CommandsTest, AuditVerifyAnswersScripts) {
  latchkey::AuditHead head;
  latchkey::AuditEvent event;
  event.action = "GetToken";
  const std::string line =
      latchkey::EncodeAuditLine(event, clock_.Now(), head) + "\n";
  const std::string file = dir_.Write("audit.log", line);
  EXPECT_EQ(Run({"audit", "verify", file, "-o", "json"}).out,
            fmt::format("{{\"proven\": true, \"records\": 1, \"approvals\": 0, "
                        "\"tokens\": 0, \"chains\": [{{\"file\": \"{}\", "
                        "\"sequence\": 1, \"hash\": \"{}\"}}]}}\n",
                        file, head.hash));
  dir_.Write("audit.log", line + "x\n");
  const CtlResult forged = Run({"audit", "verify", file, "-o", "yaml"});
  EXPECT_EQ(forged.exit_code, 3);
  EXPECT_THAT(forged.out, AllOf(StartsWith("proven: false\nviolation: \""),
                                HasSubstr("audit.log:2: ")));
  EXPECT_THAT(forged.err, HasSubstr("NOT PROVEN"));
}

TEST_F(CommandsTest, VersionSaysWhichItIs) {
  EXPECT_THAT(Run({"version"}).out, StartsWith("latchkeyctl 0."));
  EXPECT_THAT(Run({"version", "-o", "json"}).out,
              StartsWith("{\"version\": \"0."));
  EXPECT_THAT(Run({"version", "-o", "yaml"}).out, StartsWith("version: \"0."));
}

}  // namespace
}  // namespace latchkey_testing
