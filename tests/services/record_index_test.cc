#include "services/record_index.h"

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "tests/storage/records.h"
#include "tests/testing/fake_execution.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::At;
using latchkey_testing::Id;
using latchkey_testing::IsOk;
using latchkey_testing::IssuedRecord;
using latchkey_testing::ReasonIs;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Pair;

constexpr char kAutoscaler[] = "spiffe://example.org/autoscaler";

class RecordIndexTest : public ::testing::Test {
 protected:
  RecordIndexTest() { index_.SetFresh(true); }

  // The request that gets the id `id`, unless another one has it.
  absl::StatusOr<RecordIndex::Place> Take(const char* id, int64_t limit,
                                          absl::Time now = At(0)) {
    return TakeFor(RequestOf(id), id, limit, now);
  }
  absl::StatusOr<RecordIndex::Place> TakeFor(const std::string& request_key,
                                             const char* id, int64_t limit,
                                             absl::Time now = At(0)) {
    return index_.Take({.provisioner = kAutoscaler,
                        .rule = "workers",
                        .max_outstanding = limit},
                       Id(id), request_key, now);
  }
  static std::string RequestOf(std::string_view id) {
    return "request of " + std::string(id);
  }
  static TokenRecord Issued(std::string_view id) {
    TokenRecord record = IssuedRecord(id);
    record.request_key = RequestOf(id);
    return record;
  }
  static StoredToken Stored(TokenRecord record) {
    return {.record = std::move(record), .version = "1", .uid = {}};
  }
  static TokenRecord SpentRecord(const char* id = "abc123") {
    TokenRecord record = Issued(id);
    record.state = TokenState::kSpent;
    record.last_step = TokenStep::kSpent;
    return record;
  }
  size_t Unused(absl::Time now = At(0)) {
    return index_.Unused(kAutoscaler, now);
  }

  RecordIndex index_;
};

TEST_F(RecordIndexTest, CountsWhereTokensStand) {
  index_.Note(Issued("aaaaaa"));
  index_.Note(Issued("bbbbbb"));
  index_.Note(SpentRecord("bbbbbb"));
  EXPECT_EQ(index_.CountsByState(), (RecordIndex::Counts{1, 0, 0, 1, 0}));
  index_.Remove(Id("aaaaaa"));
  EXPECT_EQ(index_.CountsByState(), (RecordIndex::Counts{0, 0, 0, 1, 0}));
  index_.Replace({Stored(Issued("cccccc"))});
  EXPECT_EQ(index_.CountsByState(), (RecordIndex::Counts{1, 0, 0, 0, 0}));
}

TEST_F(RecordIndexTest, AnExpiredTokenIsNotUnused) {
  index_.Note(Issued("aaaaaa"));
  TokenRecord longer = Issued("bbbbbb");
  longer.expire_time = At(7200);
  index_.Note(longer);
  EXPECT_EQ(Unused(At(3599)), 2U);
  EXPECT_EQ(Unused(At(3600)), 1U);
  // What is swept out is not swept out twice.
  index_.Remove(Id("aaaaaa"));
  EXPECT_EQ(Unused(At(3600)), 1U);
  index_.Note(SpentRecord("bbbbbb"));
  EXPECT_EQ(Unused(At(3600)), 0U);
}

TEST_F(RecordIndexTest, AWriteThatChangesNoLifeIsNoNews) {
  EXPECT_TRUE(index_.Note(Issued("abc123")));
  EXPECT_FALSE(index_.Note(Issued("abc123")));
  TokenRecord record = Issued("abc123");
  record.expire_time = At(4000);
  record.last_step = TokenStep::kExtended;
  EXPECT_TRUE(index_.Note(record));
  record.expire_time = At(4001);
  EXPECT_TRUE(index_.Note(record));
  record.last_step = TokenStep::kRefused;
  record.refused.push_back({.reason = "R", .by = "x", .time = At(1)});
  EXPECT_TRUE(index_.Note(record));
  record.refused.push_back({.reason = "R", .by = "x", .time = At(1)});
  EXPECT_TRUE(index_.Note(record));
  EXPECT_FALSE(index_.Note(record));
}

TEST_F(RecordIndexTest, RefusesBeyondTheLimitAndSaysWhich) {
  const auto first = Take("aaaaaa", 2);
  index_.Note(Issued("bbbbbb"));
  const auto refused = Take("cccccc", 2).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(refused, ReasonIs(reason::kQuotaOutstanding));
  EXPECT_THAT(MetadataOf(refused),
              AllOf(Contains(Pair("rule", "workers")),
                    Contains(Pair("limit", "2")), Contains(Pair("used", "2"))));
  EXPECT_THAT(Take("cccccc", 3), IsOk());
}

TEST_F(RecordIndexTest, APlaceIsGivenBackUnlessTheTokenIsKept) {
  { const auto place = Take("aaaaaa", 1); }
  {
    auto place = Take("bbbbbb", 1);
    ASSERT_THAT(place, IsOk());
    place->Keep();
  }
  EXPECT_THAT(Take("cccccc", 1).status(), ReasonIs(reason::kQuotaOutstanding));
  // The watch shows it: it counts by itself, and goes by itself.
  index_.Note(Issued("bbbbbb"));
  EXPECT_THAT(Take("cccccc", 1).status(), ReasonIs(reason::kQuotaOutstanding));
  index_.Note(SpentRecord("bbbbbb"));
  EXPECT_THAT(Take("cccccc", 1), IsOk());
}

