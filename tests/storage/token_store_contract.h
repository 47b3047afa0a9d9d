// What every TokenStore promises. A store joins with a factory:
//
//   struct Factory {
//     // A store without records, alive as long as the factory.
//     latchkey::TokenStore& store();
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Memory, TokenStoreContract, Factory);

#ifndef LATCHKEY_TESTS_STORAGE_TOKEN_STORE_CONTRACT_H_
#define LATCHKEY_TESTS_STORAGE_TOKEN_STORE_CONTRACT_H_

#include <atomic>
#include <barrier>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/reasons.h"
#include "crypto/random.h"
#include "storage/advance.h"
#include "storage/token_life.h"
#include "storage/token_store.h"
#include "tests/storage/records.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {

template <typename Factory>
class TokenStoreContract : public ::testing::Test {
 protected:
  latchkey::TokenStore& store() { return factory_.store(); }

  // A record under an id of its own, so that stores may outlive a test. Far in
  // the future: a real cluster's token-cleaner removes what has expired.
  latchkey::TokenRecord Fresh() {
    latchkey::TokenRecord record = IssuedRecord(std::string(
        latchkey::RandomBase36(latchkey::TokenId::kLength).Reveal()));
    record.expire_time = At(100'000'000);
    return record;
  }
  latchkey::StoredToken Inserted(const latchkey::TokenRecord& record) {
    absl::StatusOr<latchkey::StoredToken> stored = store().Insert(record);
    EXPECT_THAT(stored, IsOk());
    return *stored;
  }
  // Fresh records of `provisioner`.
  std::vector<latchkey::StoredToken> Fill(const std::string& provisioner,
                                          int count) {
    std::vector<latchkey::StoredToken> all;
    for (int i = 0; i < count; ++i) {
      latchkey::TokenRecord record = Fresh();
      record.provisioner = provisioner;
      all.push_back(Inserted(record));
    }
    return all;
  }
  // Nobody else's: stores may outlive a test.
  static std::string NewProvisioner() {
    return "spiffe://example.org/" +
           std::string(latchkey::RandomBase36(12).Reveal());
  }
  // Every page from `query` on. No page may be larger than asked for, nothing
  // may come twice.
  std::map<std::string, latchkey::TokenRecord> ListAll(
      latchkey::TokenQuery query) {
    std::map<std::string, latchkey::TokenRecord> all;
    do {
      const auto page = store().List(query);
      EXPECT_THAT(page, IsOk());
      if (!page.ok()) return all;
      EXPECT_LE(page->tokens.size(), query.page_size);
      for (const latchkey::StoredToken& token : page->tokens) {
        EXPECT_TRUE(all.emplace(token.record.id.text(), token.record).second)
            << "listed twice: " << token.record.id.text();
      }
      query.page_token = page->next_page_token;
    } while (!query.page_token.empty());
    return all;
  }

 private:
  Factory factory_;
};

// A failing comparison must not print secrets; it names the first field.
inline std::string FirstDifference(const latchkey::TokenRecord& a,
                                   const latchkey::TokenRecord& b) {
  if (a.id != b.id) return "id";
  if (a.state != b.state) return "state";
  if (a.secret.Reveal() != b.secret.Reveal()) return "secret";
  if (a.delivery != b.delivery) return "delivery";
  if (a.scope != b.scope) return "scope";
  if (a.groups != b.groups) return "groups";
  if (a.provisioner != b.provisioner) return "provisioner";
  if (a.rule != b.rule) return "rule";
  if (a.provisioner_kind != b.provisioner_kind) return "provisioner_kind";
  if (a.labels != b.labels) return "labels";
  if (a.last_step != b.last_step) return "last_step";
  if (a.refused != b.refused) return "refused";
  if (a.request_key != b.request_key) return "request_key";
  if (a.request_digest != b.request_digest) return "request_digest";
  if (a.ticket_digest != b.ticket_digest) return "ticket_digest";
  if (a.ticket_salt.Reveal() != b.ticket_salt.Reveal()) return "ticket_salt";
  if (a.expire_time != b.expire_time) return "expire_time";
  if (a.claim != b.claim) return "claim";
  if (a.reservation != b.reservation) return "reservation";
  if (a.certificate != b.certificate) return "certificate";
  if (a.revocation != b.revocation) return "revocation";
  return "";
}

TYPED_TEST_SUITE_P(TokenStoreContract);

