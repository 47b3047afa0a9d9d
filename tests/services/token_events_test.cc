#include "services/token_events.h"

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "core/refusal.h"
#include "services/join_controller.h"
#include "services/record_index.h"
#include "services/watch_cursor.h"
#include "tests/services/join_fixture.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::CsrApprover;
using latchkey::EventCut;
using latchkey::GapCause;
using latchkey::JoinController;
using latchkey::RecordIndex;
using latchkey::TokenEvents;
using latchkey::TokenEventType;
using latchkey::TokenId;
using latchkey::TokenRecord;
using latchkey::TokenState;
using latchkey::TokenUpkeep;
using latchkey::kubernetes::Secret;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Life = std::vector<std::string>;
// What was told of each token, in order.
using Lives = std::map<std::string, Life>;

std::string NameOf(TokenEventType type) {
  constexpr const char* kNames[] = {
      "issued",  "claimed", "reserved", "approved", "joined", "refused",
      "revoked", "expired", "extended", "released", "removed"};
  return kNames[static_cast<int>(type)];
}

// One reader, and what it was told.
class Tail {
 public:
  Tail(TokenEvents& events, std::optional<EventCut> cursor)
      : events_(events), position_(TokenEvents::Begin(cursor)) {
    Read();
  }

  // Reads what there is.
  void Read() {
    while (true) {
      const TokenEvents::News news = events_.Next(position_);
      if (news.kind == TokenEvents::News::Kind::kNothing) return;
      if (news.kind == TokenEvents::News::Kind::kGap) {
        gaps_.push_back(news.gap);
        continue;
      }
      ++count_;
      lives_[news.event->record.id.text()].push_back(NameOf(news.event->type));
      cursors_.push_back(latchkey::FormatCursor(position_.cut()));
    }
  }
  bool ReadsAtLeast(size_t count) {
    return WaitUntil([&] {
      Read();
      return count_ >= count;
    });
  }
  bool Starts() {
    return WaitUntil([&] {
      Read();
      return position_.started();
    });
  }
  bool HasGap() {
    return WaitUntil([&] {
      Read();
      return !gaps_.empty();
    });
  }

  EventCut cut() const { return position_.cut(); }
  const Lives& lives() const { return lives_; }
  const std::vector<GapCause>& gaps() const { return gaps_; }
  const std::vector<std::string>& cursors() const { return cursors_; }

 private:
  TokenEvents& events_;
  TokenEvents::Position position_;
  size_t count_ = 0;
  Lives lives_;
  std::vector<GapCause> gaps_;
  std::vector<std::string> cursors_;
};

