#include "clients/node/node_joiner.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "clients/node/node_files.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "crypto/certificate_request.h"
#include "tests/clients/node/fake_broker.h"
#include "tests/clients/node/fake_cluster.h"
#include "tests/clients/pace/fake_pace.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/kill_at.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using latchkey_testing::Csr;
using latchkey_testing::FakeBroker;
using latchkey_testing::FakeClock;
using latchkey_testing::FakeCluster;
using latchkey_testing::FakeKubernetesClient;
using latchkey_testing::FakePace;
using latchkey_testing::IsOk;
using latchkey_testing::IsOkAndHolds;
using latchkey_testing::KillAt;
using latchkey_testing::Killed;
using latchkey_testing::ReadFile;
using latchkey_testing::ReasonIs;
using latchkey_testing::StatusIs;
using latchkey_testing::TempDir;
using latchkey_testing::Verb;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr char kToken[] = "abcdef.0123456789abcdef";
constexpr char kFirstServer[] = "https://10.0.0.1:6443";
constexpr char kSecondServer[] = "https://10.0.0.2:6443";

auto Joined() {
  return IsOkAndHolds(Field(&JoinResult::kind, JoinResult::Kind::kJoined));
}
auto AlreadyJoined() {
  return IsOkAndHolds(
      Field(&JoinResult::kind, JoinResult::Kind::kAlreadyJoined));
}

Ticket TestTicket() {
  return *Ticket::FromSecret(*TokenId::Parse("abcdef"),
                             SecretString(std::string(32, 'z')));
}

class NodeJoinerTest : public ::testing::Test {
 protected:
  // As a new process would run it.
  absl::StatusOr<JoinResult> Join() {
    NodeFiles files(paths_);
    return NodeJoiner(plan_, {.broker = &broker_,
                              .api_servers = cluster_.Factory(),
                              .files = files,
                              .clock = clock_,
                              .pace = pace_,
                              .on_progress =
                                  [this](const JoinProgress& progress) {
                                    progress_.push_back(progress);
                                  }})
        .Run();
  }

  // Runs it until it is killed at `point`.
  void JoinAndDieAt(const std::string& point) {
    const KillAt kill(point);
    EXPECT_THROW((void)Join(), Killed) << point << " was not reached";
  }

  // Every request is refused so.
  void ExpectAVerdictAfterAWhile(const absl::Status& refusal,
                                 const std::string& text) {
    for (int i = 1; i <= 100; ++i) {
      cluster_.server().FailNext(Verb::kCreate, i, refusal);
    }
    const absl::Time start = clock_.Now();
    EXPECT_THAT(Join(),
                StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr(text)));
    EXPECT_GE(clock_.Now() - start, absl::Seconds(15));
    EXPECT_LE(clock_.Now() - start, absl::Seconds(40));
  }

  static BootstrapGrant GrantOf(std::string_view token, std::string ca_pem) {
    return {.token = *BootstrapToken::Parse(token),
            .api_servers = {kFirstServer},
            .ca_pem = std::move(ca_pem),
            .certificate_expiration_seconds = 3600};
  }

  std::string Current() const {
    return paths_.cert_dir + "/kubelet-client-current.pem";
  }
  std::string KeyFile() const { return paths_.cert_dir + "/latchkey-join.key"; }
  bool NothingIsKept() const {
    return !std::filesystem::exists(Current()) &&
           !std::filesystem::exists(paths_.kubeconfig) &&
           !std::filesystem::exists(paths_.ca_file);
  }
  std::vector<std::string> RequestNames() {
    std::vector<std::string> names;
    for (const Csr& csr : cluster_.Requests()) {
      names.push_back(csr.metadata().name());
    }
    return names;
  }
  static std::string KeyDigestOf(const std::string& csr_pem) {
    return CertificateRequest::Parse(csr_pem)->key_digest;
  }

  TempDir dir_;
  NodeFilePaths paths_ = {.cert_dir = dir_.File("pki"),
                          .kubeconfig = dir_.File("kubernetes/kubelet.conf"),
                          .ca_file = dir_.File("kubernetes/pki/ca.crt")};
  FakeClock clock_;
  FakePace pace_{clock_};
  FakeCluster cluster_{clock_, pace_};
  FakeBroker broker_{GrantOf(kToken, cluster_.ca_pem())};
  JoinPlan plan_ = {.node_name = "node-1", .credential = TestTicket()};
  std::vector<JoinProgress> progress_;
};

TEST_F(NodeJoinerTest, JoinsFromATicket) {
  const auto result = Join();

  ASSERT_THAT(result, Joined());
  EXPECT_THAT(result->certificate.common_names,
              ElementsAre("system:node:node-1"));
  NodeFiles files(paths_);
  EXPECT_THAT(files.FindCredential("node-1", clock_.Now()), IsOk());
  EXPECT_FALSE(std::filesystem::exists(KeyFile()));
  EXPECT_THAT(ReadFile(paths_.kubeconfig), HasSubstr(kFirstServer));
  EXPECT_EQ(ReadFile(paths_.ca_file), cluster_.ca_pem());
}

