#include "services/event_merge.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/storage/records.h"

namespace latchkey {
namespace {

using latchkey_testing::At;
using latchkey_testing::HeldBy;
using latchkey_testing::Id;
using latchkey_testing::IssuedRecord;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Csr = kubernetes::CertificateSigningRequest;

// A token "abc123", reserved for the CSR "a", unless they are named.
class EventMergeTest : public ::testing::Test {
 protected:
  static TokenRecord RecordAt(TokenStep step, const std::string& csr = "a",
                              const char* id = "abc123") {
    TokenRecord record = IssuedRecord(id);
    record.last_step = step;
    record.state =
        step == TokenStep::kSpent     ? TokenState::kSpent
        : step == TokenStep::kRevoked ? TokenState::kRevoked
        : step == TokenStep::kReserved || step == TokenStep::kExtended
            ? TokenState::kReserved
            : TokenState::kActive;
    if (!csr.empty()) record.reservation = HeldBy(csr, 'a');
    return record;
  }
  static Csr CsrOf(const std::string& name, bool is_signed = false,
                   const std::string& reason = "LatchkeyApproved") {
    Csr csr;
    csr.mutable_metadata()->set_uid("uid-" + name);
    auto& condition = *csr.mutable_status()->add_conditions();
    condition.set_type("Approved");
    condition.set_status("True");
    condition.set_reason(reason);
    if (is_signed) csr.mutable_status()->set_certificate("pem");
    return csr;
  }
  void Write(uint64_t version, const TokenRecord& record) {
    merge_.AddRecord(version,
                     std::make_shared<const TokenEvent>(EventOfWrite(record)));
  }
  void Remove(uint64_t version, const TokenRecord& record) {
    merge_.AddRecord(
        version, std::make_shared<const TokenEvent>(EventOfRemoval(record)));
  }
  // What is told at `seconds`, as "source version type".
  std::vector<std::string> Told(int seconds = 0) {
    std::vector<VersionedEvent> out;
    merge_.Drain(At(seconds), out, cut_);
    return Texts(out);
  }
  static std::vector<std::string> Texts(
      const std::vector<VersionedEvent>& events) {
    std::vector<std::string> texts;
    for (const VersionedEvent& event : events) {
      texts.push_back(fmt::format(
          "{}{} {}", event.source == EventSource::kRecords ? "r" : "c",
          event.version, static_cast<int>(event.event->type)));
    }
    return texts;
  }
  static std::string Line(const char* where, TokenEventType type) {
    return fmt::format("{} {}", where, static_cast<int>(type));
  }

  const std::string reserved_ = Line("r10", TokenEventType::kReserved);
  const std::string approved_ = Line("c11", TokenEventType::kApproved);
  const std::string joined_ = Line("r13", TokenEventType::kJoined);

