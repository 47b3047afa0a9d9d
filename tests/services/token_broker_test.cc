#include "services/token_broker.h"

#include <atomic>
#include <barrier>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "crypto/certificate_request.h"
#include "crypto/digest.h"
#include "storage/memory_token_store.h"
#include "tests/fakes/flaky_token_store.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::FlakyTokenStore;
using latchkey_testing::IsOk;
using latchkey_testing::ReasonIs;
using latchkey_testing::StatusIs;
using ::testing::Contains;
using ::testing::Pair;

// Two brokers over one store, as two replicas over one cluster.
class TokenBrokerTest : public ::testing::Test {
 protected:
  static std::vector<PolicyRule> Rules() {
    const IdentityMatcher autoscaler = {
        {{"spiffe_id", "spiffe://e/autoscaler"}}};
    return {{.name = "workers",
             .provisioners = {autoscaler},
             .node_names = {"worker-*"},
             .delivery = {Delivery::kTicket, Delivery::kDirect}},
            {.name = "frozen",
             .provisioners = {autoscaler},
             .node_names = {"vault-*"},
             .freeze_on_misuse = true},
            {.name = "few",
             .provisioners = {autoscaler},
             .node_names = {"few-*"},
             .max_outstanding = 10}};
  }

  // A request for `node`; a repetition is the same call.
  static IssueRequest For(std::string node, std::string_view request_id = "") {
    return {.scope = {.node_name = std::move(node)},
            .request_id = SecretString(request_id)};
  }
  absl::StatusOr<IssuedToken> Issue(const IssueRequest& request) {
    return broker_.Issue(caller_, request);
  }
  std::string TicketOf(const absl::StatusOr<IssuedToken>& issued) {
    EXPECT_THAT(issued, IsOk());
    return issued.ok() ? std::string(issued->ticket->text().Reveal()) : "";
  }
  static std::string CsrFor(const PrivateKey& key, const std::string& node) {
    return BuildCertificateRequest(key, {.common_name = "system:node:" + node,
                                         .organizations = {"system:nodes"}})
        .value();
  }
  absl::StatusOr<ClaimedToken> Claim(const std::string& ticket,
                                     const PrivateKey& key,
                                     const std::string& node = "worker-1") {
    return second_.Claim({.ticket = SecretString(ticket),
                          .node_name = node,
                          .csr_pem = CsrFor(key, node),
                          .peer = "ipv4:127.0.0.1:1"});
  }
  static PrivateKey NewKey() {
    return PrivateKey::Generate(KeyType::kP256).value();
  }

  const Identity caller_ = {
      .name = "spiffe://e/autoscaler",
      .attributes = {{"spiffe_id", {"spiffe://e/autoscaler"}}}};
  FakeClock clock_;
  MemoryTokenStore memory_{clock_};
  FlakyTokenStore store_{memory_};
  LivePolicy policy_{Policy(Rules())};
  NoAuditLog audit_;
  MisuseGuard misuse_{store_, policy_, audit_, clock_};
  RecordIndex index_;
  RecordIndex second_index_;
  TokenBroker broker_{{}, store_, policy_, misuse_, index_, clock_};
  TokenBroker second_{{}, store_, policy_, misuse_, second_index_, clock_};
};

TEST_F(TokenBrokerTest, MintsATicketWithOneWrite) {
  const auto issued = Issue(For("worker-1"));

  ASSERT_THAT(issued, IsOk());
  EXPECT_EQ(store_.writes(), 1);
  EXPECT_EQ(issued->record.state, TokenState::kIssued);
  EXPECT_EQ(issued->record.expire_time, clock_.Now() + absl::Hours(1));
  EXPECT_FALSE(issued->token.has_value()) << "the token must not travel";
  const auto stored = memory_.Find(issued->record.id);
  ASSERT_THAT(stored, IsOk());
  EXPECT_EQ(stored->record.ticket_digest, Sha256Hex(TicketOf(issued)));
  EXPECT_EQ(stored->record.groups,
            std::vector<std::string>{"system:bootstrappers:latchkey"});
}