TEST_F(RecordIndexTest, ATokenThatTheWatchShowsFirstCountsOnce) {
  auto place = Take("aaaaaa", 2);
  ASSERT_THAT(place, IsOk());
  index_.Note(Issued("aaaaaa"));
  const auto second = Take("bbbbbb", 2);
  EXPECT_THAT(second, IsOk());
  place->Keep();
  EXPECT_THAT(Take("cccccc", 2).status(), ReasonIs(reason::kQuotaOutstanding));
  EXPECT_THAT(Take("cccccc", 3), IsOk());
}

TEST_F(RecordIndexTest, ATokenThatIsThereNeedsNoPlace) {
  index_.Note(Issued("aaaaaa"));
  EXPECT_THAT(Take("aaaaaa", 1), IsOk());
  auto place = Take("bbbbbb", 2);
  ASSERT_THAT(place, IsOk());
  {
    // Two calls of one request.
    const auto same = Take("bbbbbb", 2);
    EXPECT_THAT(same, IsOk());
  }
  EXPECT_THAT(Take("cccccc", 2).status(), ReasonIs(reason::kQuotaOutstanding));
}

TEST_F(RecordIndexTest, APlaceIsTheRequestsWhateverIdItGets) {
  {
    auto place = Take("aaaaaa", 1);
    ASSERT_THAT(place, IsOk());
    place->Keep();
  }
  TokenRecord elsewhere = Issued("bbbbbb");
  elsewhere.request_key = RequestOf("aaaaaa");
  EXPECT_THAT(Take("cccccc", 1).status(), ReasonIs(reason::kQuotaOutstanding));
  index_.Note(elsewhere);
  EXPECT_EQ(Unused(), 1U);
  EXPECT_THAT(Take("cccccc", 1).status(), ReasonIs(reason::kQuotaOutstanding));
  EXPECT_THAT(Take("cccccc", 2), IsOk());
}

TEST_F(RecordIndexTest, ARequestThatMeetsAnothersIdNeedsAPlaceOfItsOwn) {
  index_.Note(Issued("aaaaaa"));
  EXPECT_THAT(TakeFor("another request", "aaaaaa", 1).status(),
              ReasonIs(reason::kQuotaOutstanding));
  // Before either is written, too.
  const auto first = Take("bbbbbb", 2);
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(TakeFor("another request", "bbbbbb", 2).status(),
              ReasonIs(reason::kQuotaOutstanding));
  const auto second = TakeFor("another request", "bbbbbb", 3);
  ASSERT_THAT(second, IsOk());
  // The first is written, and the second's place stays its own.
  index_.Note(Issued("bbbbbb"));
  EXPECT_THAT(Take("cccccc", 3).status(), ReasonIs(reason::kQuotaOutstanding));
}

TEST_F(RecordIndexTest, ATokenThatIsNeverShownIsForgotten) {
  {
    auto place = Take("aaaaaa", 1);
    ASSERT_THAT(place, IsOk());
    place->Keep();
  }
  const absl::Time end = At(0) + RecordIndex::kMaxUnseen;
  EXPECT_THAT(Take("bbbbbb", 1, end - absl::Seconds(1)).status(),
              ReasonIs(reason::kQuotaOutstanding));
  EXPECT_THAT(Take("bbbbbb", 1, end), IsOk());
}

TEST(RecordIndexLagTest, SaysHowLongTheWatchTookToShowWhatWasWritten) {
  latchkey_testing::FakeExecution time;
  std::vector<absl::Duration> seen;
  RecordIndex index([&](absl::Duration lag) { seen.push_back(lag); });
  index.Written(Id("aaaaaa"));
  time.Advance(absl::Milliseconds(40));
  index.Note(IssuedRecord("bbbbbb"));  // another broker's
  EXPECT_THAT(seen, ::testing::IsEmpty());
  index.Note(IssuedRecord("aaaaaa"));
  TokenRecord revoked = IssuedRecord("aaaaaa");
  revoked.state = TokenState::kRevoked;
  index.Note(revoked);
  EXPECT_THAT(seen, ::testing::ElementsAre(absl::Milliseconds(40)));
  // A list shows it too, and a watch may be faster than the answer.
  index.Written(Id("cccccc"));
  time.Advance(absl::Seconds(2));
  index.Replace(
      {{.record = IssuedRecord("cccccc"), .version = "1", .uid = {}}});
  index.Note(IssuedRecord("dddddd"));
  time.Advance(absl::Seconds(1));
  index.Written(Id("dddddd"));
  EXPECT_THAT(seen,
              ::testing::ElementsAre(absl::Milliseconds(40), absl::Seconds(2),
                                     absl::ZeroDuration()));
}

TEST_F(RecordIndexTest, KnowsNothingWhileTheWatchIsBehind) {
  index_.SetFresh(false);
  const auto refused = Take("aaaaaa", 10).status();
  EXPECT_THAT(refused, ReasonIs(reason::kClusterUnavailable));
  EXPECT_EQ(RetryAfterOf(refused), absl::Seconds(1));
}

TEST_F(RecordIndexTest, RacersGetExactlyThePlacesThereAre) {
  std::atomic<int> taken = 0;
  std::vector<std::jthread> racers;
  for (int i = 0; i < 64; ++i) {
    racers.emplace_back([&, i] {
      const std::string id = fmt::format("race{:02}", i);
      auto place = Take(id.c_str(), 10);
      if (!place.ok()) return;
      ++taken;
      // The watch may be faster than the answer of the write, or slower.
      if (i % 2 == 0) index_.Note(Issued(id));
      place->Keep();
      if (i % 2 == 1) index_.Note(Issued(id));
    });
  }
  racers.clear();
  EXPECT_EQ(taken, 10);
  EXPECT_EQ(Unused(), 10U);
}

}  // namespace
}  // namespace latchkey