  EventMerge merge_{absl::Seconds(10)};
  EventCut cut_;
};

TEST_F(EventMergeTest, AnApprovalComesBetweenReservationAndJoin) {
  // The CSRs' watch is ahead.
  merge_.AddCsr(11, CsrOf("a"));
  merge_.AddCsr(12, CsrOf("a", true));
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_EQ(cut_.csrs, 0U);
  Write(10, RecordAt(TokenStep::kReserved));
  EXPECT_THAT(Told(), ElementsAre(reserved_, approved_));
  EXPECT_EQ(cut_, (EventCut{.records = 10, .csrs = 12}));
}

TEST_F(EventMergeTest, AJoinWaitsForItsApproval) {
  // The records' watch is ahead.
  Write(10, RecordAt(TokenStep::kReserved));
  Write(13, RecordAt(TokenStep::kSpent));
  EXPECT_THAT(Told(), ElementsAre(reserved_));
  EXPECT_EQ(cut_.records, 10U);
  merge_.AddCsr(11, CsrOf("a"));
  EXPECT_THAT(Told(), ElementsAre(approved_, joined_));
  EXPECT_FALSE(merge_.holding());
}

TEST_F(EventMergeTest, AnApprovalIsToldOnce) {
  Write(10, RecordAt(TokenStep::kReserved));
  for (const uint64_t version : {11, 12, 14}) {
    merge_.AddCsr(version, CsrOf("a", version == 14));
  }
  EXPECT_THAT(Told(), ElementsAre(reserved_, approved_));
}

TEST_F(EventMergeTest, NothingIsHeldUpForLongerThanItsPatience) {
  Write(10, RecordAt(TokenStep::kReserved));
  Write(13, RecordAt(TokenStep::kSpent));
  merge_.AddCsr(20, CsrOf("nobody's"));
  merge_.AddCsrVersion(21);
  Write(22, RecordAt(TokenStep::kRevoked, "", "other1"));
  EXPECT_THAT(Told(0), ElementsAre(reserved_));
  EXPECT_THAT(Told(9), IsEmpty());
  EXPECT_THAT(Told(10),
              ElementsAre(joined_, Line("r22", TokenEventType::kRevoked)));
  EXPECT_EQ(cut_, (EventCut{.records = 22, .csrs = 21}));
}

TEST_F(EventMergeTest, WhatAStrangerApprovesHoldsUpNobody) {
  merge_.AddCsr(11, CsrOf("a", false, "AutoApproved"));
  merge_.AddCsr(12, CsrOf("old", true));
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_EQ(cut_.csrs, 12U);
}

TEST_F(EventMergeTest, WhatTheListsShowIsNoNews) {
  merge_.CsrsListed({CsrOf("a", true)});
  merge_.RecordsListed(
      {{.record = RecordAt(TokenStep::kReserved), .version = "1", .uid = {}},
       {.record = RecordAt(TokenStep::kReserved, "b", "other1"),
        .version = "2",
        .uid = {}}});
  merge_.AddCsr(12, CsrOf("a", true));
  Write(13, RecordAt(TokenStep::kSpent));
  // Of this one nobody knows whether its approval is to come.
  Write(14, RecordAt(TokenStep::kSpent, "b", "other1"));
  EXPECT_THAT(Told(),
              ElementsAre(joined_, Line("r14", TokenEventType::kJoined)));
}

TEST_F(EventMergeTest, AnApprovalMayComeAfterARevocation) {
  Write(10, RecordAt(TokenStep::kReserved));
  Write(12, RecordAt(TokenStep::kRevoked));
  EXPECT_THAT(Told(),
              ElementsAre(reserved_, Line("r12", TokenEventType::kRevoked)));
  merge_.AddCsr(11, CsrOf("a"));
  EXPECT_THAT(Told(), ElementsAre(approved_));
}

TEST_F(EventMergeTest, AnApprovalMayComeAfterARemoval) {
  std::vector<VersionedEvent> out;
  // Reserved before all that is known.
  Remove(13, RecordAt(TokenStep::kReserved));
  merge_.AddCsr(11, CsrOf("a"));
  merge_.Finish({}, out, cut_);
  EXPECT_THAT(Texts(out),
              ElementsAre(Line("r13", TokenEventType::kExpired), approved_));
}

TEST_F(EventMergeTest, WhatIsOverIsForgottenInTheEnd) {
  merge_.RecordsListed({});
  constexpr uint64_t kMany = 5000;
  const auto feed = [&](TokenStep step, auto how) {
    for (uint64_t i = 1; i <= kMany; ++i) {
      const std::string csr = fmt::format("{}-{}", static_cast<int>(step), i);
      how(i, RecordAt(step, csr, fmt::format("i{:05}", i).c_str()));
    }
    EXPECT_EQ(Told().size(), kMany);
  };
  const auto write = [&](uint64_t i, const TokenRecord& record) {
    Write(i, record);
  };
  const auto remove = [&](uint64_t i, const TokenRecord& record) {
    Remove(i, record);
  };
  // Of tombstones nothing is kept at all.
  feed(TokenStep::kSpent, remove);
  EXPECT_EQ(merge_.Known().size(), 0U);
  // Reserved before all that is known.
  feed(TokenStep::kRevoked, write);
  EXPECT_LE(merge_.Known().size(), 4096U);
  // Expired while it was reserved.
  feed(TokenStep::kExtended, remove);
  EXPECT_LE(merge_.Known().size(), 4096U);
  // Reserved and removed where we see it.
  feed(TokenStep::kReserved, write);
  EXPECT_GE(merge_.Known().size(), kMany) << "they are held";
  feed(TokenStep::kReserved, remove);
  EXPECT_LE(merge_.Known().size(), 4096U);
}

TEST_F(EventMergeTest, AtTheEndEverythingIsTold) {
  std::vector<VersionedEvent> out;
  // Reserved before all that is known; approved, extended and joined after.
  merge_.AddCsr(11, CsrOf("a"));
  Write(13, RecordAt(TokenStep::kSpent));
  merge_.Finish({}, out, cut_);
  EXPECT_THAT(Texts(out), ElementsAre(approved_, joined_));
}

TEST_F(EventMergeTest, AtTheEndAnApprovalIsLookedUp) {
  std::vector<VersionedEvent> out;
  merge_.AddCsr(11, CsrOf("a"));
  merge_.AddCsr(12, CsrOf("nobody's"));
  merge_.Finish({{"uid-a", std::make_shared<const TokenEvent>(
                               EventOfWrite(RecordAt(TokenStep::kSpent)))}},
                out, cut_);
  EXPECT_THAT(Texts(out), ElementsAre(approved_));
  EXPECT_EQ(out.front().event->record.state, TokenState::kReserved);
  EXPECT_EQ(cut_.csrs, 12U);
}

TEST_F(EventMergeTest, WhatWasApprovedBeforeIsNotToldAtItsSignature) {
  std::vector<VersionedEvent> out;
  Write(10, RecordAt(TokenStep::kExtended));
  merge_.AddCsr(12, CsrOf("a", true));
  Write(13, RecordAt(TokenStep::kSpent));
  merge_.Finish({}, out, cut_);
  EXPECT_THAT(Texts(out),
              ElementsAre(Line("r10", TokenEventType::kExtended), joined_));
}

TEST_F(EventMergeTest, EventsHaveNoSecrets) {
  const TokenEvent event = EventOfWrite(RecordAt(TokenStep::kReserved));
  EXPECT_TRUE(event.record.secret.empty());
  EXPECT_TRUE(event.record.ticket_salt.empty());
  EXPECT_TRUE(EventOfRemoval(IssuedRecord()).record.secret.empty());
  EXPECT_TRUE(EventOfApproval(IssuedRecord()).record.ticket_salt.empty());
}

}  // namespace
}  // namespace latchkey