TEST_F(TokenBrokerTest, MintsADirectTokenThatIsLiveAtOnce) {
  IssueRequest request = For("worker-1");
  request.delivery = Delivery::kDirect;
  const auto issued = Issue(request);

  ASSERT_THAT(issued, IsOk());
  EXPECT_EQ(issued->record.state, TokenState::kActive);
  EXPECT_FALSE(issued->ticket.has_value());
  EXPECT_EQ(issued->token->secret().Reveal(),
            memory_.Find(issued->record.id)->record.secret.Reveal());
}

TEST_F(TokenBrokerTest, ARepetitionOnAnyReplicaGetsTheSameAnswer) {
  const IssueRequest request = For("worker-1", "3b0c4c1e-request");
  const auto first = Issue(request);
  const auto again = second_.Issue(caller_, request);

  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(TicketOf(first), TicketOf(again));
  EXPECT_EQ(first->record.id, again->record.id);
  IssueRequest direct = For("worker-1", "another-request");
  direct.delivery = Delivery::kDirect;
  EXPECT_EQ(Issue(direct)->token->Joined().Reveal(),
            second_.Issue(caller_, direct)->token->Joined().Reveal());
}

TEST_F(TokenBrokerTest, ARepetitionAfterTheClaimStillGetsTheSameAnswer) {
  const IssueRequest request = For("worker-1", "3b0c4c1e-request");
  const std::string ticket = TicketOf(Issue(request));
  ASSERT_THAT(Claim(ticket, NewKey()), IsOk());
  EXPECT_EQ(TicketOf(Issue(request)), ticket);
}

TEST_F(TokenBrokerTest, ManyAtOnceMintOneToken) {
  constexpr int kCallers = 16;
  const IssueRequest request = For("worker-1", "3b0c4c1e-request");
  std::barrier start(kCallers);
  std::mutex mutex;
  std::set<std::string> tickets;
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < kCallers; ++i) {
      callers.emplace_back([&, i] {
        start.arrive_and_wait();
        const auto issued =
            (i % 2 == 0 ? broker_ : second_).Issue(caller_, request);
        const std::lock_guard lock(mutex);
        tickets.insert(TicketOf(issued));
      });
    }
  }
  EXPECT_EQ(tickets.size(), 1U);
}