TEST_F(NodeJoinerTest, ClaimsWithTheRequestThatItMakes) {
  ASSERT_THAT(Join(), Joined());

  ASSERT_THAT(broker_.claims, SizeIs(1));
  const NodeClaim& claim = broker_.claims.front();
  EXPECT_EQ(claim.ticket.text().Reveal(), TestTicket().text().Reveal());
  EXPECT_EQ(claim.node_name, "node-1");
  const std::vector<Csr> requests = cluster_.Requests();
  ASSERT_THAT(requests, SizeIs(1));
  EXPECT_EQ(claim.csr_pem, requests[0].spec().request());
}

TEST_F(NodeJoinerTest, AsksForAKubeletsCertificateAndNothingElse) {
  ASSERT_THAT(Join(), Joined());

  const Csr csr = cluster_.Requests().at(0);
  EXPECT_EQ(csr.spec().signer_name(),
            "kubernetes.io/kube-apiserver-client-kubelet");
  EXPECT_THAT(csr.spec().usages(),
              ElementsAre("digital signature", "client auth"));
  EXPECT_EQ(csr.spec().expiration_seconds(), 3600);
  const auto request = CertificateRequest::Parse(csr.spec().request());
  ASSERT_THAT(request, IsOk());
  EXPECT_THAT(request->common_names, ElementsAre("system:node:node-1"));
  EXPECT_THAT(request->organizations, ElementsAre("system:nodes"));
  EXPECT_FALSE(request->has_other_subject_attributes);
  EXPECT_FALSE(request->has_subject_alt_name);
  EXPECT_FALSE(request->has_other_extensions);
}

class ProvingJoinerTest : public NodeJoinerTest {
 protected:
  ProvingJoinerTest() {
    plan_.prove = true;
    cluster_.server().AnswerReview([this](google::protobuf::Message& message) {
      ++reviews_;
      if (!answer_.ok()) return answer_;
      auto& review = dynamic_cast<kubernetes::SelfSubjectReview&>(message);
      auto& user = *review.mutable_status()->mutable_user_info();
      user.set_username(taken_for_);
      for (const std::string& group : groups_) user.add_groups(group);
      return absl::OkStatus();
    });
  }
  bool IsKept() const { return std::filesystem::exists(Current()); }

  int reviews_ = 0;
  absl::Status answer_;
  std::string taken_for_ = "system:node:node-1";
  std::vector<std::string> groups_ = {"system:nodes", "system:authenticated"};
};

TEST_F(ProvingJoinerTest, ShowsItsCertificateToTheApiServer) {
  EXPECT_THAT(Join(), Joined());
  EXPECT_EQ(reviews_, 1);
  EXPECT_THAT(cluster_.logins, ElementsAre(kFirstServer, kFirstServer));
  EXPECT_EQ(cluster_.users.back(), "system:node:node-1");
  // Who has joined calls nobody.
  EXPECT_THAT(Join(), AlreadyJoined());
  EXPECT_EQ(reviews_, 1);
}

TEST_F(ProvingJoinerTest, SaysSoIfItIsTakenForSomebodyElse) {
  taken_for_ = "system:node:node-2";
  EXPECT_THAT(Join(), StatusIs(absl::StatusCode::kPermissionDenied,
                               HasSubstr("system:node:node-2")));
  EXPECT_TRUE(IsKept());
}

TEST_F(ProvingJoinerTest, SaysSoIfItIsNoNode) {
  groups_ = {"system:authenticated"};
  EXPECT_THAT(Join(), StatusIs(absl::StatusCode::kPermissionDenied,
                               HasSubstr("system:nodes")));
}

TEST_F(ProvingJoinerTest, SaysSoIfTheCertificateIsNotAccepted) {
  answer_ = absl::UnauthenticatedError("who?");
  EXPECT_THAT(Join(), StatusIs(absl::StatusCode::kPermissionDenied,
                               HasSubstr("--client-ca-file")));
  EXPECT_EQ(reviews_, 1) << "to ask again is of no use";
}

// An API server that has just started does not know its roles yet.
TEST_F(ProvingJoinerTest, BelievesThatItMayNotAskOnlyAfterAWhile) {
  answer_ = absl::PermissionDeniedError("may not create selfsubjectreviews");
  pace_.on_sleep = [this] {
    if (pace_.Elapsed() > absl::Seconds(5)) answer_ = absl::OkStatus();
  };
  EXPECT_THAT(Join(), Joined());
}