TYPED_TEST_P(TokenStoreContract, FindsWhatWasInserted) {
  latchkey::TokenRecord record = this->Fresh();
  record.scope.groups = {"system:bootstrappers:a", "system:bootstrappers:b"};
  record.scope.max_certificate_lifetime = absl::Hours(36);
  record.scope.key_digest = Key('7');
  record.scope.allow_node_replacement = true;
  record.provisioner_kind = latchkey::IdentityKind::kServiceAccount;
  record.labels = {{"team", "a"}, {"empty", ""}};
  const latchkey::StoredToken inserted = this->Inserted(record);

  const auto found = this->store().Find(record.id);
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(FirstDifference(found->record, record), "");
  EXPECT_EQ(found->version, inserted.version);
  EXPECT_EQ(found->uid, inserted.uid);
  EXPECT_NE(found->record.create_time, absl::InfinitePast());
}

TYPED_TEST_P(TokenStoreContract, KeepsEveryFieldOfEveryState) {
  const latchkey::TokenRecord issued = this->Fresh();
  latchkey::StoredToken stored = this->Inserted(issued);
  const auto step = [&](const latchkey::NextRecord& next) {
    ASSERT_TRUE(next.ok() && next->has_value());
    const auto written = this->store().Replace(stored, **next);
    ASSERT_THAT(written, IsOk());
    EXPECT_EQ(FirstDifference(written->record, **next), "");
    const auto found = this->store().Find(issued.id);
    ASSERT_THAT(found, IsOk());
    EXPECT_EQ(FirstDifference(found->record, **next), "");
    EXPECT_EQ(found->uid, stored.uid);
    stored = *found;
  };
  const latchkey::SecretString stand_in("zzzzzzzzzzzzzzzz");
  step(latchkey::Claim(stored.record,
                       {.node_name = "worker-1",
                        .key_digest = Key('1'),
                        .claimant = "ipv4:10.0.0.7:4242"},
                       At(10), absl::Hours(10'000)));
  step(latchkey::Reserve(stored.record, HeldBy("a", '1'), At(20)));
  step(latchkey::Release(stored.record, "uid-a"));
  step(latchkey::Reserve(stored.record, HeldBy("b", '1'), At(20)));
  step(latchkey::Spend(stored.record, "uid-b",
                       {.fingerprint = Key('f'),
                        .serial = "0a1b",
                        .not_after = At(9000),
                        .time = At(30)},
                       stand_in));
}

TYPED_TEST_P(TokenStoreContract, KeepsARevocation) {
  latchkey::StoredToken stored = this->Inserted(this->Fresh());
  const auto next = latchkey::Revoke(
      stored.record, {.who = "operator", .why = "lost in mail", .time = At(7)},
      latchkey::SecretString("zzzzzzzzzzzzzzzz"));
  ASSERT_TRUE(next.ok());
  ASSERT_THAT(this->store().Replace(stored, **next), IsOk());
  const auto found = this->store().Find(stored.record.id);
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(FirstDifference(found->record, **next), "");
}

TYPED_TEST_P(TokenStoreContract, AnIdIsTakenOnce) {
  const latchkey::TokenRecord first = this->Fresh();
  this->Inserted(first);
  latchkey::TokenRecord second = first;
  second.provisioner = "somebody-else";

  EXPECT_THAT(this->store().Insert(second),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(this->store().Find(first.id)->record.provisioner,
            first.provisioner);
}

TYPED_TEST_P(TokenStoreContract, OneOfManyInsertersWins) {
  const latchkey::TokenRecord record = this->Fresh();
  constexpr int kRacers = 8;
  std::barrier start(kRacers);
  std::atomic<int> winners = 0;
  {
    std::vector<std::jthread> racers;
    for (int i = 0; i < kRacers; ++i) {
      racers.emplace_back([&] {
        start.arrive_and_wait();
        if (this->store().Insert(record).ok()) ++winners;
      });
    }
  }
  EXPECT_EQ(winners, 1);
}

TYPED_TEST_P(TokenStoreContract, ReplacesOnlyTheVersionSeen) {
  const latchkey::StoredToken seen = this->Inserted(this->Fresh());
  latchkey::TokenRecord next = seen.record;
  next.rule = "first";
  ASSERT_THAT(this->store().Replace(seen, next), IsOk());
  next.rule = "second";

  EXPECT_THAT(this->store().Replace(seen, next),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(this->store().Find(seen.record.id)->record.rule, "first");
}

TYPED_TEST_P(TokenStoreContract, OneOfManyReplacersWins) {
  const latchkey::StoredToken seen = this->Inserted(this->Fresh());
  constexpr int kRacers = 8;
  std::barrier start(kRacers);
  std::atomic<int> winners = 0;
  {
    std::vector<std::jthread> racers;
    for (int i = 0; i < kRacers; ++i) {
      racers.emplace_back([&, i] {
        latchkey::TokenRecord next = seen.record;
        next.rule = "racer-" + std::to_string(i);
        start.arrive_and_wait();
        if (this->store().Replace(seen, next).ok()) ++winners;
      });
    }
  }
  EXPECT_EQ(winners, 1);
}

TYPED_TEST_P(TokenStoreContract, OneOfManyCsrsReservesTheToken) {
  latchkey::TokenRecord direct =
      DirectRecord(std::string(latchkey::RandomBase36(6).Reveal()));
  direct.expire_time = At(100'000'000);
  this->Inserted(direct);
  constexpr int kRacers = 8;
  std::barrier start(kRacers);
  std::atomic<int> winners = 0;
  {
    std::vector<std::jthread> racers;
    for (int i = 0; i < kRacers; ++i) {
      racers.emplace_back([&, i] {
        start.arrive_and_wait();
        const auto reserved = latchkey::Advance(
            this->store(), direct.id, [&](const latchkey::TokenRecord& record) {
              return latchkey::Reserve(
                  record, HeldBy(std::to_string(i), static_cast<char>('1' + i)),
                  At(20));
            });
        if (reserved.ok()) ++winners;
      });
    }
  }
  EXPECT_EQ(winners, 1);
}

TYPED_TEST_P(TokenStoreContract, RemovesOnlyTheVersionSeen) {
  const latchkey::StoredToken seen = this->Inserted(this->Fresh());
  latchkey::TokenRecord next = seen.record;
  next.rule = "changed";
  const auto changed = this->store().Replace(seen, next);
  ASSERT_THAT(changed, IsOk());

  EXPECT_THAT(this->store().Remove(seen), StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(this->store().Remove(*changed), IsOk());
  EXPECT_THAT(this->store().Find(seen.record.id),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(this->store().Remove(*changed),
              StatusIs(absl::StatusCode::kNotFound));
}

TYPED_TEST_P(TokenStoreContract, AReplacementOfWhatIsGoneIsNotACreate) {
  const latchkey::StoredToken seen = this->Inserted(this->Fresh());
  ASSERT_THAT(this->store().Remove(seen), IsOk());

  EXPECT_FALSE(this->store().Replace(seen, seen.record).ok());
  EXPECT_THAT(this->store().Find(seen.record.id),
              StatusIs(absl::StatusCode::kNotFound));
}

TYPED_TEST_P(TokenStoreContract, ANewRecordOfTheSameIdIsNotTheOld) {
  const latchkey::StoredToken old = this->Inserted(this->Fresh());
  ASSERT_THAT(this->store().Remove(old), IsOk());
  const latchkey::StoredToken fresh = this->Inserted(old.record);

  EXPECT_NE(fresh.uid, old.uid);
  EXPECT_FALSE(this->store().Replace(old, old.record).ok());
  EXPECT_FALSE(this->store().Remove(old).ok());
  EXPECT_THAT(this->store().Find(old.record.id), IsOk());
}

TYPED_TEST_P(TokenStoreContract, ListsAllOfAProvisionerInPages) {
  const std::string provisioner = this->NewProvisioner();
  const auto own = this->Fill(provisioner, 25);
  this->Fill(this->NewProvisioner(), 5);

  const auto listed =
      this->ListAll({.filter = {.provisioner = provisioner}, .page_size = 10});
  EXPECT_EQ(listed.size(), own.size());
  for (const latchkey::StoredToken& token : own) {
    const auto found = listed.find(token.record.id.text());
    ASSERT_NE(found, listed.end());
    EXPECT_EQ(FirstDifference(found->second, token.record), "");
  }
}

TYPED_TEST_P(TokenStoreContract, TheFilterSelectsByEveryField) {
  const std::string provisioner = this->NewProvisioner();
  latchkey::TokenRecord record = this->Fresh();
  record.provisioner = provisioner;
  record.labels = {{"team", "a"}, {"empty", ""}};
  record.scope.node_name = "gpu-7.pool";
  this->Inserted(record);
  latchkey::TokenRecord other = this->Fresh();
  other.provisioner = provisioner;
  other.labels = {{"team", "b"}};
  other.expire_time = record.expire_time + absl::Hours(1);
  const latchkey::StoredToken stored = this->Inserted(other);
  const auto revoked =
      latchkey::Revoke(stored.record, {.who = "o", .why = "x", .time = At(7)},
                       latchkey::SecretString("zzzzzzzzzzzzzzzz"));
  ASSERT_THAT(this->store().Replace(stored, **revoked), IsOk());

  struct Case {
    const char* name;
    latchkey::TokenFilter selects;
    latchkey::TokenFilter passes_over;
  };
  using enum latchkey::TokenState;
  const absl::Time expiry = record.expire_time;
  const Case cases[] = {
      {"states", {.states = {kIssued, kActive}}, {.states = {kRevoked}}},
      {"a label", {.labels = {{"team", "a"}}}, {.labels = {{"team", "b"}}}},
      {"an empty label",
       {.labels = {{"empty", ""}}},
       {.labels = {{"team", ""}}}},
      {"a name", {.node_name = "gpu-7.pool"}, {.node_name = "gpu-7"}},
      {"a pattern", {.node_name = "gpu-*.pool"}, {.node_name = "gpu-*"}},
      {"before",
       {.expires_before = expiry + absl::Seconds(1)},
       {.expires_before = expiry}},
      {"after",
       {.expires_after = expiry},
       {.expires_after = expiry + absl::Seconds(1)}},
  };
  for (Case c : cases) {
    SCOPED_TRACE(c.name);
    c.selects.provisioner = c.passes_over.provisioner = provisioner;
    EXPECT_TRUE(
        this->ListAll({.filter = c.selects}).contains(record.id.text()));
    EXPECT_FALSE(
        this->ListAll({.filter = c.passes_over}).contains(record.id.text()));
  }
}

TYPED_TEST_P(TokenStoreContract, PagesShowTheMomentOfTheFirst) {
  const std::string provisioner = this->NewProvisioner();
  const auto before = this->Fill(provisioner, 20);
  latchkey::TokenQuery query{.filter = {.provisioner = provisioner},
                             .page_size = 5};
  const auto first = this->store().List(query);
  ASSERT_THAT(first, IsOk());
  ASSERT_EQ(first->tokens.size(), 5U);

  this->Fill(provisioner, 10);
  for (size_t i = 0; i < before.size(); i += 2) {
    if (i % 4 == 0) {
      ASSERT_THAT(this->store().Remove(before[i]), IsOk());
    } else {
      latchkey::TokenRecord next = before[i].record;
      next.rule = "changed";
      ASSERT_THAT(this->store().Replace(before[i], next), IsOk());
    }
  }
  query.page_token = first->next_page_token;
  auto listed = this->ListAll(query);
  for (const auto& token : first->tokens) {
    EXPECT_TRUE(listed.emplace(token.record.id.text(), token.record).second);
  }
  EXPECT_EQ(listed.size(), before.size());
  for (const latchkey::StoredToken& token : before) {
    const auto found = listed.find(token.record.id.text());
    ASSERT_NE(found, listed.end());
    EXPECT_EQ(found->second.rule, token.record.rule);
  }
  EXPECT_THAT(this->store().List(query), IsOk()) << "a page may be asked again";
}

TYPED_TEST_P(TokenStoreContract, RefusesAPageTokenOfNoListing) {
  for (const char* text : {"nonsense", "1", "1.x", ".", "ÿÿ"}) {
    SCOPED_TRACE(text);
    EXPECT_THAT(this->store().List({.filter = {}, .page_token = text}),
                ReasonIs(latchkey::reason::kInvalidField));
  }
}

REGISTER_TYPED_TEST_SUITE_P(
    TokenStoreContract, FindsWhatWasInserted, KeepsEveryFieldOfEveryState,
    KeepsARevocation, AnIdIsTakenOnce, OneOfManyInsertersWins,
    ReplacesOnlyTheVersionSeen, OneOfManyReplacersWins,
    OneOfManyCsrsReservesTheToken, RemovesOnlyTheVersionSeen,
    AReplacementOfWhatIsGoneIsNotACreate, ANewRecordOfTheSameIdIsNotTheOld,
    ListsAllOfAProvisionerInPages, TheFilterSelectsByEveryField,
    PagesShowTheMomentOfTheFirst, RefusesAPageTokenOfNoListing);

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_STORAGE_TOKEN_STORE_CONTRACT_H_
