#include "clients/doctor/token_checks.h"

#include <gmock/gmock.h>

#include "clients/kubernetes/token_secret_keys.h"
#include "core/text_time.h"
#include "storage/token_life.h"
#include "storage/token_secret.h"
#include "tests/storage/records.h"

namespace latchkey {
namespace {

using ::latchkey_testing::At;
using ::latchkey_testing::DirectRecord;
using ::latchkey_testing::HeldBy;
using ::latchkey_testing::IssuedRecord;
using ::latchkey_testing::Key;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using kubernetes::Secret;

constexpr char kKubeadmGroup[] =
    "system:bootstrappers:kubeadm:default-node-token";

Secret Ours(const TokenRecord& record) {
  Secret secret;
  WriteTokenSecret(record, secret);
  return secret;
}

// As `kubeadm token create` makes it, good until At(3600).
Secret Foreign(const std::string& id = "foreig") {
  Secret secret;
  secret.mutable_metadata()->set_name("bootstrap-token-" + id);
  auto& data = *secret.mutable_data();
  data["token-id"] = id;
  data["token-secret"] = "0123456789abcdef";
  data["expiration"] = FormatRfc3339(At(3600));
  data["auth-extra-groups"] = "system:bootstrappers:pool";
  data["usage-bootstrap-authentication"] = "true";
  return secret;
}

std::string& DataOf(Secret& secret, const char* key) {
  return (*secret.mutable_data())[key];
}

// All but that it is foreign, which is told of each that can log in.
Findings Judge(const Secret& secret, absl::Time now = At(0)) {
  Findings findings = JudgeTokens({ViewToken(secret)}, {kKubeadmGroup}, now);
  std::erase_if(findings,
                [](const Finding& one) { return one.id == "token-foreign"; });
  return findings;
}

std::string OnlyId(const Findings& findings) {
  return findings.size() == 1 ? findings.front().id : "none or several";
}

// Every state that Latchkey writes.
std::vector<TokenRecord> RecordsOfAllStates() {
  TokenRecord claimed = IssuedRecord();
  claimed.state = TokenState::kActive;
  claimed.claim = {.key_digest = Key('a'), .claimant = "x", .time = At(1)};
  TokenRecord reserved = claimed;
  reserved.state = TokenState::kReserved;
  reserved.reservation = HeldBy("x", 'a');
  TokenRecord spent = reserved;
  spent.state = TokenState::kSpent;
  TokenRecord revoked = claimed;
  revoked.state = TokenState::kRevoked;
  revoked.revocation = {.who = "w", .why = "y", .time = At(2)};
  return {IssuedRecord(), DirectRecord(), claimed, reserved, spent, revoked};
}

TEST(TokenChecksTest, NothingIsWrongWithWhatLatchkeyWrites) {
  for (const TokenRecord& record : RecordsOfAllStates()) {
    SCOPED_TRACE(TokenStateName(record.state));
    const TokenView view = ViewToken(Ours(record));
    EXPECT_TRUE(view.ours);
    EXPECT_EQ(view.fault, "");
    EXPECT_EQ(OnlyId(Judge(Ours(record))), "bootstrap-tokens");
  }
}

TEST(TokenChecksTest, AlteredTokensOfOursAreFound) {
  const struct {
    const char* name;
    void (*alter)(Secret& secret);
  } kCases[] = {
      {"another id", [](Secret& s) { DataOf(s, "token-id") = "zzzzzz"; }},
      {"another name",
       [](Secret& s) { s.mutable_metadata()->set_name("bootstrap-token-x"); }},
      {"no state",
       [](Secret& s) {
         s.mutable_metadata()->mutable_labels()->erase("latchkey.dev/state");
       }},
      {"unknown state",
       [](Secret& s) {
         (*s.mutable_metadata()->mutable_labels())["latchkey.dev/state"] = "x";
       }},
      {"switched on",
       [](Secret& s) { DataOf(s, "usage-bootstrap-authentication") = "true"; }},
      {"signing",
       [](Secret& s) { DataOf(s, "usage-bootstrap-signing") = "true"; }},
      {"eternal", [](Secret& s) { s.mutable_data()->erase("expiration"); }},
      {"no time", [](Secret& s) { DataOf(s, "expiration") = "tomorrow"; }},
      {"no groups",
       [](Secret& s) { s.mutable_data()->erase("auth-extra-groups"); }},
      {"bad group",
       [](Secret& s) { DataOf(s, "auth-extra-groups") += ",system:masters"; }},
      {"no node",
       [](Secret& s) {
         s.mutable_metadata()->mutable_annotations()->erase(
             "latchkey.dev/node-name");
       }},
      {"no provisioner",
       [](Secret& s) {
         s.mutable_metadata()->mutable_annotations()->erase(
             "latchkey.dev/provisioner");
       }},
      {"no request",
       [](Secret& s) {
         s.mutable_metadata()->mutable_annotations()->erase(
             "latchkey.dev/request-key");
       }},
  };
  for (const auto& one : kCases) {
    SCOPED_TRACE(one.name);
    Secret secret = Ours(IssuedRecord());
    one.alter(secret);
    const Findings findings = Judge(secret);
    ASSERT_THAT(findings, Not(IsEmpty()));
    EXPECT_EQ(findings.back().id, "token-altered");
    EXPECT_THAT(findings.back().commands,
                ElementsAre(HasSubstr(
                    "kubectl -n kube-system delete secret --ignore-not-found "
                    "bootstrap-token-")));
  }
}

TEST(TokenChecksTest, ABoundTokenWithoutItsKeyIsAltered) {
  for (const TokenRecord& record : RecordsOfAllStates()) {
    if (record.delivery != Delivery::kTicket || !record.claim) continue;
    if (record.state != TokenState::kActive &&
        record.state != TokenState::kReserved) {
      continue;
    }
    Secret secret = Ours(record);
    secret.mutable_metadata()->mutable_annotations()->erase(
        "latchkey.dev/claim-public-key-sha256");
    EXPECT_EQ(OnlyId(Judge(secret)), "token-altered");
  }
}

TEST(TokenChecksTest, AForeignTokenThatCanLogInIsToldOf) {
  const std::vector<TokenView> tokens = {ViewToken(Foreign()),
                                         ViewToken(Ours(DirectRecord()))};
  const Findings findings = JudgeTokens(tokens, {}, At(0));
  ASSERT_EQ(OnlyId(findings), "token-foreign");
  EXPECT_EQ(findings[0].severity, Severity::kInfo);
  EXPECT_THAT(findings[0].evidence, ElementsAre(HasSubstr("(foreign)")));
  EXPECT_THAT(findings[0].commands,
              ElementsAre("kubectl -n kube-system delete secret "
                          "--ignore-not-found bootstrap-token-foreig"));
  EXPECT_EQ(OnlyId(JudgeTokens(tokens, {}, At(3600))), "bootstrap-tokens")
      << "it has ended";
}

TEST(TokenChecksTest, ATokenThatLastsLongerThanAnyOfOursIsFound) {
  for (Secret secret : {Foreign(), Ours(DirectRecord())}) {
    constexpr int kWeek = 7 * 24 * 3600;
    DataOf(secret, "expiration") = FormatRfc3339(At(kWeek));
    EXPECT_THAT(Judge(secret),
                Not(Contains(Field(&Finding::id, "token-long-lived"))));
    DataOf(secret, "expiration") = FormatRfc3339(At(kWeek + 1));
    const Findings findings = Judge(secret);
    ASSERT_EQ(OnlyId(findings), "token-long-lived");
    EXPECT_EQ(findings[0].severity, Severity::kWarning);
    EXPECT_THAT(findings[0].commands, ElementsAre(HasSubstr("delete secret")));
    DataOf(secret, "expiration") = "9999-12-31T23:59:59Z";
    EXPECT_EQ(OnlyId(Judge(secret)), "token-long-lived");
  }
}

TEST(TokenChecksTest, AnEternalTokenIsFoundAndDeleted) {
  Secret secret = Foreign();
  secret.mutable_data()->erase("expiration");
  const Findings findings = Judge(secret);
  ASSERT_EQ(OnlyId(findings), "token-without-expiration");
  EXPECT_EQ(findings[0].severity, Severity::kWarning);
  EXPECT_THAT(findings[0].evidence, ElementsAre(HasSubstr("never expires")));
  EXPECT_THAT(findings[0].commands,
              ElementsAre("kubectl -n kube-system delete secret "
                          "--ignore-not-found bootstrap-token-foreig"));
  DataOf(secret, "expiration") = "";  // the same to the API server
  EXPECT_EQ(OnlyId(Judge(secret)), "token-without-expiration");
}

TEST(TokenChecksTest, AnExpiredTokenIsFoundOnceTheCleanerIsLate) {
  EXPECT_EQ(OnlyId(Judge(Foreign(), At(3600 + 60))), "bootstrap-tokens");
  EXPECT_EQ(OnlyId(Judge(Foreign(), At(3600 + 61))), "token-expired");
  EXPECT_EQ(OnlyId(Judge(Ours(IssuedRecord()), At(3600 + 61))),
            "token-expired");
  Secret secret = Foreign();
  DataOf(secret, "expiration") = "never";
  const Findings findings = Judge(secret);
  EXPECT_EQ(OnlyId(findings), "token-expired");
  EXPECT_THAT(findings[0].evidence, ElementsAre(HasSubstr("is no time")));
}

TEST(TokenChecksTest, ASigningTokenIsToldOfAndCanBeStopped) {
  Secret secret = Foreign();
  DataOf(secret, "usage-bootstrap-signing") = "true";
  const Findings findings = Judge(secret);
  ASSERT_EQ(OnlyId(findings), "token-signing");
  EXPECT_EQ(findings[0].severity, Severity::kInfo);
  EXPECT_THAT(findings[0].commands,
              ElementsAre(HasSubstr("patch secret --type=merge")));
}

TEST(TokenChecksTest, AGroupThatTheServerRefusesIsFound) {
  for (const char* groups :
       {"system:masters", "system:bootstrappers:a,", "system:bootstrappers:A",
        "system:bootstrappers:a, system:bootstrappers:b"}) {
    SCOPED_TRACE(groups);
    Secret secret = Foreign();
    DataOf(secret, "auth-extra-groups") = groups;
    EXPECT_EQ(OnlyId(Judge(secret)), "token-groups");
  }
}

TEST(TokenChecksTest, ALiveTokenOfAnApprovedGroupIsFound) {
  Secret secret = Foreign();
  DataOf(secret, "auth-extra-groups") += std::string(",") + kKubeadmGroup;
  EXPECT_EQ(OnlyId(Judge(secret)), "token-auto-approved");
  // Whether it is ours or not.
  TokenRecord record = DirectRecord();
  record.groups.emplace_back(kKubeadmGroup);
  EXPECT_EQ(OnlyId(Judge(Ours(record))), "token-auto-approved");
  // What cannot log in, or no longer can, joins nobody.
  DataOf(secret, "usage-bootstrap-authentication") = "True";
  EXPECT_EQ(OnlyId(Judge(secret)), "bootstrap-tokens");
  DataOf(secret, "usage-bootstrap-authentication") = "true";
  EXPECT_EQ(OnlyId(Judge(secret, At(3600))), "bootstrap-tokens");
}

TEST(TokenChecksTest, TheGroupsToAskAboutAreThoseOfLiveTokens) {
  Secret dead = Foreign("dead00");
  DataOf(dead, "auth-extra-groups") = "system:bootstrappers:dead";
  DataOf(dead, "usage-bootstrap-authentication") = "false";
  EXPECT_THAT(
      GroupsOfLiveTokens({ViewToken(Foreign()), ViewToken(dead)}, At(0)),
      ElementsAre("system:bootstrappers:pool"));
}

TEST(TokenChecksTest, SecretsAreInNoFinding) {
  std::vector<TokenView> tokens;
  for (Secret secret :
       {Foreign(), Ours(DirectRecord()), Ours(IssuedRecord())}) {
    tokens.push_back(ViewToken(secret));
    DataOf(secret, "usage-bootstrap-signing") = "true";
    DataOf(secret, "expiration") = "0123456789abcdef";
    tokens.push_back(ViewToken(secret));
  }
  for (const Finding& finding : JudgeTokens(tokens, {kKubeadmGroup}, At(0))) {
    for (const std::string& line : finding.evidence) {
      EXPECT_THAT(line, Not(HasSubstr("0123456789abcdef")));
    }
  }
}

TEST(TokenChecksTest, HostileBytesStayInTheirLine) {
  Secret secret = Foreign();
  DataOf(secret, "auth-extra-groups") = "x\ny\x1b[2J,\xe2\x80\xae";
  const Findings findings = Judge(secret);
  ASSERT_EQ(OnlyId(findings), "token-groups");
  EXPECT_THAT(findings[0].evidence,
              ElementsAre(HasSubstr(R"(groups: x\x0ay\x1b[2J,\xe2\x80\xae)")));
}

TEST(TokenChecksTest, ThousandsOfTokensAreCounted) {
  std::vector<TokenView> tokens(3000, ViewToken(Foreign()));
  for (TokenView& token : tokens) token.expiration = std::nullopt;
  const Findings findings = JudgeTokens(tokens, {}, At(0));
  ASSERT_THAT(findings, SizeIs(2));
  EXPECT_EQ(findings[0].id, "token-without-expiration");
  EXPECT_THAT(findings[0].message, HasSubstr("3000"));
  EXPECT_THAT(findings[0].evidence, SizeIs(13));
  EXPECT_LT(findings[0].commands.front().size(), 20'000U);
}

}  // namespace
}  // namespace latchkey