TEST_F(ProvingJoinerTest, SaysSoIfItMayNotAsk) {
  answer_ = absl::PermissionDeniedError("may not create selfsubjectreviews");
  EXPECT_THAT(Join(), StatusIs(absl::StatusCode::kPermissionDenied,
                               HasSubstr("may not create")));
  EXPECT_GE(pace_.Elapsed(), ClusterSession::kPatience);
  EXPECT_LT(pace_.Elapsed(), absl::Minutes(1));
  EXPECT_TRUE(IsKept());
}

TEST_F(ProvingJoinerTest, AsksAgainWhileNobodyAnswersAndKeepsTheCredential) {
  answer_ = absl::UnavailableError("not now");
  EXPECT_THAT(Join(), StatusIs(absl::StatusCode::kDeadlineExceeded,
                               HasSubstr("not now")));
  EXPECT_GT(reviews_, 1);
  EXPECT_TRUE(IsKept());
}

TEST_F(ProvingJoinerTest, DoesWithoutWhereTheServerKnowsNoSuchReview) {
  answer_ = absl::NotFoundError("no such resource");
  EXPECT_THAT(Join(), Joined());
}

TEST_F(NodeJoinerTest, AsksForNoLifetimeIfTheBrokerSaysNone) {
  broker_.grant.certificate_expiration_seconds = 0;
  ASSERT_THAT(Join(), Joined());
  EXPECT_FALSE(cluster_.Requests().at(0).spec().has_expiration_seconds());
}

TEST_F(NodeJoinerTest, JoinsFromATokenWithoutABroker) {
  plan_.credential = GrantOf(kToken, cluster_.ca_pem());
  ASSERT_THAT(Join(), Joined());
  EXPECT_THAT(broker_.claims, IsEmpty());
}

TEST_F(NodeJoinerTest, JoinsWithEveryTypeOfKey) {
  for (const KeyType type :
       {KeyType::kP256, KeyType::kP384, KeyType::kEd25519, KeyType::kRsa2048}) {
    SCOPED_TRACE(static_cast<int>(type));
    const TempDir dir;
    paths_.cert_dir = dir.File("pki");
    plan_.key_type = type;
    EXPECT_THAT(Join(), Joined());
  }
}

TEST_F(NodeJoinerTest, AMachineThatHasJoinedCallsNobody) {
  ASSERT_THAT(Join(), Joined());
  broker_.claims.clear();
  cluster_.logins.clear();

  EXPECT_THAT(Join(), AlreadyJoined());

  EXPECT_THAT(broker_.claims, IsEmpty());
  EXPECT_THAT(cluster_.logins, IsEmpty());
}

TEST_F(NodeJoinerTest, JoinsAgainOnceTheCertificateHasExpired) {
  ASSERT_THAT(Join(), Joined());
  clock_.Advance(absl::Hours(25));
  broker_.grant = GrantOf("zzzzzz.0123456789abcdef", cluster_.ca_pem());
  EXPECT_THAT(Join(), Joined());
  EXPECT_THAT(RequestNames(), SizeIs(2));
}

TEST_F(NodeJoinerTest, ACredentialOfAnotherNodeIsNotOurs) {
  ASSERT_THAT(Join(), Joined());
  plan_.node_name = "node-2";
  EXPECT_THAT(Join(), Joined());
  NodeFiles files(paths_);
  EXPECT_THAT(files.FindCredential("node-2", clock_.Now()), IsOk());
}

// The promise of the whole program: kill -9 anywhere, run it again, joined, and
// neither the broker nor the cluster saw more than one machine.
TEST_F(NodeJoinerTest, KilledAnywhereTheNextRunJoins) {
  for (const char* point :
       {"durable_file.temporary_made", "durable_file.temporary_written",
        "durable_file.renamed", "node_joiner.key", "node_joiner.claimed",
        "node_joiner.asked", "node_joiner.issued", "node_files.ca_written",
        "node_files.kubeconfig_written", "node_files.credential_written",
        "node_files.key_removed", "durable_file.link_made",
        "node_files.current_swapped"}) {
    SCOPED_TRACE(point);
    const TempDir dir;
    paths_ = {.cert_dir = dir.File("pki"),
              .kubeconfig = dir.File("etc/kubelet.conf"),
              .ca_file = dir.File("etc/ca.crt")};
    FakeCluster cluster(clock_, pace_);
    broker_.grant = GrantOf(kToken, cluster.ca_pem());
    broker_.claims.clear();
    const auto join = [&] {
      NodeFiles files(paths_);
      return NodeJoiner(plan_, {.broker = &broker_,
                                .api_servers = cluster.Factory(),
                                .files = files,
                                .clock = clock_,
                                .pace = pace_})
          .Run();
    };
    {
      const KillAt kill(point);
      EXPECT_THROW((void)join(), Killed);
    }

    EXPECT_THAT(join(), IsOk());

    NodeFiles files(paths_);
    EXPECT_THAT(files.FindCredential("node-1", clock_.Now()), IsOk());
    EXPECT_THAT(cluster.Requests(), SizeIs(1));
    for (const NodeClaim& claim : broker_.claims) {
      EXPECT_EQ(KeyDigestOf(claim.csr_pem),
                KeyDigestOf(broker_.claims.front().csr_pem));
    }
    EXPECT_FALSE(std::filesystem::exists(KeyFile()));
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(dir.path())) {
      EXPECT_THAT(entry.path().filename().string(),
                  Not(StartsWith(".latchkey-tmp-")));
    }
    EXPECT_THAT(join(), AlreadyJoined());
  }
}