class TokenEventsTest : public JoinFixture {
 protected:
  // The clock stands still, so the server has to be told when to say how far
  // its watches have come.
  TokenEventsTest()
      : bookmarks_([this](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            api_.SendBookmarks();
            absl::SleepFor(absl::Milliseconds(5));
          }
        }) {}

  // A broker's watches, approver and upkeep.
  struct Replica {
    explicit Replica(TokenEventsTest& test, TokenEvents::Options options)
        : events(options, test.api_),
          approver({}, test.api_, test.store_, test.misuse_, test.audit_,
                   test.clock_),
          upkeep({.fetch_grace = absl::ZeroDuration()}, test.api_, test.store_,
                 test.audit_, test.clock_),
          controller({}, test.api_, approver, upkeep, index, events,
                     test.clock_) {}

    RecordIndex index;
    TokenEvents events;
    CsrApprover approver;
    TokenUpkeep upkeep;
    JoinController controller;
  };

  static TokenEvents::Options Defaults() {
    TokenEvents::Options options;
    return options;
  }
  std::unique_ptr<Replica> Start(
      const TokenEvents::Options& options = Defaults()) {
    auto replica = std::make_unique<Replica>(*this, options);
    EXPECT_TRUE(WaitUntil([&] { return replica->controller.fresh(); }));
    return replica;
  }

  // Each is one write.
  void Step(
      const char* id,
      const std::function<latchkey::NextRecord(const TokenRecord&)>& arrow) {
    ASSERT_THAT(latchkey::Advance(store_, Id(id), arrow), IsOk());
  }
  void Extend(const char* id, int seconds) {
    Step(id, [&](const TokenRecord& record) {
      return latchkey::Extend(record, At(seconds), clock_.Now());
    });
  }
  void Revoke(const char* id) {
    Step(id, [&](const TokenRecord& record) {
      return latchkey::Revoke(
          record, {.who = "me", .why = "test", .time = clock_.Now()},
          latchkey::SecretString("0123456789abcdef"));
    });
  }
  void Refuse(const char* id) {
    Step(id, [&](const TokenRecord& record) {
      return latchkey::NoteRefused(
          record, {.reason = "R", .by = "thief", .time = clock_.Now()}, 1);
    });
  }
  void Remove(const char* id) {
    ASSERT_THAT(store_.Remove(*store_.Find(Id(id))), IsOk());
  }
  // A claimed token joins; a replica must be there to approve and spend it.
  void Join(const char* id) {
    const std::string csr = std::string("csr-") + id;
    PostCsr(csr, key_, "worker-1", id);
    ASSERT_TRUE(WaitUntil(
        [&] { return DecisionOn(csr) == "Approved LatchkeyApproved"; }));
    Sign(csr);
    ASSERT_TRUE(WaitUntil([&] { return State(id) == TokenState::kSpent; }));
  }
  // The lives of three tokens, mixed.
  void LiveThreeLives() {
    IssueClaimed("join01");
    IssueClaimed("revoke");
    IssueDirect("expire");
    Refuse("expire");
    Join("join01");
    Extend("expire", 5000);
    Revoke("revoke");
    Remove("join01");
    Remove("expire");
  }
  static Lives ThreeLives() {
    return {
        {"join01",
         {"issued", "claimed", "reserved", "approved", "joined", "removed"}},
        {"revoke", {"issued", "claimed", "revoked"}},
        {"expire", {"issued", "refused", "extended", "expired"}}};
  }
  static constexpr size_t kThreeLives = 13;

  std::jthread bookmarks_;
};

TEST_F(TokenEventsTest, TellsTheLivesOfTokensInOrder) {
  const auto replica = Start();
  Tail tail(replica->events, std::nullopt);
  ASSERT_TRUE(tail.Starts());
  LiveThreeLives();

  EXPECT_TRUE(tail.ReadsAtLeast(kThreeLives));
  EXPECT_EQ(tail.lives(), ThreeLives());
  EXPECT_THAT(tail.gaps(), IsEmpty());
}

TEST_F(TokenEventsTest, AReaderWithoutACursorBeginsNow) {
  const auto replica = Start();
  Tail all(replica->events, std::nullopt);
  ASSERT_TRUE(all.Starts());
  IssueDirect("before");
  ASSERT_TRUE(all.ReadsAtLeast(1));
  Tail tail(replica->events, std::nullopt);
  IssueDirect("after1");
  ASSERT_TRUE(tail.ReadsAtLeast(1));
  EXPECT_EQ(tail.lives(), (Lives{{"after1", {"issued"}}}));
}

