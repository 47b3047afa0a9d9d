#include "audit/audit_verify.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using ::testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

// One broker's log, written by hand.
class Log {
 public:
  explicit Log(std::string name) : name_(std::move(name)) {}

  // `at` seconds after the start.
  Log& Add(double at, const std::string& action, const std::string& csr,
           const std::string& token = "abc123",
           const std::string& certificate = "") {
    AuditEvent event{
        .action = action, .token_id = token, .token_uid = "uid-" + token};
    event.facts["csr_uid"] = csr;
    if (!certificate.empty()) event.facts["certificate"] = certificate;
    lines_.push_back(EncodeAuditLine(event, kStart + absl::Seconds(at), head_));
    return *this;
  }
  Log& Join(double at, const std::string& csr,
            const std::string& token = "abc123") {
    return Add(at, "token.reserve", csr, token)
        .Add(at, "csr.approve", csr, token);
  }
  // The same chain, in a new file.
  Log Rotated(const std::string& name) const {
    Log next(name);
    next.head_ = head_;
    return next;
  }

  std::vector<std::string>& lines() { return lines_; }
  const std::string& name() const { return name_; }
  std::string Text() const {
    std::string text;
    for (const std::string& line : lines_) text += line + "\n";
    return text;
  }

 private:
  std::string name_;
  AuditHead head_;
  std::vector<std::string> lines_;
};

absl::StatusOr<AuditSummary> Verify(const std::vector<Log>& logs,
                                    const AuditVerifyOptions& options = {}) {
  std::vector<std::istringstream> streams;
  for (const Log& log : logs) streams.emplace_back(log.Text());
  std::vector<AuditSource> sources;
  for (size_t i = 0; i < logs.size(); ++i) {
    sources.push_back({logs[i].name(), &streams[i]});
  }
  return VerifyAudit(sources, options);
}

auto Fails(absl::StatusCode code, const std::string& place,
           const std::string& what) {
  return StatusIs(code, ::testing::AllOf(::testing::StartsWith(place + ": "),
                                         HasSubstr(what)));
}
auto Violates(const std::string& place, const std::string& what) {
  return Fails(absl::StatusCode::kFailedPrecondition, place, what);
}
auto Damaged(const std::string& place, const std::string& what) {
  return Fails(absl::StatusCode::kDataLoss, place, what);
}
auto LacksItsStart(const std::string& place) {
  return Fails(absl::StatusCode::kNotFound, place, "not here");
}