TEST_F(TokenBrokerTest, AnotherRequestUnderTheSameIdIsRefused) {
  ASSERT_THAT(Issue(For("worker-1", "3b0c4c1e-request")), IsOk());
  const int writes = store_.writes();

  const auto other = Issue(For("worker-2", "3b0c4c1e-request"));
  EXPECT_THAT(other, StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(other, ReasonIs(reason::kRequestIdReused));
  EXPECT_EQ(store_.writes(), writes + 1) << "the refused create, no more";
}

TEST_F(TokenBrokerTest, AnotherProvisionersRequestIdIsAnotherRequest) {
  const auto mine = Issue(For("worker-1", "3b0c4c1e-request"));
  LivePolicy open(Policy({{.name = "all",
                           .provisioners = {{{{"common_name", "other"}}}},
                           .node_names = {"*"}}}));
  TokenBroker third({}, store_, open, misuse_, index_, clock_);
  const auto theirs = third.Issue(
      {.name = "cn:other", .attributes = {{"common_name", {"other"}}}},
      For("worker-1", "3b0c4c1e-request"));
  ASSERT_THAT(theirs, IsOk());
  EXPECT_NE(theirs->record.id, mine->record.id);
}

TEST_F(TokenBrokerTest, WithoutARequestIdEveryCallIsNew) {
  EXPECT_NE(TicketOf(Issue(For("worker-1"))), TicketOf(Issue(For("worker-1"))));
}

TEST_F(TokenBrokerTest, AForeignTokenOfTheSameIdIsSteppedOver) {
  const IssueRequest request = For("worker-1", "3b0c4c1e-request");
  const auto first = Issue(request);
  ASSERT_THAT(first, IsOk());
  // Somebody else's record where the first probe would be.
  auto stored = memory_.Find(first->record.id);
  TokenRecord foreign = stored->record;
  foreign.request_key = std::string(64, '0');
  ASSERT_THAT(memory_.Replace(*stored, foreign), IsOk());

  const auto second = Issue(request);
  ASSERT_THAT(second, IsOk());
  EXPECT_NE(second->record.id, first->record.id);
  EXPECT_EQ(TicketOf(Issue(request)), TicketOf(second));
}

TEST_F(TokenBrokerTest, ALostAnswerMintsNoSecondToken) {
  store_.LoseNextWrite(FlakyTokenStore::Loses::kAnswer);
  const auto issued = Issue(For("worker-1", "3b0c4c1e-request"));

  ASSERT_THAT(issued, IsOk());
  EXPECT_EQ(store_.writes(), 1);
  EXPECT_THAT(Claim(TicketOf(issued), NewKey()), IsOk());
}

TEST_F(TokenBrokerTest, ALostRequestIsSentAgain) {
  store_.LoseNextWrite(FlakyTokenStore::Loses::kRequest);
  const auto issued = Issue(For("worker-1"));

  ASSERT_THAT(issued, IsOk());
  EXPECT_THAT(Claim(TicketOf(issued), NewKey()), IsOk());
}

TEST_F(TokenBrokerTest, RefusesBeforeItWrites) {
  struct Case {
    const char* name;
    IssueRequest request;
    std::string_view want;
  };
  IssueRequest hour = For("worker-1");
  hour.lifetime = absl::Seconds(59);
  IssueRequest fraction = For("worker-1");
  fraction.lifetime = absl::Milliseconds(90'500);
  IssueRequest group = For("worker-1");
  group.scope.groups = {"system:masters"};
  const Case cases[] = {
      {"a name that is none", For("Worker_1"), reason::kInvalidField},
      {"no name", For(""), reason::kInvalidField},
      {"a short lifetime", hour, reason::kInvalidField},
      {"a fraction of a second", fraction, reason::kInvalidField},
      {"a group outside system:bootstrappers", group, reason::kInvalidField},
      {"a short request_id", For("worker-1", "short"), reason::kInvalidField},
      {"a request_id with a space", For("worker-1", "a b c d e"),
       reason::kInvalidField},
      {"a name outside the policy", For("control-1"), reason::kPolicyDenied},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(Issue(c.request), ReasonIs(c.want));
  }
  EXPECT_EQ(store_.writes(), 0);
  EXPECT_THAT(MetadataOf(Issue(For("Worker_1")).status()),
              Contains(Pair("field", "scope.node_name")));
}

TEST_F(TokenBrokerTest, ValidateOnlyMintsNothing) {
  IssueRequest request = For("worker-1");
  request.validate_only = true;
  const auto checked = Issue(request);
  ASSERT_THAT(checked, IsOk());
  EXPECT_FALSE(checked->ticket.has_value());
  EXPECT_EQ(store_.writes(), 0);
}

TEST_F(TokenBrokerTest, OneKeyClaimsATicketAndMayAskAgain) {
  const std::string ticket = TicketOf(Issue(For("worker-1")));
  const PrivateKey key = NewKey();
  const auto claimed = Claim(ticket, key);
  ASSERT_THAT(claimed, IsOk());
  EXPECT_EQ(claimed->record.state, TokenState::kActive);
  EXPECT_EQ(claimed->record.expire_time, clock_.Now() + absl::Minutes(15));

  clock_.Advance(absl::Minutes(5));
  const auto again = Claim(ticket, key);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->token.Joined().Reveal(), claimed->token.Joined().Reveal());
  EXPECT_EQ(again->record.expire_time, claimed->record.expire_time);
  EXPECT_THAT(Claim(ticket, NewKey()), ReasonIs(reason::kTicketAlreadyClaimed));
}

TEST_F(TokenBrokerTest, OneOfManyClaimersWins) {
  const std::string ticket = TicketOf(Issue(For("worker-1")));
  constexpr int kClaimers = 16;
  std::vector<PrivateKey> keys;
  for (int i = 0; i < kClaimers; ++i) keys.push_back(NewKey());
  std::barrier start(kClaimers);
  std::atomic<int> winners = 0;
  {
    std::vector<std::jthread> claimers;
    for (const PrivateKey& key : keys) {
      claimers.emplace_back([&] {
        start.arrive_and_wait();
        if (Claim(ticket, key).ok()) ++winners;
      });
    }
  }
  EXPECT_EQ(winners, 1);
}

TEST_F(TokenBrokerTest, TicketsThatAreNone) {
  const std::string ticket = TicketOf(Issue(For("worker-1")));
  std::string mistyped = ticket;
  mistyped[20] = mistyped[20] == 'a' ? 'b' : 'a';
  std::string upper = ticket;
  for (char& c : upper) c = static_cast<char>(toupper(c));
  const int writes = store_.writes();
  for (const std::string& bad :
       {mistyped, upper, ticket.substr(0, ticket.size() - 1), ticket + "\n",
        " " + ticket, ticket + "=", std::string()}) {
    EXPECT_THAT(Claim(bad, NewKey()), ReasonIs(reason::kTicketMalformed));
  }
  EXPECT_EQ(store_.writes(), writes);
  EXPECT_THAT(Claim(ticket, NewKey()), IsOk()) << "nothing was spent";
}

TEST_F(TokenBrokerTest, AWellFormedGuessLearnsNothing) {
  const auto issued = Issue(For("worker-1"));
  const SecretString guess("00000000000000000000000000000000");
  const Ticket wrong = Ticket::FromSecret(issued->record.id, guess).value();
  const Ticket absent =
      Ticket::FromSecret(TokenId::Parse("zzzzzz").value(), guess).value();
  const auto for_wrong = Claim(std::string(wrong.text().Reveal()), NewKey());
  const auto for_absent = Claim(std::string(absent.text().Reveal()), NewKey());
  EXPECT_THAT(for_wrong, ReasonIs(reason::kTicketUnknown));
  EXPECT_EQ(for_wrong.status(), for_absent.status());

  IssueRequest direct = For("worker-1");
  direct.delivery = Delivery::kDirect;
  const Ticket no_ticket =
      Ticket::FromSecret(Issue(direct)->record.id, guess).value();
  EXPECT_EQ(Claim(std::string(no_ticket.text().Reveal()), NewKey()).status(),
            for_absent.status());
}

TEST_F(TokenBrokerTest, ClaimsForAnotherMachineAreRefusedAndSpendNothing) {
  const std::string ticket = TicketOf(Issue(For("worker-1")));
  EXPECT_THAT(Claim(ticket, NewKey(), "worker-2"),
              ReasonIs(reason::kScopeNodeName));
  const PrivateKey key = NewKey();
  EXPECT_THAT(second_.Claim({.ticket = SecretString(ticket),
                             .node_name = "worker-1",
                             .csr_pem = CsrFor(key, "worker-2")}),
              ReasonIs(reason::kScopeNodeName));
  EXPECT_THAT(second_.Claim({.ticket = SecretString(ticket),
                             .node_name = "worker-1",
                             .csr_pem = "no csr"}),
              ReasonIs(reason::kCsrMalformed));

  IssueRequest bound = For("worker-1");
  bound.scope.key_digest = key.public_key_digest();
  const std::string bound_ticket = TicketOf(Issue(bound));
  EXPECT_THAT(Claim(bound_ticket, NewKey()), ReasonIs(reason::kScopePublicKey));
  EXPECT_THAT(Claim(bound_ticket, key), IsOk());
  EXPECT_THAT(Claim(ticket, NewKey()), IsOk());
}

TEST_F(TokenBrokerTest, MisuseFreezesWhereThePolicySaysSo) {
  const std::string ticket = TicketOf(Issue(For("vault-1")));
  const PrivateKey key = NewKey();
  ASSERT_THAT(Claim(ticket, key, "vault-1"), IsOk());
  EXPECT_THAT(Claim(ticket, NewKey(), "vault-1"),
              ReasonIs(reason::kTicketAlreadyClaimed));
  EXPECT_THAT(Claim(ticket, key, "vault-1"), ReasonIs(reason::kTokenRevoked));
}

TEST_F(TokenBrokerTest, AnExpiredTicketIsTooLate) {
  const IssueRequest request = For("worker-1", "3b0c4c1e-request");
  const std::string ticket = TicketOf(Issue(request));
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(Claim(ticket, NewKey()), ReasonIs(reason::kTokenExpired));
  EXPECT_THAT(Issue(request), ReasonIs(reason::kTokenExpired));
}

TEST_F(TokenBrokerTest, NoErrorRepeatsATicket) {
  const std::string ticket = TicketOf(Issue(For("worker-1")));
  ASSERT_THAT(Claim(ticket, NewKey()), IsOk());
  const std::string secret = ticket.substr(11, 32);
  for (const absl::Status& status :
       {Claim(ticket, NewKey()).status(),
        Claim(ticket + "x", NewKey()).status(),
        Claim(ticket, NewKey(), "worker-2").status()}) {
    EXPECT_THAT(status.ToString(),
                ::testing::Not(::testing::HasSubstr(secret)));
  }
}

TEST_F(TokenBrokerTest, RacersGetExactlyAsManyTokensAsTheQuotaAllows) {
  index_.SetFresh(true);
  std::atomic<int> issued = 0;
  std::atomic<int> refused = 0;
  std::barrier start(64);
  std::vector<std::jthread> racers;
  for (int i = 0; i < 64; ++i) {
    racers.emplace_back([&, i] {
      start.arrive_and_wait();
      const auto answer = Issue(For("few-" + std::to_string(i)));
      if (answer.ok()) {
        ++issued;
        // The watch shows some at once.
        if (i % 2 == 0) index_.Note(answer->record);
      }
      if (ReasonOf(answer.status()) == reason::kQuotaOutstanding) ++refused;
    });
  }
  racers.clear();
  EXPECT_EQ(issued, 10);
  EXPECT_EQ(refused, 54);
  // Other rules are not concerned.
  EXPECT_THAT(Issue(For("worker-1")), IsOk());
}

TEST_F(TokenBrokerTest, ARepetitionIsAnsweredAtTheLimit) {
  index_.SetFresh(true);
  second_index_.SetFresh(true);
  const auto first = Issue(For("few-1", "3b0c4c1e-request"));
  ASSERT_THAT(first, IsOk());
  for (int i = 2; i <= 10; ++i) {
    ASSERT_THAT(Issue(For("few-" + std::to_string(i))), IsOk());
  }
  EXPECT_THAT(Issue(For("few-11", "another-request")).status(),
              ReasonIs(reason::kQuotaOutstanding));
  EXPECT_EQ(TicketOf(Issue(For("few-1", "3b0c4c1e-request"))), TicketOf(first));
  // At a broker that has seen them all, too; or that sees nothing yet.
  for (int i = 0; i < 10; ++i) {
    TokenRecord record = first->record;
    record.id = TokenId::Parse("seen0" + std::to_string(i)).value();
    second_index_.Note(record);
  }
  EXPECT_EQ(TicketOf(second_.Issue(caller_, For("few-1", "3b0c4c1e-request"))),
            TicketOf(first));
  second_index_.SetFresh(false);
  EXPECT_EQ(TicketOf(second_.Issue(caller_, For("few-1", "3b0c4c1e-request"))),
            TicketOf(first));
  EXPECT_THAT(second_.Issue(caller_, For("few-1")).status(),
              ReasonIs(reason::kClusterUnavailable));
}

TEST_F(TokenBrokerTest, WhatMintsNothingTakesNoPlace) {
  index_.SetFresh(true);
  IssueRequest only = For("few-1");
  only.validate_only = true;
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(Issue(only), IsOk());
    store_.RefuseNextWrite(absl::ResourceExhaustedError("429"));
    ASSERT_FALSE(Issue(For("few-1")).ok());
  }
  for (int i = 1; i <= 10; ++i) {
    ASSERT_THAT(Issue(For("few-" + std::to_string(i))), IsOk());
  }
  EXPECT_THAT(Issue(For("few-11")).status(),
              ReasonIs(reason::kQuotaOutstanding));
}

TEST_F(TokenBrokerTest, AWriteOfUnknownOutcomeKeepsItsPlace) {
  index_.SetFresh(true);
  const auto lose = [&] {
    store_.LoseNextWrite(FlakyTokenStore::Loses::kRequest);
  };
  // All tries; or the first, and the second is refused.
  for (int i = 0; i < 5; ++i) {
    for (int tries = 0; tries < 3; ++tries) lose();
    ASSERT_THAT(Issue(For("few-1")), StatusIs(absl::StatusCode::kUnavailable));
    lose();
    store_.RefuseNextWrite(absl::ResourceExhaustedError("429"));
    ASSERT_THAT(Issue(For("few-1")),
                StatusIs(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_THAT(Issue(For("few-11")).status(),
              ReasonIs(reason::kQuotaOutstanding));
  clock_.Advance(RecordIndex::kMaxUnseen);
  EXPECT_THAT(Issue(For("few-11")), IsOk());
}

}  // namespace
}  // namespace latchkey