// The promise of a resumed watch: from every cursor, at the same replica, at
// one that was there, and at one that started afterwards.
TEST_F(TokenEventsTest, AResumedReaderMissesNothingAndDoublesNothing) {
  const auto first = Start();
  const auto second = Start();
  Tail whole(first->events, std::nullopt);
  Tail other(second->events, std::nullopt);
  ASSERT_TRUE(whole.Starts());
  ASSERT_TRUE(other.Starts());
  std::vector<std::string> cursors = {latchkey::FormatCursor(whole.cut()),
                                      latchkey::FormatCursor(other.cut())};
  LiveThreeLives();
  ASSERT_TRUE(whole.ReadsAtLeast(kThreeLives));
  ASSERT_TRUE(other.ReadsAtLeast(kThreeLives));
  ASSERT_EQ(other.lives(), ThreeLives());
  const auto late = Start();
  IssueDirect("marker");
  for (const Tail* tail : {&whole, &other}) {
    cursors.insert(cursors.end(), tail->cursors().begin(),
                   tail->cursors().end());
  }
  for (size_t i = 0; i < cursors.size(); ++i) {
    const size_t told = i < 2 ? 0 : (i - 2) % kThreeLives + 1;
    // What the reader was told before, by whom it got the cursor from.
    for (Replica* replica : {first.get(), second.get(), late.get()}) {
      SCOPED_TRACE(fmt::format("{} at {} told {}", cursors[i],
                               replica == late.get() ? "late" : "early", told));
      Tail tail(replica->events, *latchkey::ParseCursor(cursors[i]));
      ASSERT_TRUE(tail.ReadsAtLeast(kThreeLives + 1 - told));
      tail.Read();
      EXPECT_THAT(tail.gaps(), IsEmpty());
      size_t rest = 0;
      for (const auto& [id, life] : tail.lives()) {
        rest += life.size();
        if (id == "marker") continue;
        // The end of that token's life.
        const Life whole_life = ThreeLives().at(id);
        EXPECT_EQ(life, Life(whole_life.end() -
                                 static_cast<std::ptrdiff_t>(life.size()),
                             whole_life.end()));
      }
      EXPECT_EQ(rest, kThreeLives + 1 - told);
    }
  }
}

TEST_F(TokenEventsTest, ManyWhoResumeShareOneLookIntoThePast) {
  auto first = Start();
  Tail tail(first->events, std::nullopt);
  ASSERT_TRUE(tail.Starts());
  const EventCut begin = tail.cut();
  LiveThreeLives();
  ASSERT_TRUE(tail.ReadsAtLeast(kThreeLives));
  first.reset();
  const auto late = Start();
  ASSERT_TRUE(WaitUntil([&] { return api_.OpenWatches() == 2; }));
  const int watches = api_.Calls(Verb::kWatch);
  std::vector<std::unique_ptr<Tail>> tails;
  for (int i = 0; i < 200; ++i) {
    tails.push_back(std::make_unique<Tail>(late->events, begin));
  }
  for (const auto& one : tails) {
    ASSERT_TRUE(one->ReadsAtLeast(kThreeLives));
    EXPECT_EQ(one->lives(), ThreeLives());
  }
  // Two sources, for the first and then for all the others.
  EXPECT_LE(api_.Calls(Verb::kWatch) - watches, 12);
}

TEST_F(TokenEventsTest, AForgottenCursorIsAGapAndThenLive) {
  auto first = Start();
  Tail tail(first->events, std::nullopt);
  ASSERT_TRUE(tail.Starts());
  const EventCut begin = tail.cut();
  LiveThreeLives();
  ASSERT_TRUE(tail.ReadsAtLeast(kThreeLives));
  first.reset();
  api_.ForgetHistory();
  const auto late = Start();

  Tail resumed(late->events, begin);
  ASSERT_TRUE(resumed.HasGap());
  IssueDirect("after1");
  ASSERT_TRUE(resumed.ReadsAtLeast(1));
  EXPECT_EQ(resumed.lives(), (Lives{{"after1", {"issued"}}}));
  EXPECT_THAT(resumed.gaps(), ElementsAre(GapCause::kCursorTooOld));
}

TEST_F(TokenEventsTest, WhoResumesWaitsForAServerThatIsAway) {
  auto first = Start();
  Tail tail(first->events, std::nullopt);
  ASSERT_TRUE(tail.Starts());
  const EventCut begin = tail.cut();
  LiveThreeLives();
  ASSERT_TRUE(tail.ReadsAtLeast(kThreeLives));
  first.reset();
  TokenEvents::Options options = Defaults();
  options.missed.patience = absl::Milliseconds(50);
  const auto late = Start(options);
  ASSERT_TRUE(WaitUntil([&] { return api_.OpenWatches() == 2; }));
  // Its watches are up, and each look back is a list and then a watch.
  int nth = 0;
  for (const absl::Status& error :
       {absl::UnavailableError("down"), absl::ResourceExhaustedError("429"),
        absl::InternalError("500"), absl::DeadlineExceededError("hangs")}) {
    api_.FailNext(Verb::kList, 2 * ++nth, error);
    api_.FailNext(Verb::kWatch, nth, error);
  }
  Tail resumed(late->events, begin);
  ASSERT_TRUE(resumed.ReadsAtLeast(kThreeLives));
  EXPECT_EQ(resumed.lives(), ThreeLives());
  EXPECT_THAT(resumed.gaps(), IsEmpty());
}