TEST_F(NodeJoinerTest, ACertificateOnDiskNeedsNoTicketAnyMore) {
  JoinAndDieAt("node_files.credential_written");
  broker_.refusal = Refuse(absl::StatusCode::kFailedPrecondition,
                           reason::kTokenSpent, "spent");
  EXPECT_THAT(Join(), AlreadyJoined());
}

TEST_F(NodeJoinerTest, TheKeyIsOnDiskBeforeAnybodyIsCalled) {
  JoinAndDieAt("node_joiner.key");
  EXPECT_THAT(broker_.claims, IsEmpty());
  EXPECT_THAT(ReadFile(KeyFile()), HasSubstr("PRIVATE KEY"));
}

TEST_F(NodeJoinerTest, ADamagedKeyIsNeverReplaced) {
  JoinAndDieAt("node_joiner.key");
  dir_.Write("pki/latchkey-join.key", "-----BEGIN EC PRIV");

  EXPECT_THAT(Join(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("latchkey-join.key: is damaged")));

  EXPECT_EQ(ReadFile(KeyFile()), "-----BEGIN EC PRIV");
  EXPECT_THAT(broker_.claims, IsEmpty());
}

TEST_F(NodeJoinerTest, WhatStandsInTheWayIsFoundBeforeAnybodyIsCalled) {
  struct Case {
    const char* name;
    std::function<void()> spoil;
  };
  const std::vector<Case> cases = {
      {"a file where the link goes",
       [&] { dir_.Write("pki/kubelet-client-current.pem", "somebody's key"); }},
      {"a folder where the kubeconfig goes",
       [&] { std::filesystem::create_directories(paths_.kubeconfig); }},
      {"a file where a folder goes",
       [&] {
         std::filesystem::remove_all(dir_.File("kubernetes"));
         dir_.Write("kubernetes", "");
       }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::filesystem::create_directories(paths_.cert_dir);
    std::filesystem::create_directories(dir_.File("kubernetes"));
    c.spoil();
    EXPECT_THAT(Join(), Not(IsOk()));
    EXPECT_THAT(broker_.claims, IsEmpty());
    std::filesystem::remove_all(paths_.cert_dir);
    std::filesystem::remove_all(dir_.File("kubernetes"));
  }
}

TEST_F(NodeJoinerTest, ALostAnswerIsClaimedAgainWithTheSameKey) {
  broker_.failures = {absl::UnavailableError("connection reset"),
                      absl::DeadlineExceededError("no answer"),
                      absl::InternalError("broken")};
  ASSERT_THAT(Join(), Joined());
  ASSERT_THAT(broker_.claims, SizeIs(4));
  EXPECT_THAT(broker_.claims,
              Each(Field(&NodeClaim::csr_pem, broker_.claims.front().csr_pem)));
}

TEST_F(NodeJoinerTest, ARefusedClaimEndsAtOnce) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kInvalidArgument, absl::StatusCode::kNotFound,
        absl::StatusCode::kFailedPrecondition,
        absl::StatusCode::kPermissionDenied, absl::StatusCode::kUnauthenticated,
        absl::StatusCode::kUnimplemented, absl::StatusCode::kAlreadyExists}) {
    SCOPED_TRACE(absl::StatusCodeToString(code));
    broker_.claims.clear();
    broker_.refusal = Refuse(code, reason::kTicketUnknown, "no such ticket");
    const auto result = Join();
    EXPECT_THAT(result, StatusIs(absl::StatusCode::kPermissionDenied,
                                 HasSubstr("no such ticket")));
    EXPECT_THAT(result, ReasonIs(reason::kTicketUnknown));
    EXPECT_THAT(broker_.claims, SizeIs(1));
    EXPECT_TRUE(NothingIsKept());
  }
}

TEST_F(NodeJoinerTest, TheBrokersWishToBeLeftAloneIsHonoured) {
  broker_.failures = {WithRetryAfter(absl::ResourceExhaustedError("too much"),
                                     absl::Seconds(42))};
  const absl::Time start = clock_.Now();
  ASSERT_THAT(Join(), Joined());
  EXPECT_GE(clock_.Now() - start, absl::Seconds(42));
}

