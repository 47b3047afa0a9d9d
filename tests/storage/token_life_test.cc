#include "storage/token_life.h"

#include <string>

#include <gmock/gmock.h>

#include "core/reasons.h"
#include "tests/storage/records.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::At;
using latchkey_testing::DirectRecord;
using latchkey_testing::HeldBy;
using latchkey_testing::IsOk;
using latchkey_testing::IssuedRecord;
using latchkey_testing::Key;
using latchkey_testing::ReasonIs;

const SecretString kStandIn{"zzzzzzzzzzzzzzzz"};
const BoughtCertificate kCertificate = {
    .fingerprint = Key('f'), .serial = "01", .not_after = At(90'000)};

// The record after an arrow that must lead somewhere.
TokenRecord After(const NextRecord& next) {
  EXPECT_THAT(next, IsOk());
  EXPECT_TRUE(next.ok() && next->has_value()) << "nothing was to be written";
  return next.ok() && next->has_value() ? **next : IssuedRecord();
}

bool NothingToWrite(const NextRecord& next) {
  return next.ok() && !next->has_value();
}

ClaimRequest By(char key, std::string_view node = "worker-1") {
  return {.node_name = std::string(node),
          .key_digest = Key(key),
          .claimant = "ipv4:10.0.0.7:4242"};
}

TokenRecord Claimed(char key) {
  return After(Claim(IssuedRecord(), By(key), At(10), absl::Minutes(15)));
}
TokenRecord Reserved(char key = '1') {
  return After(Reserve(Claimed(key), HeldBy("a", key), At(20)));
}
TokenRecord Spent() {
  return After(Spend(Reserved(), "uid-a", kCertificate, kStandIn));
}
TokenRecord Revoked() {
  return After(Revoke(IssuedRecord(),
                      {.who = "op", .why = "lost", .time = At(5)}, kStandIn));
}

TEST(TokenLifeTest, AClaimBindsTheKeyAndOpensTheJoinWindow) {
  const TokenRecord record = Claimed('1');

  EXPECT_EQ(record.state, TokenState::kActive);
  EXPECT_EQ(record.BoundKey(), Key('1'));
  EXPECT_EQ(record.expire_time, At(10 + 15 * 60));
  EXPECT_EQ(record.claim->claimant, "ipv4:10.0.0.7:4242");
}

TEST(TokenLifeTest, TheSameKeyMayClaimAgainUntilTheWindowCloses) {
  EXPECT_TRUE(
      NothingToWrite(Claim(Claimed('1'), By('1'), At(500), absl::Minutes(15))));
  EXPECT_TRUE(NothingToWrite(
      Claim(Reserved('1'), By('1'), At(500), absl::Minutes(15))));
  EXPECT_THAT(Claim(Claimed('1'), By('1'), At(10 + 15 * 60), absl::Minutes(15)),
              ReasonIs(reason::kTokenExpired));
}

TEST(TokenLifeTest, AnAttemptIsNotedOnceWhileThereIsRoomAndTheTokenLives) {
  const RefusedAttempt first{.reason = "R", .by = "csr a", .time = At(30)};
  const TokenRecord noted = After(NoteRefused(Reserved(), first, 2));
  EXPECT_EQ(noted.state, TokenState::kReserved);
  EXPECT_EQ(noted.last_step, TokenStep::kRefused);
  EXPECT_THAT(noted.refused, ::testing::ElementsAre(first));

  RefusedAttempt next = first;
  next.time = At(40);
  EXPECT_TRUE(NothingToWrite(NoteRefused(noted, next, 2))) << "the same";
  next.reason = "S";
  EXPECT_TRUE(NothingToWrite(NoteRefused(noted, next, 1))) << "no room";
  EXPECT_THAT(After(NoteRefused(noted, next, 2)).refused,
              ::testing::ElementsAre(first, next));
  next.by = "csr b";
  EXPECT_THAT(After(NoteRefused(noted, next, 2)).refused,
              ::testing::ElementsAre(first, next));
  EXPECT_TRUE(NothingToWrite(NoteRefused(Spent(), first, 2)));
  EXPECT_TRUE(NothingToWrite(NoteRefused(Revoked(), first, 2)));
}

TEST(TokenLifeTest, ClaimsThatAreRefused) {
  TokenRecord bound = IssuedRecord();
  bound.scope.key_digest = Key('9');
  struct Case {
    const char* name;
    TokenRecord record;
    ClaimRequest request;
    std::string_view want;
  };
  const Case cases[] = {
      {"another key after the first", Claimed('1'), By('2'),
       reason::kTicketAlreadyClaimed},
      {"another key while reserved", Reserved('1'), By('2'),
       reason::kTicketAlreadyClaimed},
      {"another node name", IssuedRecord(), By('1', "worker-2"),
       reason::kScopeNodeName},
      {"a key that the scope does not name", bound, By('1'),
       reason::kScopePublicKey},
      {"a direct token, which has no ticket", DirectRecord(), By('1'),
       reason::kTicketAlreadyClaimed},
      {"a spent token", Spent(), By('1'), reason::kTokenSpent},
      {"a revoked token", Revoked(), By('1'), reason::kTokenRevoked},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(Claim(c.record, c.request, At(30), absl::Minutes(15)),
                ReasonIs(c.want));
  }
  EXPECT_THAT(Claim(IssuedRecord(), By('1'), At(3600), absl::Minutes(15)),
              ReasonIs(reason::kTokenExpired))
      << "the boundary instant is expired";
}

TEST(TokenLifeTest, OneCsrHoldsTheToken) {
  const TokenRecord record = Reserved();

  EXPECT_EQ(record.state, TokenState::kReserved);
  EXPECT_EQ(record.reservation->csr_uid, "uid-a");
  EXPECT_TRUE(NothingToWrite(Reserve(record, HeldBy("a", '1'), At(30))));
  EXPECT_THAT(Reserve(record, HeldBy("b", '1'), At(30)),
              ReasonIs(reason::kTokenReserved));
}

TEST(TokenLifeTest, ReservationsThatAreRefused) {
  EXPECT_THAT(Reserve(IssuedRecord(), HeldBy("a", '1'), At(20)),
              ReasonIs(reason::kTokenNotClaimed));
  EXPECT_THAT(Reserve(Claimed('1'), HeldBy("a", '2'), At(20)),
              ReasonIs(reason::kScopePublicKey));
  EXPECT_THAT(Reserve(Claimed('1'), HeldBy("a", '1'), At(10 + 15 * 60)),
              ReasonIs(reason::kTokenExpired));
  EXPECT_THAT(Reserve(Spent(), HeldBy("a", '1'), At(20)),
              ReasonIs(reason::kTokenSpent));
  EXPECT_THAT(Reserve(Revoked(), HeldBy("a", '1'), At(20)),
              ReasonIs(reason::kTokenRevoked));
}

TEST(TokenLifeTest, ADirectTokenIsBoundByTheCsrThatHoldsIt) {
  EXPECT_EQ(DirectRecord().BoundKey(), std::nullopt);
  const TokenRecord held =
      After(Reserve(DirectRecord(), HeldBy("a", '1'), At(20)));
  EXPECT_EQ(held.BoundKey(), Key('1'));

  // A CSR that died bought nothing, so its key binds nothing: a kubelet makes a
  // new key for each attempt.
  const TokenRecord released = After(Release(held, "uid-a"));
  EXPECT_EQ(released.BoundKey(), std::nullopt);
  EXPECT_EQ(After(Reserve(released, HeldBy("b", '2'), At(30))).BoundKey(),
            Key('2'));
}

TEST(TokenLifeTest, OnlyTheHolderReleases) {
  EXPECT_TRUE(NothingToWrite(Release(Reserved(), "uid-b")));
  EXPECT_TRUE(NothingToWrite(Release(Claimed('1'), "uid-a")));
  EXPECT_TRUE(NothingToWrite(Release(Spent(), "uid-a")));
  const TokenRecord released = After(Release(Reserved(), "uid-a"));
  EXPECT_EQ(released.state, TokenState::kActive);
  EXPECT_EQ(released.BoundKey(), Key('1')) << "the claim still binds";
}

TEST(TokenLifeTest, ASpentTokenIsAScrubbedTombstone) {
  const TokenRecord record = Spent();

  EXPECT_EQ(record.state, TokenState::kSpent);
  EXPECT_EQ(record.secret.Reveal(), kStandIn.Reveal());
  EXPECT_TRUE(record.ticket_salt.empty());
  EXPECT_EQ(record.certificate, kCertificate);
  EXPECT_EQ(record.reservation->csr_uid, "uid-a");
  EXPECT_TRUE(NothingToWrite(Spend(record, "uid-a", kCertificate, kStandIn)));
  EXPECT_FALSE(Spend(record, "uid-b", kCertificate, kStandIn).ok());
  EXPECT_FALSE(Spend(Claimed('1'), "uid-a", kCertificate, kStandIn).ok());
  EXPECT_FALSE(Spend(Reserved(), "uid-b", kCertificate, kStandIn).ok());
}

TEST(TokenLifeTest, RevokingScrubsUnlessItIsTooLate) {
  const Revocation revocation = {.who = "op", .why = "lost", .time = At(5)};
  for (const TokenRecord& record : {IssuedRecord(), Claimed('1'), Reserved()}) {
    const TokenRecord revoked = After(Revoke(record, revocation, kStandIn));
    EXPECT_EQ(revoked.state, TokenState::kRevoked);
    EXPECT_EQ(revoked.secret.Reveal(), kStandIn.Reveal());
    EXPECT_TRUE(NothingToWrite(Revoke(revoked, revocation, kStandIn)));
  }
  EXPECT_THAT(Revoke(Spent(), revocation, kStandIn),
              ReasonIs(reason::kTokenSpent));
}

}  // namespace
}  // namespace latchkey