TEST_F(TokenEventsTest, ALookBackWaitsAsLongAsABusyServerAsks) {
  auto first = Start();
  Tail tail(first->events, std::nullopt);
  ASSERT_TRUE(tail.Starts());
  const EventCut begin = tail.cut();
  IssueDirect("aaaaaa");
  ASSERT_TRUE(tail.ReadsAtLeast(1));
  first.reset();
  const auto late = Start();
  constexpr absl::Duration kAsked = absl::Milliseconds(700);
  absl::Time refused;
  absl::Time asked_again;
  api_.BeforeNext(Verb::kList, 1, [&] { refused = absl::Now(); });
  api_.FailNext(
      Verb::kList, 1,
      latchkey::WithRetryAfter(absl::ResourceExhaustedError("429"), kAsked));
  api_.BeforeNext(Verb::kList, 2, [&] { asked_again = absl::Now(); });
  Tail resumed(late->events, begin);
  ASSERT_TRUE(resumed.ReadsAtLeast(1));
  EXPECT_GE(asked_again - refused, kAsked);
}

TEST_F(TokenEventsTest, WhoMissedTooMuchCostsNobodyElseHisResume) {
  const auto first = Start();
  Tail whole(first->events, std::nullopt);
  ASSERT_TRUE(whole.Starts());
  const EventCut begin = whole.cut();
  IssueDirect("aaaaaa");
  for (int i = 1; i <= 20; ++i) Extend("aaaaaa", 4000 + i);
  ASSERT_TRUE(whole.ReadsAtLeast(21));
  const EventCut recent = whole.cut();
  for (int i = 21; i <= 23; ++i) Extend("aaaaaa", 4000 + i);
  ASSERT_TRUE(whole.ReadsAtLeast(24));
  TokenEvents::Options options = Defaults();
  options.missed.max_events = 4;
  const auto late = Start(options);

  // The first look is held up until the next has to be for both.
  std::atomic<bool> both_ask = false;
  api_.BeforeNext(Verb::kList, 1, [&] {
    EXPECT_TRUE(WaitUntil([&] { return both_ask.load(); }));
  });
  Tail alone(late->events, recent);
  Tail old(late->events, begin);
  Tail young(late->events, recent);
  both_ask = true;
  ASSERT_TRUE(old.HasGap());
  EXPECT_THAT(old.gaps(), ElementsAre(GapCause::kTooMuch));
  ASSERT_TRUE(young.ReadsAtLeast(3));
  EXPECT_THAT(young.gaps(), IsEmpty());
  EXPECT_THAT(young.lives().at("aaaaaa"), SizeIs(3));
}

TEST_F(TokenEventsTest, ASlowReaderIsToldOfItsGapAndHoldsUpNobody) {
  TokenEvents::Options options = Defaults();
  options.max_events = 4;
  const auto replica = Start(options);
  Tail slow(replica->events, std::nullopt);
  Tail quick(replica->events, std::nullopt);
  ASSERT_TRUE(slow.Starts());
  ASSERT_TRUE(quick.Starts());
  IssueDirect("aaaaaa");
  for (int i = 1; i <= 8; ++i) {
    Extend("aaaaaa", 4000 + i);
    ASSERT_TRUE(quick.ReadsAtLeast(static_cast<size_t>(i) + 1));
  }
  EXPECT_THAT(quick.gaps(), IsEmpty());
  slow.Read();
  EXPECT_THAT(slow.gaps(), ElementsAre(GapCause::kReadTooSlowly));
  EXPECT_THAT(slow.lives(), IsEmpty());
  IssueDirect("bbbbbb");
  EXPECT_TRUE(slow.ReadsAtLeast(1));
  EXPECT_EQ(slow.lives(), (Lives{{"bbbbbb", {"issued"}}}));
}