TEST_F(NodeJoinerTest, GivesUpInTime) {
  broker_.refusal = absl::UnavailableError("nobody there");
  const absl::Time start = clock_.Now();
  EXPECT_THAT(Join(),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       AllOf(HasSubstr("10m"), HasSubstr("nobody there"))));
  EXPECT_LE(clock_.Now() - start, absl::Minutes(10));
  EXPECT_GT(clock_.Now() - start, absl::Minutes(9));
}

TEST_F(NodeJoinerTest, AGrantThatCannotBeUsedIsRefused) {
  struct Case {
    const char* name;
    std::function<void(BootstrapGrant&)> spoil;
  };
  for (const Case& c : {
           Case{"no server", [](auto& grant) { grant.api_servers.clear(); }},
           Case{"plain http",
                [](auto& grant) { grant.api_servers = {"http://10.0.0.1"}; }},
           Case{"a line break",
                [](auto& grant) {
                  grant.api_servers = {"https://a'\nusers: []"};
                }},
           Case{"no authorities", [](auto& grant) { grant.ca_pem = ""; }},
           Case{"broken authorities",
                [](auto& grant) { grant.ca_pem = "-----BEGIN"; }},
       }) {
    SCOPED_TRACE(c.name);
    broker_.grant = GrantOf(kToken, cluster_.ca_pem());
    c.spoil(broker_.grant);
    EXPECT_THAT(Join(), StatusIs(absl::StatusCode::kPermissionDenied));
    EXPECT_THAT(RequestNames(), IsEmpty());
    EXPECT_TRUE(NothingIsKept());
  }
}

TEST_F(NodeJoinerTest, AMachineThatHasRunOutOfSomethingIsNotRefused) {
  NodeFiles files(paths_);
  const auto result =
      NodeJoiner(plan_, {.broker = &broker_,
                         .api_servers =
                             [](const ApiServerLogin&) {
                               return absl::InternalError("no thread is left");
                             },
                         .files = files,
                         .clock = clock_,
                         .pace = pace_,
                         .on_progress = nullptr})
          .Run();
  EXPECT_THAT(result,
              StatusIs(absl::StatusCode::kInternal, HasSubstr("no thread")));
  EXPECT_THAT(Join(), Joined()) << "with the same key and ticket";
}

TEST_F(NodeJoinerTest, ALostAnswerToTheRequestIsFoundAgain) {
  cluster_.server().FailNext(Verb::kCreate, 1, absl::UnavailableError("lost"),
                             FakeKubernetesClient::Effect::kDone);
  ASSERT_THAT(Join(), Joined());
  EXPECT_THAT(RequestNames(), SizeIs(1));
}

TEST_F(NodeJoinerTest, ARequestOfAStrangerIsNotAdopted) {
  JoinAndDieAt("node_joiner.asked");
  const std::vector<Csr> requests = cluster_.Requests();
  ASSERT_THAT(requests, SizeIs(1));
  const Csr& ours = requests[0];
  const auto strangers_key = PrivateKey::Generate(KeyType::kP256);
  struct Case {
    const char* name;
    std::function<void(Csr&)> change;
  };
  for (const Case& c : {
           Case{"another user",
                [](Csr& csr) {
                  csr.mutable_spec()->set_username("system:bootstrap:zzzzzz");
                }},
           Case{"another key",
                [&](Csr& csr) {
                  csr.mutable_spec()->set_request(*BuildCertificateRequest(
                      *strangers_key, {.common_name = "system:node:node-1",
                                       .organizations = {"system:nodes"}}));
                }},
           Case{"another signer",
                [](Csr& csr) {
                  csr.mutable_spec()->set_signer_name("example.org/any");
                }},
           Case{"text around the request",
                [](Csr& csr) {
                  csr.mutable_spec()->set_request("junk\n" +
                                                  csr.spec().request());
                }},
       }) {
    SCOPED_TRACE(c.name);
    Csr theirs = ours;
    theirs.clear_status();
    theirs.mutable_metadata()->Clear();
    theirs.mutable_metadata()->set_name(ours.metadata().name());
    c.change(theirs);
    ASSERT_THAT(cluster_.server().Delete<Csr>({"", ours.metadata().name()}),
                IsOk());
    ASSERT_THAT(cluster_.server().Create(theirs), IsOk());

    EXPECT_THAT(Join(), StatusIs(absl::StatusCode::kPermissionDenied,
                                 HasSubstr("not of this key and token")));
    EXPECT_TRUE(NothingIsKept());
  }
}

TEST_F(NodeJoinerTest, ANewTokenForTheSameKeyIsANewRequest) {
  JoinAndDieAt("node_joiner.asked");
  broker_.grant = GrantOf("zzzzzz.0123456789abcdef", cluster_.ca_pem());
  ASSERT_THAT(Join(), Joined());
  EXPECT_THAT(RequestNames(), SizeIs(2));
  EXPECT_THAT(RequestNames(), Each(StartsWith("latchkey-")));
}

