#include "services/token_administration.h"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "storage/kubernetes_token_store.h"
#include "storage/memory_token_store.h"
#include "tests/fakes/fake_kubernetes_client.h"
#include "tests/fakes/recording_audit_log.h"
#include "tests/services/join_fixture.h"
#include "tests/storage/records.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::At;
using latchkey_testing::FakeClock;
using latchkey_testing::FakeKubernetesClient;
using latchkey_testing::Id;
using latchkey_testing::IsOk;
using latchkey_testing::IssuedRecord;
using latchkey_testing::JoinFixture;
using latchkey_testing::Key;
using latchkey_testing::ReasonIs;
using latchkey_testing::RecordingAuditLog;
using latchkey_testing::StatusIs;
using latchkey_testing::Verb;
using ::testing::Contains;
using ::testing::Each;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

Identity Named(const std::string& common_name) {
  return {.name = "cn:" + common_name,
          .attributes = {{"common_name", {common_name}}}};
}

std::vector<PolicyRule> Rules() {
  const auto named = [](const char* name) {
    return IdentityMatcher{{{"common_name", name}}};
  };
  return {{.name = "workers",
           .provisioners = {named("alice"), named("bob")},
           .max_token_lifetime = absl::Hours(2)},
          {.name = "operators",
           .provisioners = {named("root")},
           .manage = Reach::kAll}};
}

class TokenAdministrationTest : public ::testing::Test {
 protected:
  TokenRecord RecordOf(const Identity& owner, const std::string& id,
                       const std::string& node = "worker-1") {
    TokenRecord record = IssuedRecord(id);
    record.provisioner = owner.name;
    record.scope.node_name = node;
    return record;
  }
  void Insert(const TokenRecord& record) {
    ASSERT_THAT(store_.Insert(record), IsOk());
  }
  // The record as a claim by key 1 leaves it.
  void Claim(const std::string& id) {
    Follow(id, [&](const TokenRecord& record) {
      return latchkey::Claim(record,
                             {.node_name = record.scope.node_name,
                              .key_digest = Key('1'),
                              .claimant = "test"},
                             clock_.Now(), absl::Minutes(15));
    });
  }
  void Spend(const std::string& id) {
    Claim(id);
    Follow(id, [&](const TokenRecord& record) {
      return Reserve(record, latchkey_testing::HeldBy("a", '1'), clock_.Now());
    });
    Follow(id, [&](const TokenRecord& record) {
      return latchkey::Spend(
          record, "uid-a",
          {.fingerprint = Key('f'), .serial = "0a", .not_after = At(9000)},
          SecretString("zzzzzzzzzzzzzzzz"));
    });
  }
  void Follow(const std::string& id, const Arrow& arrow) {
    ASSERT_THAT(Advance(store_, Id(id), arrow), IsOk());
  }
  TokenRecord Stored(const std::string& id) {
    return store_.Find(Id(id)).value().record;
  }
  // All pages, as ids; nothing may come twice.
  std::set<std::string> ListAll(const Identity& caller, ListRequest request) {
    std::set<std::string> ids;
    do {
      const auto page = tokens_.List(caller, request);
      EXPECT_THAT(page, IsOk());
      if (!page.ok()) return ids;
      for (const TokenRecord& record : page->tokens) {
        EXPECT_TRUE(ids.insert(record.id.text()).second) << "listed twice";
      }
      request.page_token = page->next_page_token;
    } while (!request.page_token.empty());
    return ids;
  }

  const Identity alice_ = Named("alice");
  const Identity bob_ = Named("bob");
  const Identity root_ = Named("root");
  const Identity stranger_ = Named("eve");
  FakeClock clock_{At(0)};
  FakeKubernetesClient api_{clock_};
  KubernetesTokenStore store_{api_};
  LivePolicy policy_{Policy(Rules())};
  RecordingAuditLog audit_;
  MisuseGuard misuse_{store_, policy_, audit_, clock_};
  CsrApprover approver_{{}, api_, store_, misuse_, audit_, clock_};
  TokenAdministration tokens_{api_, store_, approver_, policy_, clock_};
};

// Every verb that is told an id.
struct ById {
  const char* name;
  std::function<absl::Status(TokenAdministration&, const Identity&,
                             const std::string&)>
      call;
};

std::vector<ById> VerbsById() {
  return {
      {"get", [](auto& tokens, const auto& caller,
                 const auto& id) { return tokens.Get(caller, id).status(); }},
      {"revoke",
       [](auto& tokens, const auto& caller, const auto& id) {
         return tokens.Revoke(caller, id, {.why = "lost"}).status();
       }},
      {"preview of revoke",
       [](auto& tokens, const auto& caller, const auto& id) {
         return tokens
             .Revoke(caller, id, {.why = "lost", .validate_only = true})
             .status();
       }},
      {"extend",
       [](auto& tokens, const auto& caller, const auto& id) {
         return tokens.Extend(caller, id, At(3700)).status();
       }},
      {"extend too far",
       [](auto& tokens, const auto& caller, const auto& id) {
         return tokens.Extend(caller, id, At(99'000'000)).status();
       }},
      {"explain",
       [](auto& tokens, const auto& caller, const auto& id) {
         return tokens.Explain(caller, id).status();
       }},
  };
}