TEST_F(TokenEventsTest, TheRingIsBoundedInBytesToo) {
  TokenEvents::Options options = Defaults();
  options.max_bytes = 10'000;
  const auto replica = Start(options);
  Tail slow(replica->events, std::nullopt);
  Tail quick(replica->events, std::nullopt);
  ASSERT_TRUE(slow.Starts());
  ASSERT_TRUE(quick.Starts());
  IssueDirect("aaaaaa");
  for (int i = 1; i <= 20; ++i) {
    Extend("aaaaaa", 4000 + i);
    ASSERT_TRUE(quick.ReadsAtLeast(static_cast<size_t>(i) + 1));
  }
  EXPECT_THAT(quick.gaps(), IsEmpty());
  slow.Read();
  EXPECT_THAT(slow.gaps(), ElementsAre(GapCause::kReadTooSlowly));
}

TEST_F(TokenEventsTest, WhatReadersMissedIsBoundedForAllOfThem) {
  const auto replica = Start();
  Tail whole(replica->events, std::nullopt);
  ASSERT_TRUE(whole.Starts());
  const EventCut begin = whole.cut();
  IssueDirect("aaaaaa");
  for (int i = 1; i <= 20; ++i) {
    Extend("aaaaaa", 4000 + i);
    ASSERT_TRUE(whole.ReadsAtLeast(static_cast<size_t>(i) + 1));
  }
  const size_t bytes = 21 * BytesOf(latchkey::EventOfWrite(Record("aaaaaa")));
  TokenEvents::Options options = Defaults();
  options.max_missed_bytes = bytes * 5 / 2;  // for two readers
  const auto late = Start(options);
  // One event of each, which shows that it has been looked up.
  std::deque<TokenEvents::Position> readers;
  const auto reads_one = [&](TokenEvents::Position& position) {
    TokenEvents::News news;
    EXPECT_TRUE(WaitUntil([&] {
      news = late->events.Next(position);
      return news.kind != TokenEvents::News::Kind::kNothing;
    }));
    return news;
  };
  for (int i = 0; i < 3; ++i) {
    readers.push_back(TokenEvents::Begin(begin));
    EXPECT_EQ(reads_one(readers.back()).kind, TokenEvents::News::Kind::kEvent);
    // The first reads on; it is the second that stands still.
    EXPECT_EQ(reads_one(readers.front()).kind, TokenEvents::News::Kind::kEvent);
  }
  const TokenEvents::News second = reads_one(readers[1]);
  EXPECT_EQ(second.kind, TokenEvents::News::Kind::kGap);
  EXPECT_EQ(second.gap, GapCause::kReadTooSlowly);
  for (const size_t i : {0, 2}) {
    const size_t read = i == 0 ? 4 : 1;
    for (size_t left = 21 - read; left > 0; --left) {
      ASSERT_EQ(reads_one(readers[i]).kind, TokenEvents::News::Kind::kEvent);
    }
  }
  IssueDirect("bbbbbb");
  EXPECT_EQ(reads_one(readers[1]).event->record.id, Id("bbbbbb"))
      << "and then it goes on";
}

TEST_F(TokenEventsTest, SomebodysTouchIsNoEvent) {
  const auto replica = Start();
  Tail tail(replica->events, std::nullopt);
  ASSERT_TRUE(tail.Starts());
  IssueDirect("aaaaaa");
  auto secret = api_.Get<Secret>({"kube-system", "bootstrap-token-aaaaaa"});
  ASSERT_THAT(secret, IsOk());
  (*secret->mutable_metadata()->mutable_annotations())["theirs"] = "1";
  ASSERT_THAT(api_.Update(*secret), IsOk());
  Revoke("aaaaaa");
  ASSERT_TRUE(tail.ReadsAtLeast(2));
  EXPECT_EQ(tail.lives(), (Lives{{"aaaaaa", {"issued", "revoked"}}}));
}

TEST_F(TokenEventsTest, ACursorOfAnotherClusterIsAGapAfterAWhile) {
  TokenEvents::Options options = Defaults();
  options.max_ahead = absl::Milliseconds(100);
  const auto replica = Start(options);
  Tail tail(replica->events, EventCut{.records = 1U << 30, .csrs = 1U << 30});
  ASSERT_TRUE(tail.HasGap());
  EXPECT_THAT(tail.gaps(), ElementsAre(GapCause::kCursorAhead));
  IssueDirect("aaaaaa");
  EXPECT_TRUE(tail.ReadsAtLeast(1));
}