TEST_F(NodeJoinerTest, ADeniedRequestEndsAtOnceWithTheReason) {
  cluster_.fate = FakeCluster::Fate::kDenied;
  const auto result = Join();
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kPermissionDenied,
                               AllOf(HasSubstr("was denied"),
                                     HasSubstr("as the test says"))));
  EXPECT_THAT(result, ReasonIs("SCOPE_NODE_NAME"));
  EXPECT_TRUE(NothingIsKept());
}

TEST_F(NodeJoinerTest, AFailedRequestEndsAtOnceWithTheReason) {
  cluster_.fate = FakeCluster::Fate::kFailed;
  const auto result = Join();
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kPermissionDenied,
                               HasSubstr("has failed")));
  EXPECT_THAT(result, ReasonIs("SignerValidationFailure"));
  EXPECT_TRUE(NothingIsKept());
}

TEST_F(NodeJoinerTest, ADenialOfALostRequestIsTheAnswerToIt) {
  cluster_.fate = FakeCluster::Fate::kDenied;
  cluster_.server().FailNext(Verb::kCreate, 1, absl::UnavailableError("lost"),
                             FakeKubernetesClient::Effect::kDone);
  cluster_.server().BeforeNext(
      Verb::kCreate, 2, [this] { cluster_.Decide(RequestNames().at(0)); });
  EXPECT_THAT(Join(), ReasonIs("SCOPE_NODE_NAME"));
  EXPECT_THAT(RequestNames(), SizeIs(1));
}

TEST_F(NodeJoinerTest, WhatAnEarlierRunWasDeniedIsAskedAnew) {
  cluster_.fate = FakeCluster::Fate::kDenied;
  ASSERT_THAT(Join(), StatusIs(absl::StatusCode::kPermissionDenied));
  ASSERT_THAT(Join(), StatusIs(absl::StatusCode::kPermissionDenied));
  cluster_.fate = FakeCluster::Fate::kIssued;
  ASSERT_THAT(Join(), Joined());
  EXPECT_THAT(RequestNames(), SizeIs(3));
}

TEST_F(NodeJoinerTest, AnEarlierRunsDenialIsNoAnswerToARequestThatWasLost) {
  for (const auto effect : {FakeKubernetesClient::Effect::kNotDone,
                            FakeKubernetesClient::Effect::kDone}) {
    cluster_.fate = FakeCluster::Fate::kDenied;
    ASSERT_THAT(Join(), StatusIs(absl::StatusCode::kPermissionDenied));
    cluster_.fate = FakeCluster::Fate::kIssued;
    // The name of the first try is taken, and whether the server came to look
    // is not known.
    cluster_.server().FailNext(Verb::kCreate, 1, absl::UnavailableError("lost"),
                               effect);
    ASSERT_THAT(Join(), Joined());
    std::filesystem::remove_all(paths_.cert_dir);  // and another machine comes
  }
}

TEST_F(NodeJoinerTest, DeniedRequestsDoNotPileUpForEver) {
  cluster_.fate = FakeCluster::Fate::kDenied;
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(Join(), ReasonIs("SCOPE_NODE_NAME"));
  }
  EXPECT_THAT(RequestNames(), SizeIs(10));
}

TEST_F(NodeJoinerTest, AFreshTokenIsTurnedAwayForAWhile) {
  for (int i = 1; i <= 4; ++i) {
    cluster_.server().FailNext(Verb::kCreate, i,
                               i % 2 == 0
                                   ? absl::PermissionDeniedError("not yet")
                                   : absl::UnauthenticatedError("who"));
  }
  EXPECT_THAT(Join(), Joined());
}

TEST_F(NodeJoinerTest, AfterAWhileTheTokenIsNoGood) {
  ExpectAVerdictAfterAWhile(absl::UnauthenticatedError("who"),
                            "does not accept the bootstrap token");
}

TEST_F(NodeJoinerTest, AfterAWhileTheTokenIsOfNoUse) {
  ExpectAVerdictAfterAWhile(absl::PermissionDeniedError("no"),
                            "does not let the bootstrap token do this");
}

TEST_F(NodeJoinerTest, ARefusalThatWasOnItsWayForLongIsNoLongRefusal) {
  for (int i = 1; i <= 2; ++i) {
    cluster_.server().FailNext(Verb::kCreate, i,
                               absl::UnauthenticatedError("who"));
  }
  // The machine stands still while its first question, and then while its
  // second answer, is on its way.
  for (int i = 1; i <= 2; ++i) {
    cluster_.server().BeforeNext(Verb::kCreate, i,
                                 [&] { pace_.Sleep(absl::Minutes(1)); });
  }
  EXPECT_THAT(Join(), Joined());
}

TEST_F(NodeJoinerTest, AnInvalidRequestIsNotSentAgain) {
  cluster_.server().FailNext(Verb::kCreate, 1,
                             absl::InvalidArgumentError("spec is wrong"));
  EXPECT_THAT(Join(), StatusIs(absl::StatusCode::kPermissionDenied,
                               HasSubstr("spec is wrong")));
  EXPECT_EQ(cluster_.server().Calls(Verb::kCreate), 1);
}