std::map<Verb, int> CallsOf(const FakeKubernetesClient& api) {
  std::map<Verb, int> calls;
  for (const Verb verb : {Verb::kCreate, Verb::kGet, Verb::kUpdate,
                          Verb::kDelete, Verb::kList, Verb::kWatch}) {
    calls[verb] = api.Calls(verb);
  }
  return calls;
}

TEST_F(TokenAdministrationTest, AnothersTokenIsAsOneThatIsNotThere) {
  Insert(RecordOf(alice_, "aaaaaa"));
  kubernetes::Secret kubeadm;
  kubeadm.mutable_metadata()->set_name("bootstrap-token-kkkkkk");
  kubeadm.mutable_metadata()->set_namespace_("kube-system");
  kubeadm.set_type("bootstrap.kubernetes.io/token");
  (*kubeadm.mutable_data())["token-id"] = "kkkkkk";
  ASSERT_THAT(api_.Create(kubeadm), IsOk());

  for (const ById& verb : VerbsById()) {
    SCOPED_TRACE(verb.name);
    const auto asked = [&](const std::string& id, std::map<Verb, int>* cost) {
      const std::map<Verb, int> before = CallsOf(api_);
      const absl::Status status = verb.call(tokens_, bob_, id);
      *cost = CallsOf(api_);
      for (auto& [kind, calls] : *cost) calls -= before.at(kind);
      return status;
    };
    std::map<Verb, int> cost_of_none;
    const absl::Status none = asked("zzzzzz", &cost_of_none);
    EXPECT_THAT(none, ReasonIs(reason::kTokenUnknown));
    EXPECT_THAT(none, StatusIs(absl::StatusCode::kNotFound));
    for (const char* id : {"aaaaaa", "kkkkkk"}) {
      std::map<Verb, int> cost;
      const absl::Status status = asked(id, &cost);
      EXPECT_EQ(status.ToString(), none.ToString());
      EXPECT_EQ(MetadataOf(status), MetadataOf(none));
      EXPECT_EQ(cost, cost_of_none) << "a clock would show it";
    }
  }
  EXPECT_EQ(Stored("aaaaaa").state, TokenState::kIssued);
  EXPECT_EQ(Stored("aaaaaa").expire_time, At(3600));
}

TEST_F(TokenAdministrationTest, TheOwnerAndWhoManagesAllReachATokenByItsId) {
  for (const Identity& caller : {alice_, root_}) {
    for (const ById& verb : VerbsById()) {
      if (std::string(verb.name) == "extend too far") continue;
      SCOPED_TRACE(caller.name + " " + verb.name);
      const std::string id = "a" + std::string(5, verb.name[0]);
      store_.Insert(RecordOf(alice_, id)).IgnoreError();
      if (Stored(id).state == TokenState::kRevoked) continue;
      EXPECT_THAT(verb.call(tokens_, caller, id), IsOk());
    }
  }
}

TEST_F(TokenAdministrationTest, WhoIsInNoRuleIsRefusedBeforeAnythingIsRead) {
  Insert(RecordOf(stranger_, "aaaaaa"));
  const std::map<Verb, int> before = CallsOf(api_);
  for (const ById& verb : VerbsById()) {
    SCOPED_TRACE(verb.name);
    EXPECT_THAT(verb.call(tokens_, stranger_, "aaaaaa"),
                ReasonIs(reason::kPolicyDenied));
  }
  EXPECT_THAT(tokens_.List(stranger_, {}), ReasonIs(reason::kPolicyDenied));
  EXPECT_THAT(tokens_.RevokeAll(stranger_, {}, {.why = "x"}),
              ReasonIs(reason::kPolicyDenied));
  EXPECT_EQ(CallsOf(api_), before);
}

TEST_F(TokenAdministrationTest, WhatCannotBeAnIdIsAMistake) {
  for (const ById& verb : VerbsById()) {
    for (const char* id : {"", "abc", "ABCDEF", "../etc", "aaaaaa\n"}) {
      EXPECT_THAT(verb.call(tokens_, alice_, id),
                  ReasonIs(reason::kInvalidField))
          << verb.name;
    }
  }
}