TEST_F(TokenEventsTest, AListOfOursIsAGapForEverybody) {
  FakeKubernetesClient cluster(clock_);
  TokenEvents events({}, cluster);
  events.RecordsListed({}, "100");
  events.CsrsListed({}, "100");
  Tail tail(events, std::nullopt);
  events.RecordsListed({}, "200");
  ASSERT_TRUE(tail.HasGap());
  EXPECT_THAT(tail.gaps(), ElementsAre(GapCause::kWatchInterrupted));
}

TEST_F(TokenEventsTest, WhatTheClusterCannotTellIsAGap) {
  FakeKubernetesClient cluster(clock_);
  TokenEvents events({}, cluster);
  cluster.FailNext(Verb::kList, 1, absl::PermissionDeniedError("rbac"));
  events.RecordsListed({}, "100");
  events.CsrsListed({}, "100");
  Tail resumed(events, EventCut{.records = 50, .csrs = 50});
  ASSERT_TRUE(resumed.HasGap());
  EXPECT_THAT(resumed.gaps(), ElementsAre(GapCause::kUnknown));
}

TEST_F(TokenEventsTest, BookmarksMoveTheCursorOn) {
  const auto replica = Start();
  Tail tail(replica->events, std::nullopt);
  ASSERT_TRUE(tail.Starts());
  const EventCut begin = tail.cut();
  AddNode("worker-9");
  EXPECT_TRUE(WaitUntil([&] {
    tail.Read();
    return tail.cut().records > begin.records && tail.cut().csrs > begin.csrs;
  }));
}

TEST_F(TokenEventsTest, WhatIsWrittenBeforeBothListsAreThereIsNotKept) {
  FakeKubernetesClient cluster(clock_);
  TokenEvents events({}, cluster);
  uint64_t version = 100;
  const auto write = [&](const std::string& id) {
    events.RecordWritten({.record = IssuedRecord(id),
                          .version = std::to_string(++version),
                          .uid = {}},
                         true);
  };
  events.RecordsListed({}, "100");
  for (int i = 0; i < 1000; ++i) write(fmt::format("i{:05}", i));
  events.CsrsListed({}, "2000");

  // What the records' watch has shown by now has to be asked of the cluster.
  cluster.FailNext(Verb::kList, 1, absl::OutOfRangeError("forgotten"));
  Tail resumed(events, EventCut{.records = 100, .csrs = 2000});
  Tail fresh(events, std::nullopt);
  ASSERT_TRUE(resumed.HasGap());
  EXPECT_THAT(resumed.lives(), IsEmpty());
  write("after1");
  EXPECT_TRUE(resumed.ReadsAtLeast(1));
  EXPECT_TRUE(fresh.ReadsAtLeast(1));
  EXPECT_EQ(fresh.lives(), (Lives{{"after1", {"issued"}}}));
  EXPECT_EQ(fresh.cut(), (EventCut{.records = version, .csrs = 2000}));
}

class CountingReader final : public TokenEvents::Reader {
 public:
  void OnNews() override { ++news; }
  void OnTick() override { ++ticks; }
  std::atomic<int> news = 0;
  std::atomic<int> ticks = 0;
};

TEST_F(TokenEventsTest, ReadersAreCalledWhenThereIsNewsAndNotAfterwards) {
  TokenEvents::Options options = Defaults();
  options.tick = absl::Milliseconds(20);
  const auto replica = Start(options);
  const auto reader = std::make_shared<CountingReader>();
  replica->events.Add(reader);
  IssueDirect("aaaaaa");
  EXPECT_TRUE(WaitUntil([&] { return reader->news > 0; }));
  EXPECT_TRUE(WaitUntil([&] { return reader->ticks > 2; }));
  replica->events.Remove(reader.get());
  EXPECT_TRUE(WaitUntil([&] { return reader.use_count() == 1; }));
}

}  // namespace
}  // namespace latchkey_testing