TEST_F(NodeJoinerTest, AnotherServerIsAskedWhenOneDoesNotAnswer) {
  broker_.grant.api_servers = {kFirstServer, kSecondServer};
  cluster_.down = {kFirstServer};
  ASSERT_THAT(Join(), Joined());
  EXPECT_THAT(cluster_.logins, ElementsAre(kFirstServer, kSecondServer));
  // The kubelet gets the one that answered.
  EXPECT_THAT(ReadFile(paths_.kubeconfig), HasSubstr(kSecondServer));
}

TEST_F(NodeJoinerTest, AServerThatRestartsIsWaitedFor) {
  int idle = 0;
  cluster_.on_idle = [&] {
    if (++idle > 1) return;
    // It goes away in the middle of the watch, is gone for a while, and for
    // another while knows neither tokens nor roles.
    cluster_.server().EndWatches();
    for (int i = 1; i <= 3; ++i) {
      cluster_.server().FailNext(Verb::kList, i,
                                 absl::UnavailableError("refused"));
    }
    cluster_.server().FailNext(Verb::kList, 4, absl::UnauthenticatedError("?"));
    cluster_.server().FailNext(Verb::kList, 5,
                               absl::PermissionDeniedError("?"));
    cluster_.server().ForgetHistory();
  };
  EXPECT_THAT(Join(), Joined());
  EXPECT_THAT(RequestNames(), SizeIs(1));
}

TEST_F(NodeJoinerTest, AServerThatForgetsIsWatchedFromNow) {
  // The request is older than all that the server remembers, and stays so.
  int idle = 0;
  cluster_.fate = FakeCluster::Fate::kNothing;
  cluster_.on_idle = [&] {
    cluster_.server().ForgetHistory();
    if (++idle > 3) cluster_.fate = FakeCluster::Fate::kIssued;
  };
  EXPECT_THAT(Join(), Joined());
}

TEST_F(NodeJoinerTest, AWatchThatIsSilentIsNotTrusted) {
  cluster_.watches_are_dead = true;
  const absl::Time start = clock_.Now();
  EXPECT_THAT(Join(), Joined());
  EXPECT_LE(clock_.Now() - start, absl::Minutes(1));
}

TEST_F(NodeJoinerTest, ARemovedRequestIsTriedAgainByTheNextRun) {
  cluster_.on_idle = [this] {
    for (const std::string& name : RequestNames()) {
      EXPECT_THAT(cluster_.server().Delete<Csr>({"", name}), IsOk());
    }
  };
  EXPECT_THAT(Join(), StatusIs(absl::StatusCode::kUnavailable,
                               HasSubstr("was removed")));
  cluster_.on_idle = nullptr;
  EXPECT_THAT(Join(), Joined());
}

TEST_F(NodeJoinerTest, ARequestThatTookTheNameIsNotOurs) {
  cluster_.on_idle = [this] {
    cluster_.on_idle = nullptr;
    Csr csr = cluster_.Requests().at(0);
    EXPECT_THAT(cluster_.server().Delete<Csr>({"", csr.metadata().name()}),
                IsOk());
    cluster_.server().EndWatches();
    const std::string name = csr.metadata().name();
    csr.mutable_metadata()->Clear();
    csr.mutable_metadata()->set_name(name);
    EXPECT_THAT(cluster_.server().Create(csr), IsOk());
  };
  EXPECT_THAT(Join(), StatusIs(absl::StatusCode::kUnavailable,
                               HasSubstr("was removed")));
}

TEST_F(NodeJoinerTest, ARequestThatNobodyAnswersTimesOut) {
  cluster_.fate = FakeCluster::Fate::kNothing;
  const absl::Time start = clock_.Now();
  EXPECT_THAT(Join(), StatusIs(absl::StatusCode::kDeadlineExceeded,
                               HasSubstr("was not answered within 10m")));
  EXPECT_LE(clock_.Now() - start, absl::Minutes(10));

  cluster_.fate = FakeCluster::Fate::kIssued;
  EXPECT_THAT(Join(), Joined());
  EXPECT_THAT(RequestNames(), SizeIs(1));
}

