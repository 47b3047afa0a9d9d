// `latchkeyctl batch`, and what it is made of.

#include <sys/stat.h>

#include <filesystem>
#include <set>
#include <streambuf>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "clients/ctl/batch_id.h"
#include "clients/ctl/batch_input.h"
#include "clients/ctl/cures.h"
#include "core/refusal.h"
#include "tests/clients/ctl/ctl_test.h"
#include "tests/clients/ctl/hostile_text.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {
namespace {

using latchkey::BatchId;
using latchkey::BatchItem;
using latchkey::ParseBatchCsv;
using latchkey::ParseBatchYaml;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

TEST(BatchInputTest, ReadsCsv) {
  const auto items = ParseBatchCsv(
      "m.csv",
      "label,node,lifetime,group,allow-node-replacement\r\n"
      "pool=gpu zone=a,worker-1,30m,system:bootstrappers:a,true\r\n"
      "\r\n"
      ",\"worker-2\",,,\n"
      ",worker-3,,,false");
  ASSERT_THAT(items, IsOk());
  ASSERT_THAT(*items, SizeIs(3));
  const v1::IssueTokenRequest& first = items->at(0).request;
  EXPECT_EQ(items->at(0).where, "m.csv:2");
  EXPECT_EQ(first.scope().node_name(), "worker-1");
  EXPECT_EQ(first.lifetime().seconds(), 1800);
  EXPECT_EQ(first.labels().at("zone"), "a");
  EXPECT_THAT(first.scope().groups(), ElementsAre("system:bootstrappers:a"));
  EXPECT_TRUE(first.scope().allow_node_replacement());
  EXPECT_EQ(items->at(1).where, "m.csv:4");
  EXPECT_EQ(items->at(2).request.scope().node_name(), "worker-3");
}

TEST(BatchInputTest, ReadsYaml) {
  const auto items = ParseBatchYaml("m.yaml", R"(
tokens:
  - {node: worker-1, lifetime: 30m, label: [pool=gpu, zone=a], delivery: direct}
  - {node: worker-2, allow-node-replacement: true, group: ["system:bootstrappers:a"]}
)");
  ASSERT_THAT(items, IsOk());
  ASSERT_THAT(*items, SizeIs(2));
  EXPECT_EQ(items->at(0).request.delivery(), v1::DELIVERY_DIRECT);
  EXPECT_EQ(items->at(0).request.labels().at("pool"), "gpu");
  EXPECT_TRUE(items->at(1).request.scope().allow_node_replacement());
}

TEST(BatchInputTest, NamesEveryMistakeWithItsLine) {
  EXPECT_THAT(
      ParseBatchCsv("m.csv", "node,lifetime\nw1,soon\nW2,\nw3,1h\nw3,2h\nw4\n"),
      StatusIs(
          absl::StatusCode::kInvalidArgument,
          AllOf(HasSubstr("m.csv:2: lifetime"), HasSubstr("m.csv:3:"),
                HasSubstr("m.csv:5: node w3 is there already: "
                          "m.csv:4"),
                HasSubstr("m.csv:6: has 1 fields"), HasSubstr("4 mistakes"))));
  EXPECT_THAT(ParseBatchYaml("m.yaml", "tokens: [{node: w, lable: [a=b]}]"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("lable")));
}

TEST(BatchInputTest, NamesEveryMistakeWithinALine) {
  EXPECT_THAT(ParseBatchCsv("m.csv",
                            "node,delivery,lifetime,label\nWW,xx,y,a=b\n"
                            "w,,,a=\xff\n"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("m.csv:2: delivery"),
                             HasSubstr("m.csv:2: lifetime"),
                             HasSubstr("m.csv:2: a node name"),
                             HasSubstr("m.csv:3: label: not UTF-8"),
                             HasSubstr("m.csv: 4 mistakes;"))));
  EXPECT_THAT(ParseBatchYaml("m.yaml",
                             "tokens:\n- {node: w}\n"
                             "- {node: v, delivery: xx, lifetime: y}\n"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("m.yaml:3: tokens[1]: delivery"),
                             HasSubstr("m.yaml:3: tokens[1]: lifetime"))));
  EXPECT_THAT(ParseBatchCsv("m.csv", "node\nW\n"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("m.csv: 1 mistake;")));
}