TEST_F(TokenAdministrationTest, ARecordThatSomebodyAlteredIsNobodysAnyMore) {
  Insert(RecordOf(alice_, "aaaaaa"));
  auto secret =
      api_.Get<kubernetes::Secret>({"kube-system", "bootstrap-token-aaaaaa"})
          .value();
  secret.mutable_metadata()->mutable_annotations()->erase(
      "latchkey.dev/node-name");
  ASSERT_THAT(api_.Update(secret), IsOk());

  EXPECT_THAT(tokens_.Get(alice_, "aaaaaa"), ReasonIs(reason::kTokenUnknown));
  EXPECT_THAT(tokens_.Get(bob_, "aaaaaa"), ReasonIs(reason::kTokenUnknown));
  EXPECT_THAT(tokens_.Get(root_, "aaaaaa"),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(TokenAdministrationTest, EachListsItsOwnAndWhoManagesAllListsAll) {
  Insert(RecordOf(alice_, "aaaaaa"));
  Insert(RecordOf(alice_, "aaaaab"));
  Insert(RecordOf(bob_, "bbbbbb"));

  EXPECT_THAT(ListAll(alice_, {}), UnorderedElementsAre("aaaaaa", "aaaaab"));
  EXPECT_THAT(ListAll(bob_, {}), UnorderedElementsAre("bbbbbb"));
  EXPECT_THAT(ListAll(root_, {}), SizeIs(3));
  EXPECT_THAT(ListAll(root_, {.filter = {.provisioner = bob_.name}}),
              UnorderedElementsAre("bbbbbb"));
  EXPECT_THAT(ListAll(alice_, {.filter = {.provisioner = bob_.name}}),
              SizeIs(0));
}

TEST_F(TokenAdministrationTest, APageTokenIsForItsCallerAndItsFilter) {
  for (const char* id : {"aaaaaa", "aaaaab", "aaaaac"}) {
    Insert(RecordOf(alice_, id));
  }
  for (const char* id : {"bbbbbb", "bbbbbc"}) Insert(RecordOf(bob_, id));
  const auto of_alice = tokens_.List(alice_, {.page_size = 1});
  const auto of_bob = tokens_.List(bob_, {.page_size = 1});
  ASSERT_THAT(of_alice, IsOk());
  ASSERT_THAT(of_bob, IsOk());
  const std::string token = of_alice->next_page_token;

  EXPECT_THAT(tokens_.List(alice_, {.page_size = 2, .page_token = token}),
              IsOk());
  const ListRequest refused[] = {
      {.filter = {.node_name = "worker-*"}, .page_token = token},
      {.filter = {.labels = {{"team", "a"}}}, .page_token = token},
      {.filter = {.states = {TokenState::kIssued}}, .page_token = token},
      {.filter = {.provisioner = alice_.name}, .page_token = token},
      {.filter = {.expires_before = At(5)}, .page_token = token},
      {.filter = {.expires_after = At(5)}, .page_token = token},
      {.page_token = token.substr(1)},
      {.page_token = token.substr(0, 32)},
      {.page_token = token.substr(0, 32) + "nonsense"},
      {.page_token = token + std::string(1024, 'x')},
  };
  for (const ListRequest& request : refused) {
    const auto page = tokens_.List(alice_, request);
    EXPECT_THAT(page, ReasonIs(reason::kInvalidField)) << request.page_token;
    EXPECT_THAT(MetadataOf(page.status()),
                Contains(Pair("field", "page_token")));
  }
  EXPECT_THAT(tokens_.List(bob_, {.page_token = token}),
              ReasonIs(reason::kInvalidField));
  // The binding is no secret: who makes one up still sees its own tokens only.
  const auto forged = tokens_.List(
      bob_,
      {.page_token = of_bob->next_page_token.substr(0, 32) + token.substr(32)});
  ASSERT_THAT(forged, IsOk());
  for (const TokenRecord& record : forged->tokens) {
    EXPECT_EQ(record.provisioner, bob_.name);
  }
}

TEST_F(TokenAdministrationTest, APageIsOfTheSizeAskedFor) {
  for (int i = 0; i < 150; ++i)
    Insert(RecordOf(alice_, fmt::format("a{:05}", i)));
  EXPECT_THAT(tokens_.List(alice_, {})->tokens, SizeIs(100));
  EXPECT_THAT(tokens_.List(alice_, {.page_size = 7})->tokens, SizeIs(7));
  EXPECT_THAT(tokens_.List(alice_, {.page_size = 500})->tokens, SizeIs(150));
  for (const int size : {-1, 501}) {
    EXPECT_THAT(tokens_.List(alice_, {.page_size = size}),
                ReasonIs(reason::kInvalidField));
  }
}

TEST_F(TokenAdministrationTest, EmptyPagesArePassedOverButNotForEver) {
  for (int i = 0; i < 40; ++i)
    Insert(RecordOf(alice_, fmt::format("a{:05}", i)));
  Insert(RecordOf(alice_, "zzzzzz", "gpu-1"));
  const ListRequest request = {.filter = {.node_name = "gpu-*"},
                               .page_size = 2};
  const int before = api_.Calls(Verb::kList);
  const auto first = tokens_.List(alice_, request);
  ASSERT_THAT(first, IsOk());
  EXPECT_LE(api_.Calls(Verb::kList) - before, 8);
  EXPECT_NE(first->next_page_token, "");
  EXPECT_THAT(ListAll(alice_, request), UnorderedElementsAre("zzzzzz"));
}

TEST(TokenListingTest,
     TenThousandRecordsAreListedOnceEachWhileOthersComeAndGo) {
  FakeClock clock(At(0));
  FakeKubernetesClient api(clock);
  MemoryTokenStore store(clock);
  const LivePolicy policy{Policy(Rules())};
  RecordingAuditLog audit;
  MisuseGuard misuse(store, policy, audit, clock);
  CsrApprover approver({}, api, store, misuse, audit, clock);
  TokenAdministration tokens(api, store, approver, policy, clock);
  constexpr int kCount = 10'000;
  std::set<std::string> stable;
  for (int i = 0; i < kCount; ++i) {
    TokenRecord record = IssuedRecord(fmt::format("s{:05}", i));
    record.provisioner = "cn:alice";
    stable.insert(record.id.text());
    ASSERT_THAT(store.Insert(record), IsOk());
  }
  std::jthread others([&](const std::stop_token& stop) {
    for (int i = 0; !stop.stop_requested(); i = (i + 1) % kCount) {
      TokenRecord record = IssuedRecord(fmt::format("t{:05}", i));
      record.provisioner = "cn:alice";
      const auto inserted = store.Insert(record);
      if (inserted.ok()) store.Remove(*inserted).IgnoreError();
    }
  });

  std::set<std::string> listed;
  ListRequest request{.page_size = 500};
  do {
    const auto page = tokens.List(Named("alice"), request);
    ASSERT_THAT(page, IsOk());
    ASSERT_LE(page->tokens.size(), 500U);
    for (const TokenRecord& record : page->tokens) {
      ASSERT_TRUE(listed.insert(record.id.text()).second);
    }
    request.page_token = page->next_page_token;
  } while (!request.page_token.empty());
  EXPECT_TRUE(std::includes(listed.begin(), listed.end(), stable.begin(),
                            stable.end()));
}

TEST_F(TokenAdministrationTest, ARevocationCutsOffAndSaysByWhomAndWhy) {
  Insert(RecordOf(alice_, "aaaaaa"));
  const auto preview = tokens_.Revoke(
      alice_, "aaaaaa", {.why = "lost in mail", .validate_only = true});
  ASSERT_THAT(preview, IsOk());
  EXPECT_EQ(Stored("aaaaaa").state, TokenState::kIssued);

  const auto revoked =
      tokens_.Revoke(alice_, "aaaaaa", {.why = "lost in mail"});
  ASSERT_THAT(revoked, IsOk());
  EXPECT_EQ(revoked->record.state, TokenState::kRevoked);
  const TokenRecord stored = Stored("aaaaaa");
  EXPECT_EQ(stored.state, TokenState::kRevoked);
  EXPECT_EQ(stored.revocation->who, "cn:alice");
  EXPECT_EQ(stored.revocation->why, "lost in mail");
  EXPECT_EQ(stored.revocation->time, At(0));
  EXPECT_NE(stored.secret.Reveal(), "0123456789abcdef") << "not scrubbed";

  EXPECT_THAT(tokens_.Revoke(root_, "aaaaaa", {.why = "again"}), IsOk());
  EXPECT_EQ(Stored("aaaaaa").revocation->who, "cn:alice");
}

TEST_F(TokenAdministrationTest, WhatIsSpentCannotBeRevoked) {
  Insert(RecordOf(alice_, "aaaaaa"));
  Spend("aaaaaa");
  for (const bool validate_only : {true, false}) {
    EXPECT_THAT(tokens_.Revoke(alice_, "aaaaaa",
                               {.why = "x", .validate_only = validate_only}),
                ReasonIs(reason::kTokenSpent));
  }
}

TEST_F(TokenAdministrationTest, ALostAnswerToARevocationIsSettled) {
  Insert(RecordOf(alice_, "aaaaaa"));
  api_.FailNext(Verb::kUpdate, 1, absl::UnavailableError("gone"),
                FakeKubernetesClient::Effect::kDone);
  EXPECT_THAT(tokens_.Revoke(alice_, "aaaaaa", {.why = "x"}), IsOk());
  EXPECT_EQ(Stored("aaaaaa").state, TokenState::kRevoked);
}

TEST_F(TokenAdministrationTest, AReasonIsALineOfText) {
  std::string longest;
  for (int i = 0; i < 256; ++i) longest += "ü";
  for (const std::string& why : {std::string("x"), longest}) {
    Insert(RecordOf(alice_, "aaaaaa"));
    EXPECT_THAT(
        tokens_.Revoke(alice_, "aaaaaa", {.why = why, .validate_only = true}),
        IsOk());
    ASSERT_THAT(store_.Remove(store_.Find(Id("aaaaaa")).value()), IsOk());
  }
  for (const std::string& why :
       {std::string(), std::string("   "), std::string("a\nb"),
        std::string("a\x1b[31m"), std::string("a\x7f"), std::string("\xff"),
        std::string("a\xc2\x85"), std::string("a\xe2\x80\xa8"),
        std::string(257, 'x'), std::string("a\0b", 3)}) {
    SCOPED_TRACE(why);
    const auto refused = tokens_.Revoke(alice_, "aaaaaa", {.why = why});
    EXPECT_THAT(refused, ReasonIs(reason::kInvalidField));
    EXPECT_THAT(MetadataOf(refused.status()),
                Contains(Pair("field", "reason")));
    EXPECT_THAT(tokens_.RevokeAll(alice_, {}, {.why = why}),
                ReasonIs(reason::kInvalidField));
  }
}

TEST_F(TokenAdministrationTest, ARevocationByFilterTakesTheCallersLiveTokens) {
  Insert(RecordOf(alice_, "aaaaaa"));
  Insert(RecordOf(alice_, "aaaaab", "gpu-1"));
  Insert(RecordOf(alice_, "aaaaac"));
  Spend("aaaaac");
  Insert(RecordOf(bob_, "bbbbbb"));
  const TokenFilter workers = {.node_name = "worker-*"};

  const auto preview =
      tokens_.RevokeAll(alice_, workers, {.why = "x", .validate_only = true});
  ASSERT_THAT(preview, IsOk());
  ASSERT_THAT(preview->tokens, SizeIs(1));
  EXPECT_EQ(Stored("aaaaaa").state, TokenState::kIssued);
  const auto revoked = tokens_.RevokeAll(alice_, workers, {.why = "x"});
  ASSERT_THAT(revoked, IsOk());
  ASSERT_THAT(revoked->tokens, SizeIs(1));
  EXPECT_EQ(revoked->tokens[0].record.id, Id("aaaaaa"));
  EXPECT_THAT(revoked->failed, SizeIs(0));
  EXPECT_FALSE(revoked->more);
  EXPECT_EQ(Stored("aaaaaa").state, TokenState::kRevoked);
  EXPECT_EQ(Stored("aaaaab").state, TokenState::kIssued);
  EXPECT_EQ(Stored("bbbbbb").state, TokenState::kIssued);
}

TEST_F(TokenAdministrationTest, AFilterOfDeadStatesRevokesNothing) {
  Insert(RecordOf(alice_, "aaaaaa"));
  const auto revoked = tokens_.RevokeAll(
      alice_, {.states = {TokenState::kSpent, TokenState::kRevoked}},
      {.why = "x"});
  ASSERT_THAT(revoked, IsOk());
  EXPECT_THAT(revoked->tokens, SizeIs(0));
  EXPECT_THAT(
      tokens_.RevokeAll(alice_, {.provisioner = bob_.name}, {.why = "x"})
          ->tokens,
      SizeIs(0));
  EXPECT_EQ(Stored("aaaaaa").state, TokenState::kIssued);
}

TEST_F(TokenAdministrationTest, WhatIsSpentMeanwhileKeepsNoneOfTheOthers) {
  for (const char* id : {"aaaaaa", "aaaaab", "aaaaac"}) {
    Insert(RecordOf(alice_, id));
  }
  api_.BeforeNext(Verb::kUpdate, 1, [&] { Spend("aaaaab"); });

  const auto revoked = tokens_.RevokeAll(alice_, {}, {.why = "x"});
  ASSERT_THAT(revoked, IsOk());
  EXPECT_THAT(revoked->tokens, SizeIs(2));
  ASSERT_THAT(revoked->failed, SizeIs(1));
  EXPECT_EQ(revoked->failed[0].token.record.id, Id("aaaaab"));
  EXPECT_THAT(revoked->failed[0].why, ReasonIs(reason::kTokenSpent));
}

TEST_F(TokenAdministrationTest, WhatTheFilterDoesNotSelectAnyMoreIsLeftAlone) {
  for (const char* id : {"aaaaaa", "aaaaab", "aaaaac", "aaaaad"}) {
    Insert(RecordOf(alice_, id));
  }
  // While the first is written, the machines of two others go on.
  api_.BeforeNext(Verb::kUpdate, 1, [&] {
    Claim("aaaaab");
    Spend("aaaaac");
    // And the answer for the last is lost.
    api_.FailNext(Verb::kUpdate, 3, absl::UnavailableError("gone"),
                  FakeKubernetesClient::Effect::kDone);
  });

  const auto revoked = tokens_.RevokeAll(
      alice_, {.states = {TokenState::kIssued}}, {.why = "x"});
  ASSERT_THAT(revoked, IsOk());
  std::vector<TokenId> ids;
  for (const StoredToken& token : revoked->tokens) {
    ids.push_back(token.record.id);
  }
  EXPECT_THAT(ids, UnorderedElementsAre(Id("aaaaaa"), Id("aaaaad")));
  EXPECT_EQ(Stored("aaaaab").state, TokenState::kActive);
  // A certificate was bought with it; whoever revokes wants to know.
  ASSERT_THAT(revoked->failed, SizeIs(1));
  EXPECT_EQ(revoked->failed[0].token.record.id, Id("aaaaac"));
  EXPECT_FALSE(revoked->more);
}

TEST_F(TokenAdministrationTest, ACallerThatGivesUpGetsNoMoreRevoked) {
  for (const char* id : {"aaaaaa", "aaaaab", "aaaaac"}) {
    Insert(RecordOf(alice_, id));
  }
  bool given_up = false;
  api_.BeforeNext(Verb::kUpdate, 2, [&] { given_up = true; });

  const auto revoked =
      tokens_.RevokeAll(alice_, {}, {.why = "x"}, [&] { return given_up; });
  ASSERT_THAT(revoked, IsOk());
  EXPECT_THAT(revoked->tokens, SizeIs(2)) << "what was done is to be recorded";
  EXPECT_THAT(revoked->failed, SizeIs(0));
  EXPECT_TRUE(revoked->more);
  EXPECT_EQ(Stored("aaaaac").state, TokenState::kIssued);
}

TEST_F(TokenAdministrationTest, AClusterThatFailsIsNotAskedForEachToken) {
  struct Case {
    absl::Status failure;
    int tries;
  };
  for (const auto& [failure, tries] :
       {Case{absl::UnavailableError("down"), 3},
        Case{absl::DeadlineExceededError("hangs"), 3},
        Case{absl::ResourceExhaustedError("429"), 1}}) {
    SCOPED_TRACE(failure.ToString());
    for (int i = 0; i < 100; ++i) {
      Insert(RecordOf(alice_, fmt::format("a{:05}", i)));
    }
    // The second token, as often as it is tried.
    for (int i = 0; i < tries; ++i) {
      api_.FailNext(Verb::kUpdate, 2 + i, failure);
    }
    const int before = api_.Calls(Verb::kUpdate);

    const auto revoked = tokens_.RevokeAll(alice_, {}, {.why = "x"});
    EXPECT_EQ(api_.Calls(Verb::kUpdate) - before, 1 + tries);
    ASSERT_THAT(revoked, IsOk());
    EXPECT_THAT(revoked->tokens, SizeIs(1));
    EXPECT_THAT(revoked->failed, SizeIs(1));
    EXPECT_TRUE(revoked->more);

    const auto rest = tokens_.RevokeAll(alice_, {}, {.why = "x"});
    ASSERT_THAT(rest, IsOk());
    EXPECT_THAT(rest->tokens, SizeIs(99));
    EXPECT_FALSE(rest->more);
    for (int i = 0; i < 100; ++i) {
      ASSERT_THAT(store_.Remove(*store_.Find(Id(fmt::format("a{:05}", i)))),
                  IsOk());
    }
  }
}

TEST_F(TokenAdministrationTest, OneCallRevokesFiveHundredAndSaysThereAreMore) {
  for (int i = 0; i < 501; ++i)
    Insert(RecordOf(alice_, fmt::format("a{:05}", i)));
  const auto first = tokens_.RevokeAll(alice_, {}, {.why = "x"});
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(first->tokens, SizeIs(500));
  EXPECT_TRUE(first->more);
  const auto second = tokens_.RevokeAll(alice_, {}, {.why = "x"});
  ASSERT_THAT(second, IsOk());
  EXPECT_THAT(second->tokens, SizeIs(1));
  EXPECT_FALSE(second->more);
}

TEST_F(TokenAdministrationTest, AnExtensionReachesAsFarAsTheRuleAllows) {
  Insert(RecordOf(alice_, "aaaaaa"));  // created at 0, expires at 3600
  ASSERT_THAT(tokens_.Extend(alice_, "aaaaaa", At(5000)), IsOk());
  EXPECT_EQ(Stored("aaaaaa").expire_time, At(5000));
  EXPECT_EQ(Stored("aaaaaa").state, TokenState::kIssued);
  clock_.Advance(absl::Seconds(4000));
  ASSERT_THAT(tokens_.Extend(alice_, "aaaaaa", At(7200)), IsOk());

  const auto refused = tokens_.Extend(alice_, "aaaaaa", At(7201));
  EXPECT_THAT(refused, ReasonIs(reason::kPolicyDenied));
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(MetadataOf(refused.status()), Contains(Pair("rule", "workers")));
  EXPECT_THAT(MetadataOf(refused.status()),
              Contains(Pair("limit", "2027-01-15T10:00:00Z")));
  EXPECT_EQ(Stored("aaaaaa").expire_time, At(7200));
}

TEST_F(TokenAdministrationTest, AnObservingRuleTellsOfAnExtensionTooFar) {
  auto rules = Rules();
  rules[0].mode = PolicyMode::kObserve;
  policy_.Replace(Policy(rules));
  Insert(RecordOf(alice_, "aaaaaa"));
  const auto within = tokens_.Extend(alice_, "aaaaaa", At(7200));
  ASSERT_THAT(within, IsOk());
  EXPECT_THAT(within->observed, IsOk());
  const auto beyond = tokens_.Extend(alice_, "aaaaaa", At(7201));
  ASSERT_THAT(beyond, IsOk());
  EXPECT_EQ(Stored("aaaaaa").expire_time, At(7201));
  EXPECT_THAT(beyond->observed, ReasonIs(reason::kPolicyDenied));
  EXPECT_THAT(MetadataOf(beyond->observed),
              Contains(Pair("limit", "2027-01-15T10:00:00Z")));
  EXPECT_THAT(tokens_.Extend(alice_, "aaaaaa", At(7 * 24 * 3600 + 1)),
              ReasonIs(reason::kPolicyDenied))
      << "longer than any token";
}

TEST_F(TokenAdministrationTest, AnExtensionGivesAClaimedTokenTimeToJoin) {
  Insert(RecordOf(alice_, "aaaaaa"));
  Claim("aaaaaa");  // until 900
  ASSERT_THAT(tokens_.Extend(alice_, "aaaaaa", At(7200)), IsOk());
  EXPECT_EQ(Stored("aaaaaa").expire_time, At(7200));
  EXPECT_EQ(Stored("aaaaaa").state, TokenState::kActive);
  EXPECT_THAT(tokens_.Extend(alice_, "aaaaaa", At(7201)),
              ReasonIs(reason::kPolicyDenied));
}

TEST_F(TokenAdministrationTest, AnExtensionNeverShortens) {
  Insert(RecordOf(alice_, "aaaaaa"));
  const int before = api_.Calls(Verb::kUpdate);
  for (const int seconds : {1, 3600}) {
    const auto extended = tokens_.Extend(alice_, "aaaaaa", At(seconds));
    ASSERT_THAT(extended, IsOk());
    EXPECT_EQ(extended->token.record.expire_time, At(3600));
  }
  EXPECT_EQ(api_.Calls(Verb::kUpdate), before);
  EXPECT_THAT(tokens_.Extend(alice_, "aaaaaa", At(3600) + absl::Nanoseconds(1)),
              ReasonIs(reason::kInvalidField));
}

TEST_F(TokenAdministrationTest, ARuleThatIsGoneAllowsNoExtension) {
  Insert(RecordOf(alice_, "aaaaaa"));
  auto rules = Rules();
  rules[0].name = "renamed";
  policy_.Replace(Policy(rules));

  const auto refused = tokens_.Extend(alice_, "aaaaaa", At(3601));
  EXPECT_THAT(refused, ReasonIs(reason::kPolicyDenied));
  EXPECT_THAT(std::string(refused.status().message()),
              ::testing::HasSubstr("'workers'"));
  EXPECT_THAT(tokens_.Extend(alice_, "aaaaaa", At(3600)), IsOk())
      << "changes nothing";
}

TEST_F(TokenAdministrationTest, OnlyWhatCanBeUsedIsExtended) {
  Insert(RecordOf(alice_, "aaaaaa"));
  Spend("aaaaaa");
  EXPECT_THAT(tokens_.Extend(alice_, "aaaaaa", At(7000)),
              ReasonIs(reason::kTokenSpent));
  Insert(RecordOf(alice_, "aaaaab"));
  ASSERT_THAT(tokens_.Revoke(alice_, "aaaaab", {.why = "x"}), IsOk());
  EXPECT_THAT(tokens_.Extend(alice_, "aaaaab", At(7000)),
              ReasonIs(reason::kTokenRevoked));
  Insert(RecordOf(alice_, "aaaaac"));
  clock_.Advance(absl::Seconds(3600));
  EXPECT_THAT(tokens_.Extend(alice_, "aaaaac", At(7000)),
              ReasonIs(reason::kTokenExpired));
}

TEST_F(TokenAdministrationTest, ALostAnswerToAnExtensionIsSettled) {
  Insert(RecordOf(alice_, "aaaaaa"));
  api_.FailNext(Verb::kUpdate, 1, absl::UnavailableError("gone"),
                FakeKubernetesClient::Effect::kDone);
  const auto extended = tokens_.Extend(alice_, "aaaaaa", At(5000));
  ASSERT_THAT(extended, IsOk());
  EXPECT_EQ(extended->token.record.expire_time, At(5000));
}

// A token whose CSR another broker decides.
class RevocationRaceTest : public JoinFixture {
 protected:
  absl::StatusOr<StoredToken> Revoke() {
    return tokens_.Revoke(Named("root"), "abc123", {.why = "lost"});
  }

  LivePolicy rules_{Policy(Rules())};
  TokenAdministration tokens_{api_, store_, second_approver_, rules_, clock_};
};

TEST_F(RevocationRaceTest, NoCsrIsApprovedAfterARevocationWasAnswered) {
  IssueClaimed();
  const auto csr = PostCsr("csr-1", key_);
  // The other broker has reserved, and is about to approve.
  api_.BeforeNext(Verb::kUpdate, 2, [&] {
    const auto revoked = Revoke();
    ASSERT_THAT(revoked, IsOk());
    ASSERT_TRUE(revoked->record.reservation.has_value());
    EXPECT_EQ(revoked->record.reservation->csr_uid, csr.metadata().uid());
    EXPECT_EQ(DecisionOn("csr-1"), "Denied TOKEN_REVOKED");
  });
  approver_.Decide(csr);

  EXPECT_EQ(State(), TokenState::kRevoked);
  EXPECT_EQ(DecisionOn("csr-1"), "Denied TOKEN_REVOKED");
  EXPECT_THAT(audit_.Summary(), Contains("csr.deny denied TOKEN_REVOKED"));
}

TEST_F(RevocationRaceTest, WhatWasApprovedBeforeIsNamedInTheAnswer) {
  IssueClaimed();
  const auto csr = PostCsr("csr-1", key_);
  approver_.Decide(csr);
  Sign("csr-1");
  const auto revoked = Revoke();
  ASSERT_THAT(revoked, IsOk());
  EXPECT_EQ(revoked->record.state, TokenState::kRevoked);
  ASSERT_TRUE(revoked->record.reservation.has_value());
  EXPECT_EQ(revoked->record.reservation->csr_name, "csr-1");
  EXPECT_EQ(DecisionOn("csr-1"), "Approved LatchkeyApproved");
}

TEST_F(RevocationRaceTest, ACsrThatCannotBeDeniedIsNoAnswerUntilItCan) {
  IssueClaimed();
  const auto csr = PostCsr("csr-1", key_);
  api_.BeforeNext(Verb::kUpdate, 2, [&] {
    audit_.Break(/*says_so=*/false);
    EXPECT_THAT(Revoke(), StatusIs(absl::StatusCode::kUnavailable));
    const auto by_filter =
        tokens_.RevokeAll(Named("root"), {}, {.why = "lost"});
    ASSERT_THAT(by_filter, IsOk());
    EXPECT_THAT(by_filter->tokens, SizeIs(0)) << "it is revoked already";
    audit_.Mend();
    EXPECT_THAT(Revoke(), IsOk());
  });
  approver_.Decide(csr);
  EXPECT_EQ(DecisionOn("csr-1"), "Denied TOKEN_REVOKED");
}

TEST_F(RevocationRaceTest, ARevocationByFilterDeniesAsWell) {
  IssueClaimed();
  const auto csr = PostCsr("csr-1", key_);
  api_.BeforeNext(Verb::kUpdate, 2, [&] {
    const auto revoked = tokens_.RevokeAll(Named("root"), {}, {.why = "lost"});
    ASSERT_THAT(revoked, IsOk());
    EXPECT_THAT(revoked->tokens, SizeIs(1));
  });
  approver_.Decide(csr);
  EXPECT_EQ(DecisionOn("csr-1"), "Denied TOKEN_REVOKED");
}

TEST_F(RevocationRaceTest, ACsrThatIsGoneNeedsNoDenial) {
  IssueClaimed();
  const auto csr = PostCsr("csr-1", key_);
  approver_.Decide(csr);
  ASSERT_THAT(
      api_.Delete<kubernetes::CertificateSigningRequest>({"", "csr-1"}, {}),
      IsOk());
  EXPECT_THAT(Revoke(), IsOk());
  // Neither does another one that has its name since.
  PostCsr("csr-1", key_);
  EXPECT_THAT(Revoke(), IsOk());
  EXPECT_EQ(DecisionOn("csr-1"), "");
}

}  // namespace
}  // namespace latchkey