TEST_F(NodeJoinerTest, ACertificateThatDoesNotFitIsNotKept) {
  const auto other_key = PrivateKey::Generate(KeyType::kP256);
  const std::string other_csr = *BuildCertificateRequest(
      *other_key,
      {.common_name = "system:node:node-1", .organizations = {"system:nodes"}});
  struct Case {
    const char* name;
    std::function<void(CertificateProfile&)> amend;
    std::string sign_instead;
    absl::StatusCode want;
  };
  const std::vector<Case> cases = {
      {"another key", nullptr, other_csr, absl::StatusCode::kPermissionDenied},
      {"another node", [](auto& p) { p.common_name = "system:node:node-2"; },
       "", absl::StatusCode::kPermissionDenied},
      {"another group", [](auto& p) { p.organizations = {"system:masters"}; },
       "", absl::StatusCode::kPermissionDenied},
      {"one more group",
       [](auto& p) { p.organizations.push_back("system:masters"); }, "",
       absl::StatusCode::kPermissionDenied},
      {"a server's",
       [](auto& p) {
         p.client_auth = false;
         p.server_auth = true;
       },
       "", absl::StatusCode::kPermissionDenied},
      {"not yet valid", [&](auto& p) { p.not_before += absl::Minutes(20); }, "",
       absl::StatusCode::kUnavailable},
      {"expired",
       [&](auto& p) { p.not_after = p.not_before + absl::Minutes(1); }, "",
       absl::StatusCode::kUnavailable},
  };
  int number = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    broker_.grant =
        GrantOf("tok00" + std::to_string(number++) + ".0123456789abcdef",
                cluster_.ca_pem());
    cluster_.amend = c.amend;
    cluster_.sign_instead = c.sign_instead;
    EXPECT_THAT(Join(), StatusIs(c.want));
    EXPECT_TRUE(NothingIsKept());
  }
}

TEST_F(NodeJoinerTest, ASlowClockOnTheMachineIsForgiven) {
  cluster_.amend = [this](CertificateProfile& profile) {
    profile.not_before = clock_.Now() + absl::Minutes(4);
  };
  EXPECT_THAT(Join(), Joined());
}

// As after a reboot, before the time is set.
TEST_F(NodeJoinerTest, AMachineThatHasJoinedIsNotJoinedAnewByASlowClock) {
  ASSERT_THAT(Join(), Joined());
  broker_.claims.clear();
  clock_.Advance(-absl::Hours(1000));

  EXPECT_THAT(Join(), StatusIs(absl::StatusCode::kUnavailable,
                               AllOf(HasSubstr(Current()), HasSubstr("clock"),
                                     HasSubstr("set it"))));

  EXPECT_FALSE(std::filesystem::exists(KeyFile()));
  EXPECT_THAT(broker_.claims, IsEmpty());
  clock_.Advance(absl::Hours(1000));
  EXPECT_THAT(Join(), AlreadyJoined());
}

TEST_F(NodeJoinerTest, ASlowClockAfterAKillAtTheEndMakesNoNewKey) {
  JoinAndDieAt("node_files.key_removed");
  broker_.claims.clear();
  clock_.Advance(-absl::Hours(1000));

  EXPECT_THAT(Join(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("clock")));

  EXPECT_FALSE(std::filesystem::exists(KeyFile()));
  EXPECT_THAT(broker_.claims, IsEmpty());
  clock_.Advance(absl::Hours(1000));
  EXPECT_THAT(Join(), AlreadyJoined());
}

TEST_F(NodeJoinerTest, OneRunAtATime) {
  NodeFiles files(paths_);
  {
    const auto lock = files.TryLock();
    ASSERT_THAT(lock, IsOk());
    EXPECT_THAT(Join(), StatusIs(absl::StatusCode::kUnavailable));
    EXPECT_THAT(broker_.claims, IsEmpty());
  }
  EXPECT_THAT(Join(), Joined());
}

TEST_F(NodeJoinerTest, ASecondRunWaitsForTheFirstAndSaysSo) {
  NodeFiles files(paths_);
  auto lock = files.TryLock();
  ASSERT_THAT(lock, IsOk());
  pace_.on_sleep = [&] {
    if (pace_.Elapsed() >= absl::Minutes(1)) lock = absl::UnknownError("over");
  };
  EXPECT_THAT(Join(), Joined());
  EXPECT_GE(pace_.Elapsed(), absl::Minutes(1));
  EXPECT_EQ(progress_.front().step, "lock") << "once, and before all else";
  EXPECT_EQ(std::ranges::count(progress_, "lock", &JoinProgress::step), 1);
}

TEST_F(NodeJoinerTest, ProgressSaysWhatHappensAndNothingSecret) {
  broker_.failures = {absl::UnavailableError("busy")};
  ASSERT_THAT(Join(), Joined());
  std::vector<std::string> steps;
  for (const JoinProgress& progress : progress_) {
    steps.emplace_back(progress.step);
    std::string all = progress.text;
    for (const auto& [key, value] : progress.fields) all += " " + value;
    EXPECT_THAT(all, Not(HasSubstr("0123456789abcdef")));
    EXPECT_THAT(all, Not(HasSubstr("zzzz")));
    EXPECT_THAT(all, Not(HasSubstr("PRIVATE")));
  }
  EXPECT_THAT(steps, ElementsAre("key", "retry", "claim", "ask", "wait"));
}

}  // namespace
}  // namespace latchkey