TEST(BatchInputTest, SaysWhatFormIsExpected) {
  EXPECT_THAT(ParseBatchCsv("m.csv", "node,lifetme\n"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("lifetme is none of node, delivery, "
                                 "lifetime, ")));
  for (const char* text : {"", "- {node: w}\n", "node: w\n"}) {
    const auto items = ParseBatchYaml("m.yaml", text);
    EXPECT_THAT(items, StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(latchkey::ErrorText(items.status()),
                HasSubstr("batch --help shows its form"));
  }
}

TEST(BatchInputTest, BadCsvIsRefused) {
  for (const char* text :
       {"", "\n", "node\n", "nodes\nw\n", "lifetime\n1h\n", "node,node\nw,w\n",
        "node\n\"w\n", "node\nw\"x\n", "node\n\"w\"x\n"}) {
    EXPECT_THAT(ParseBatchCsv("m.csv", text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(BatchInputTest, AHostileNodeNameIsNoNodeName) {
  for (const std::string& text : HostileTexts()) {
    if (text.empty() || text == "null" || text == "true" || text == "no" ||
        text == "0x10" || text == "1e3" || text == "2026-01-02" ||
        text == std::string(253, 'a')) {
      continue;  // an empty line; and these are names, and stay names
    }
    std::string field = "\"";
    for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
    EXPECT_THAT(ParseBatchCsv("m.csv", "node\n" + field + "\"\nw\n"),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

v1::IssueTokenRequest RequestFor(const std::string& node) {
  v1::IssueTokenRequest request;
  request.mutable_scope()->set_node_name(node);
  return request;
}

TEST(BatchIdTest, TheSameFileAndRequestGiveTheSameRequestId) {
  const TempDir dir;
  const std::string path = dir.File("id");
  std::string first;
  {
    const auto id = BatchId::Load(path);
    ASSERT_THAT(id, IsOk());
    first = std::string(id->RequestIdOf(RequestFor("w1")).Reveal());
    EXPECT_NE(first, id->RequestIdOf(RequestFor("w2")).Reveal());
    EXPECT_THAT(BatchId::Load(path), StatusIs(absl::StatusCode::kUnavailable))
        << "while another run has it";
  }
  EXPECT_EQ(BatchId::Load(path)->RequestIdOf(RequestFor("w1")).Reveal(), first);
  EXPECT_NE(BatchId::Fresh().RequestIdOf(RequestFor("w1")).Reveal(), first);
  EXPECT_NE(
      BatchId::Load(dir.File("other"))->RequestIdOf(RequestFor("w1")).Reveal(),
      first);
}

TEST(BatchIdTest, AFileThatIsNoSecretIsRefused) {
  const TempDir dir;
  const std::string path = dir.File("id");
  ASSERT_THAT(BatchId::Load(path), IsOk());
  chmod(path.c_str(), 0644);
  EXPECT_THAT(BatchId::Load(path),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("chmod")));
  dir.Write("csv", "node\nw\n");
  chmod(dir.File("csv").c_str(), 0600);
  EXPECT_THAT(BatchId::Load(dir.File("csv")),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

class BatchTest : public CtlTest {
 protected:
  std::string Machines(int count) {
    std::string text = "node,label\n";
    for (int i = 0; i < count; ++i) text += fmt::format("worker-{},p=x\n", i);
    return dir_.Write("machines.csv", text);
  }
  std::string Seed(int i) const {
    return ReadFile(dir_.File(fmt::format("seeds/worker-{}", i)));
  }
};

TEST_F(BatchTest, CutsIntoCallsOfAThousandAndWritesAFileEach) {
  const std::string machines = Machines(2500);
  const CtlResult result =
      Run({"batch", machines, "--out-dir", dir_.File("seeds"), "-o", "json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  ASSERT_THAT(broker_->batches, SizeIs(3));
  EXPECT_EQ(broker_->batches[0].requests_size(), 1000);
  EXPECT_EQ(broker_->batches[2].requests_size(), 500);
  EXPECT_THAT(Seed(2499), ::testing::StartsWith("lk1_"));
  struct stat found = {};
  ASSERT_EQ(stat(dir_.File("seeds/worker-7").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600U);
  EXPECT_THAT(result.out, AllOf(HasSubstr("\"outcome\": \"issued\""),
                                Not(HasSubstr("lk1_"))));
  EXPECT_THAT(result.err, AllOf(HasSubstr("1000 of 2500 so far\n"),
                                HasSubstr("2500 done, 0 failed\n")));
}

TEST_F(BatchTest, NamesTheTokensIfTheTicketsHaveAPlace) {
  const std::string machines = Machines(3);
  EXPECT_EQ(Run({"batch", machines, "-o", "name"}).exit_code, 2);
  EXPECT_THAT(broker_->batches, IsEmpty()) << "no ticket was lost";
  const CtlResult result =
      Run({"batch", machines, "--out-dir", dir_.File("seeds"), "-o", "name"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, ::testing::SizeIs(3 * 7));
  EXPECT_EQ(Seed(0).substr(4, 6), result.out.substr(0, 6));
  const CtlResult yaml = Run({"batch", machines, "-o", "yaml"});
  EXPECT_THAT(yaml.out, ::testing::StartsWith("---\nwhere: \""));
  EXPECT_THAT(yaml.out,
              HasSubstr("\"node\": \"worker-2\"\noutcome: \"issued\""));
}

TEST_F(BatchTest, RunAgainItMintsNothingTwice) {
  const std::vector<std::string> command = {
      "batch", Machines(20), "--batch-id-file", dir_.File("id"), "-o", "json"};
  const CtlResult first = Run(command);
  const CtlResult second = Run(command);
  EXPECT_EQ(first.out, second.out) << "the same tickets";
  EXPECT_THAT(broker_->minted, SizeIs(20));
  // In another order, with one changed and one more.
  dir_.Write("machines.csv",
             "label,node\np=x,worker-3\np=y,worker-1\n,worker-new\n");
  EXPECT_EQ(Run(command).exit_code, 0);
  EXPECT_THAT(broker_->minted, SizeIs(22));
}

TEST_F(BatchTest, AfterALostAnswerItMintsNothingTwice) {
  const std::vector<std::string> command = {"batch", Machines(1500),
                                            "--out-dir", dir_.File("seeds")};
  broker_->lose_answers = true;
  const CtlResult lost = Run(command);
  EXPECT_EQ(lost.exit_code, 1) << lost.err;
  EXPECT_THAT(lost.err, AllOf(HasSubstr("1500 not known"),
                              HasSubstr("may have been minted"),
                              HasSubstr("run the same command again")));
  broker_->lose_answers = false;
  EXPECT_EQ(Run(command).exit_code, 0);
  EXPECT_THAT(broker_->minted, SizeIs(1500));
  EXPECT_EQ(Run(command).exit_code, 0);
  EXPECT_THAT(broker_->batches, SizeIs(3)) << "all are there: nobody is asked";
}

TEST_F(BatchTest, TicketsThatReachNobodyAreNamed) {
  output_is_full_ = true;
  const CtlResult fresh = Run({"batch", Machines(2)});
  EXPECT_EQ(fresh.exit_code, 1);
  for (const auto& [request_id, issued] : broker_->minted) {
    EXPECT_THAT(fresh.err, HasSubstr(issued.token().id()));
  }
  EXPECT_THAT(fresh.err,
              AllOf(HasSubstr("latchkeyctl revoke"), Not(HasSubstr("lk1_"))));
  EXPECT_THAT(
      Run({"batch", Machines(2), "--batch-id-file", dir_.File("id")}).err,
      HasSubstr("run the same command again"));
}

TEST_F(BatchTest, SaysWhatItLeftAlone) {
  const std::string seeds = dir_.File("seeds");
  EXPECT_THAT(Run({"batch", Machines(2), "--out-dir", seeds}).err,
              Not(HasSubstr("already")));
  dir_.Write("machines.csv", "node,label\nworker-1,p=changed\nnew,\n");
  EXPECT_THAT(
      Run({"batch", dir_.File("machines.csv"), "--out-dir", seeds}).err,
      AllOf(HasSubstr("2 done"), HasSubstr("1 of them had a file in " + seeds),
            HasSubstr("remove a file to get another")));
}

TEST_F(BatchTest, OneBadItemSpoilsNoOther) {
  broker_->judge = [](const v1::IssueTokenRequest& request) {
    return request.scope().node_name() == "worker-1"
               ? latchkey::Refuse(absl::StatusCode::kPermissionDenied,
                                  "POLICY_DENIED", "not\x1b[2J this one")
               : absl::OkStatus();
  };
  const CtlResult result =
      Run({"batch", Machines(3), "--out-dir", dir_.File("seeds")});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("worker-1  failed"), HasSubstr("POLICY_DENIED"),
                    Not(HasSubstr("\x1b"))));
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("2 done, 1 failed"), HasSubstr("what to do: ask"),
                    Not(HasSubstr("may have been minted"))));
  EXPECT_FALSE(std::filesystem::exists(dir_.File("seeds/worker-1")));
  broker_->judge = [](const v1::IssueTokenRequest&) {
    return latchkey::Refuse(absl::StatusCode::kPermissionDenied,
                            "POLICY_DENIED", "none");
  };
  EXPECT_EQ(Run({"batch", Machines(3)}).exit_code, 3) << "none was done";
}

TEST_F(BatchTest, WhatTheBrokerFindsWrongIsNamedByItsLine) {
  broker_->judge = [](const v1::IssueTokenRequest& request) {
    return request.scope().node_name() == "worker-1"
               ? latchkey::InvalidField("lifetime", "too long")
               : absl::OkStatus();
  };
  const CtlResult result = Run({"batch", Machines(3)});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, AllOf(HasSubstr("what to do: correct lifetime in " +
                                          dir_.File("machines.csv") + ":3"),
                                Not(HasSubstr("--lifetime"))));
}

TEST_F(BatchTest, AnItemWhoseErrorPassesIsAskedForAgain) {
  int calls = 0;
  broker_->judge = [&](const v1::IssueTokenRequest& request) {
    if (request.scope().node_name() != "worker-1" || ++calls > 2) {
      return absl::OkStatus();
    }
    return latchkey::WithRetryAfter(
        latchkey::Refuse(absl::StatusCode::kResourceExhausted, "OVERLOADED",
                         "busy"),
        absl::Seconds(7));
  };
  EXPECT_EQ(Run({"batch", Machines(3)}).exit_code, 0);
  ASSERT_THAT(broker_->batches, SizeIs(3));
  EXPECT_EQ(broker_->batches[1].requests_size(), 1);
  EXPECT_GE(pace_.Elapsed(), absl::Seconds(14)) << "not sooner than asked";
  calls = -1000;
  const CtlResult result = Run({"batch", Machines(3), "--timeout", "20s"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("OVERLOADED"));
}

TEST_F(BatchTest, ReadsStandardInput) {
  EXPECT_EQ(Run({"batch", "-"}, "node\nworker-1\n").exit_code, 0);
  EXPECT_EQ(
      Run({"batch", "-", "--format", "yaml"}, "tokens: [{node: w}]").exit_code,
      0);
  const CtlResult bad = Run({"batch", "-"}, "node\nW\n");
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_THAT(bad.err, HasSubstr("standard input:2"));
}

// Never ends.
class EndlessText final : public std::streambuf {
 public:
  size_t given() const { return given_; }

 private:
  int_type underflow() override {
    setg(chunk_.data(), chunk_.data(), chunk_.data() + chunk_.size());
    given_ += chunk_.size();
    return traits_type::to_int_type(chunk_[0]);
  }

  std::string chunk_ = std::string(1 << 20, '\n');
  size_t given_ = 0;
};

TEST_F(BatchTest, ReadsNoMoreOfStandardInputThanOfAFile) {
  EndlessText endless;
  const CtlResult result = RunOn(&endless, {"batch", "-"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, AllOf(HasSubstr("standard input: larger than"),
                                HasSubstr("what to do: ")));
  EXPECT_LE(endless.given(), size_t{258} << 20);
}

TEST_F(BatchTest, WritesMachineFiles) {
  EXPECT_EQ(Run({"batch", Machines(2), "--out-dir", dir_.File("seeds"),
                 "--content", "cloud-init"})
                .exit_code,
            0);
  EXPECT_THAT(Seed(1), AllOf(HasSubstr("#cloud-config"), HasSubstr("lk1_")));
  EXPECT_EQ(Run({"batch", Machines(2), "--content", "cloud-init"}).exit_code,
            2);
  EXPECT_EQ(Run({"batch", Machines(2), "--out-dir", dir_.File("other"),
                 "--content", "kubeadm"})
                .exit_code,
            2);
  EXPECT_THAT(broker_->batches, SizeIs(1));
}

TEST_F(BatchTest, TheRequestIdsAreNowhereToBeSeen) {
  const CtlResult result = Run({"batch", Machines(5), "-o", "json"});
  for (const auto& [request_id, answer] : broker_->minted) {
    EXPECT_THAT(result.out, Not(HasSubstr(request_id)));
    EXPECT_THAT(result.err, Not(HasSubstr(request_id)));
  }
}

}  // namespace
}  // namespace latchkey_testing