TEST(AuditVerifyTest, ProvesAnHonestLog) {
  Log log("a.log");
  log.Join(0, "csr-1").Add(1, "token.spend", "csr-1", "abc123", "cert");
  log.Join(2, "csr-2", "def456");
  const auto summary = Verify({log});
  ASSERT_THAT(summary, IsOk());
  EXPECT_EQ(summary->records, 5U);
  EXPECT_EQ(summary->approvals, 2U);
  EXPECT_EQ(summary->tokens, 2U);
  EXPECT_THAT(Verify({log, Log("empty.log")}), IsOk())
      << "somebody copied it and cut it down";
  EXPECT_THAT(Verify({Log("empty.log")}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no record")));
}

TEST(AuditVerifyTest, FindsWhatWasDoneToTheFile) {
  Log honest("a.log");
  for (int i = 0; i < 5; ++i) honest.Join(i, "csr-1");
  {
    Log log = honest;
    auto& line = log.lines()[3];
    line.replace(line.find("allowed"), 7, "denied");
    EXPECT_THAT(Verify({log}), Damaged("a.log:4", "altered"));
  }
  {
    Log log = honest;
    std::swap(log.lines()[4], log.lines()[5]);
    EXPECT_THAT(Verify({log}), Damaged("a.log:5", "out of order"));
  }
  {
    Log log = honest;
    log.lines().erase(log.lines().begin() + 6);
    EXPECT_THAT(Verify({log}), Damaged("a.log:7", "missing"));
  }
  {
    Log log = honest;
    log.lines().insert(log.lines().begin() + 2, log.lines()[1]);
    EXPECT_THAT(Verify({log}), Damaged("a.log:3", "out of order"));
  }
  {
    Log log = honest;
    log.lines().erase(log.lines().begin());
    EXPECT_THAT(Verify({log}), LacksItsStart("a.log:1"));
  }
  {
    Log log = honest;
    log.lines()[2] = "";
    EXPECT_THAT(Verify({log}), Damaged("a.log:3", "not an audit record"));
  }
}

TEST(AuditVerifyTest, FindsARecordOfAnotherChain) {
  Log log("a.log");
  Log other("b.log");
  log.Join(0, "csr-1").Join(1, "csr-1");
  other.Join(0, "csr-2").Join(1, "csr-1");
  log.lines().back() = other.lines().back();
  EXPECT_THAT(Verify({log}), Damaged("a.log:4", "out of order"));
}

TEST(AuditVerifyTest, FindsATornEnd) {
  Log log("a.log");
  log.Join(0, "csr-1");
  std::istringstream stream(log.Text().substr(0, log.Text().size() - 1));
  EXPECT_THAT(VerifyAudit({{"a.log", &stream}}), Damaged("a.log:2", "torn"));
}

TEST(AuditVerifyTest, SaysWhereEachChainEnds) {
  Log log("a.log");
  log.Join(0, "csr-1");
  const auto whole = Verify({log});
  log.lines().pop_back();
  const auto cut = Verify({log});
  ASSERT_THAT(cut, IsOk());
  EXPECT_EQ(whole->chains.at(0).head.sequence, 2U);
  EXPECT_EQ(cut->chains.at(0).head.sequence, 1U);
}

TEST(AuditVerifyTest, FollowsAChainFromFileToFile) {
  Log first("a.log.1");
  first.Join(0, "csr-1");
  Log second = first.Rotated("a.log");
  // The clock was set back meanwhile.
  second.Add(-60, "token.release", "csr-1").Join(-59, "csr-2");
  EXPECT_THAT(Verify({second, first}), IsOk());
  EXPECT_THAT(Verify({second}), LacksItsStart("a.log:1"));
  EXPECT_THAT(Verify({second}, {.allow_missing_start = true}), IsOk());
  EXPECT_THAT(Verify({first, first}),
              Fails(absl::StatusCode::kAlreadyExists, "a.log.1:1", "twice"));
  Log forked = first.Rotated("b.log");
  forked.Add(1, "csr.deny", "csr-9");
  EXPECT_THAT(Verify({first, second, forked}), LacksItsStart("b.log:1"));
}

TEST(AuditVerifyTest, TwoApprovalsOfOneTokenAreFound) {
  Log log("a.log");
  log.Join(0, "csr-1").Join(1, "csr-2");
  EXPECT_THAT(Verify({log}),
              Violates("a.log:4", "two approved CSRs, csr-1 and csr-2"));
}

TEST(AuditVerifyTest, TwoApprovalsByTwoReplicasAreFound) {
  Log a("a.log");
  Log b("b.log");
  a.Join(0, "csr-1");
  b.Join(1, "csr-2");
  EXPECT_THAT(Verify({a, b}), Violates("b.log:2", "two approved CSRs"));
  EXPECT_THAT(Verify({b, a}), Violates("b.log:2", "two approved CSRs"));
}

TEST(AuditVerifyTest, AReleaseBetweenIsEnough) {
  Log a("a.log");
  Log b("b.log");
  a.Join(0, "csr-1");
  b.Add(1, "token.release", "csr-1").Join(2, "csr-2");
  EXPECT_THAT(Verify({a, b}), IsOk());
  Log late("late.log");
  late.Join(0, "csr-1").Join(1, "csr-2").Add(2, "token.release", "csr-1");
  EXPECT_THAT(Verify({late}), Violates("late.log:4", "two approved CSRs"));
}

TEST(AuditVerifyTest, ClocksMayBeApartByAsMuchAsIsSaid) {
  Log behind("behind.log");
  Log ahead("ahead.log");
  behind.Join(0, "csr-1").Join(2, "csr-2");
  ahead.Add(4, "token.release", "csr-1");
  EXPECT_THAT(Verify({behind, ahead}, {.clock_skew = absl::Seconds(5)}),
              IsOk());
  EXPECT_THAT(Verify({behind, ahead}, {.clock_skew = absl::Seconds(1)}),
              Violates("behind.log:4", "two approved CSRs"));
  Log slow("slow.log");
  Log fast("fast.log");
  slow.Add(0, "token.release", "csr-1").Join(1, "csr-2");
  fast.Join(3, "csr-1");
  EXPECT_THAT(Verify({slow, fast}), IsOk());
}

TEST(AuditVerifyTest, TheReleaseOfEitherIsEnough) {
  // csr-1 was approved and released by a clock that is 7 s ahead, then csr-2.
  Log ahead("ahead.log");
  Log right("right.log");
  ahead.Join(10, "csr-1").Add(11, "token.release", "csr-1");
  right.Join(5, "csr-2");
  EXPECT_THAT(Verify({ahead, right}, {.clock_skew = absl::Seconds(7)}), IsOk());
  EXPECT_THAT(Verify({ahead, right}, {.clock_skew = absl::Seconds(5)}),
              Violates("ahead.log:2", "two approved CSRs, csr-2 and csr-1"));
  // Of one file the order is known.
  Log one("one.log");
  one.Join(5, "csr-2").Join(10, "csr-1").Add(11, "token.release", "csr-1");
  EXPECT_THAT(Verify({one}, {.clock_skew = absl::Hours(1)}),
              Violates("one.log:4", "two approved CSRs, csr-2 and csr-1"));
  Log rotated = one.Rotated("next.log");
  rotated.Add(12, "token.release", "csr-2");
  EXPECT_THAT(Verify({one, rotated}, {.clock_skew = absl::Hours(1)}),
              Violates("one.log:4", "two approved CSRs, csr-2 and csr-1"));
}

TEST(AuditVerifyTest, OneReleaseSettlesOneApprovalOnly) {
  Log a("a.log");
  Log b("b.log");
  a.Join(0, "csr-1").Add(1, "token.release", "csr-1").Join(2, "csr-2");
  b.Join(3, "csr-3");
  EXPECT_THAT(Verify({a, b}),
              Violates("b.log:2", "two approved CSRs, csr-2 and csr-3"));
}

TEST(AuditVerifyTest, AnotherRecordOfTheSameIdIsAnotherToken) {
  Log log("a.log");
  log.Join(0, "csr-1");
  AuditEvent event{.action = "token.reserve",
                   .token_id = "abc123",
                   .token_uid = "uid-later",
                   .facts = {{"csr_uid", "csr-2"}}};
  AuditHead head{.sequence = 2, .hash = ParseAuditLine(log.lines()[1])->hash};
  log.lines().push_back(EncodeAuditLine(event, kStart, head));
  event.action = "csr.approve";
  log.lines().push_back(EncodeAuditLine(event, kStart, head));
  EXPECT_THAT(Verify({log}), IsOk());
}

TEST(AuditVerifyTest, AnApprovalWithoutAReservationIsFound) {
  Log log("a.log");
  log.Add(0, "csr.approve", "csr-1");
  EXPECT_THAT(Verify({log}), Violates("a.log:1", "without token.reserve"));
}

TEST(AuditVerifyTest, ATokenIsSpentOnce) {
  Log log("a.log");
  log.Join(0, "csr-1").Add(1, "token.spend", "csr-1", "abc123", "cert-1");
  Log other("b.log");
  other.Add(1, "token.spend", "csr-1", "abc123", "cert-1");
  EXPECT_THAT(Verify({log, other}), IsOk()) << "both saw it";
  other.Add(2, "token.spend", "csr-1", "abc123", "cert-2");
  EXPECT_THAT(Verify({log, other}), Violates("b.log:2", "spent before"));
  log.Add(3, "token.release", "csr-1");
  EXPECT_THAT(Verify({log}), Violates("a.log:4", "spent on"));
}

}  // namespace
}  // namespace latchkey
