// Provisioners of every kind, against the real control plane: ServiceAccounts
// of the cluster, and JWTs of issuers of our own.

#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/reasons.h"
#include "tests/e2e/bearer_test.h"
#include "tests/testing/left_out.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

namespace reason = latchkey::reason;

class IdentitiesTest : public BearerTest {};

TEST_F(IdentitiesTest, AServiceAccountMintsATicketThatAMachineJoinsWith) {
  Kubectl({"create", "serviceaccount", "scaler"});
  Kubectl({"create", "serviceaccount", "other"});
  const auto broker = StartBrokerForBearers();

  const auto issued = IssueAs(*broker, TokenOf("scaler"));
  ASSERT_THAT(issued, IsOk());
  EXPECT_EQ(Record(IdOf(issued->ticket()))->record.provisioner,
            "sa:default/scaler");
  Machine machine("worker-1");
  machine.UseTicket(pki(), broker->node_endpoint(), issued->ticket());
  const ProgramResult joined = machine.Join();
  EXPECT_EQ(joined.exit_code, 0) << joined.out << joined.err;

  EXPECT_THAT(IssueAs(*broker, TokenOf("other")),
              ReasonIs(reason::kPolicyDenied));
  // For the API server, or for somebody else; and both.
  EXPECT_THAT(IssueAs(*broker, TokenOf("scaler", "")),
              ReasonIs(reason::kUnauthenticated));
  EXPECT_THAT(IssueAs(*broker, TokenOf("scaler", "other")),
              ReasonIs(reason::kUnauthenticated));
  // Of the cluster's issuer, but not signed by it.
  std::string forged = TokenOf("scaler");
  forged = forged.substr(0, forged.rfind('.') + 1) +
           Base64Url(std::string(256, 'x'));
  EXPECT_THAT(IssueAs(*broker, forged), ReasonIs(reason::kUnauthenticated));
  // Certificates are as good as before.
  EXPECT_THAT(Issue(ProvisionerChannel(*broker), RequestFor("worker-2")),
              IsOk());
  EXPECT_THAT(Issue(NodeChannel(*broker), RequestFor("worker-2")),
              StatusIs(absl::StatusCode::kUnimplemented))
      << "the node port serves no provisioners";
}

TEST_F(IdentitiesTest, IssuersOfJwtsByFileAndByUrl) {
  const auto broker = StartBrokerForBearers();
  for (const char* issuer : {"file", "url"}) {
    SCOPED_TRACE(issuer);
    const auto issued = IssueAs(*broker, JwtOf(old_key_, {.issuer = issuer}));
    ASSERT_THAT(issued, IsOk());
    EXPECT_EQ(Record(IdOf(issued->ticket()))->record.provisioner,
              fmt::format("jwt:{}:job-1", issuer));
    EXPECT_THAT(IssueAs(*broker, JwtOf(old_key_,
                                       {.issuer = issuer, .subject = "job-2"})),
                ReasonIs(reason::kPolicyDenied));
    const std::string refused[] = {
        JwtOf(old_key_, {.issuer = issuer, .audience = "other"}),
        JwtOf(old_key_, {.issuer = issuer, .lifetime = -absl::Seconds(1)}),
        JwtOf(new_key_, {.issuer = issuer}),
    };
    for (const std::string& token : refused) {
      EXPECT_THAT(IssueAs(*broker, token), ReasonIs(reason::kUnauthenticated));
    }
  }
  EXPECT_FALSE(Knows(*broker, JwtOf(old_key_, {.issuer = "unknown"})));

  // A token that was good, and remembered, is over when it says so.
  const std::string brief =
      JwtOf(old_key_,
            {.issuer = "file", .lifetime = absl::Seconds(4), .subject = "x"});
  EXPECT_TRUE(Knows(*broker, brief));
  EXPECT_TRUE(
      WaitUntil([&] { return !Knows(*broker, brief); }, absl::Seconds(20)));

  // The file is replaced: at once for tokens that were not seen before.
  std::filesystem::rename(keys_.Write("next", JwkSetOf({new_key_.Jwk()})),
                          keys_.File("file.json"));
  EXPECT_TRUE(Knows(*broker, JwtOf(new_key_, {.issuer = "file"})));
  EXPECT_FALSE(Knows(*broker, JwtOf(old_key_, {.issuer = "file"})));
}

// As docs/identities.md says: the broker remembers for a minute, and so, for
// ten seconds, does the API server.
TEST_F(IdentitiesTest, WhatIsTakenBackIsRefusedWithinTheTimesOfThePage) {
  Kubectl({"create", "serviceaccount", "brief"});
  const auto broker = StartBrokerForBearers();
  // Nobody's, to the policy, so that looking makes no tokens.
  const std::string account = TokenOf("brief");
  const Jwt stranger = {.issuer = "url", .subject = "stranger"};
  const std::string old_jwt = JwtOf(old_key_, stranger);
  EXPECT_THAT(IssueAs(*broker, account), ReasonIs(reason::kPolicyDenied));
  EXPECT_THAT(IssueAs(*broker, old_jwt), ReasonIs(reason::kPolicyDenied));

  Kubectl({"delete", "serviceaccount", "brief"});
  std::filesystem::rename(
      site_.folder().Write("next", JwkSetOf({new_key_.Jwk()})),
      site_.folder().File("url.json"));
  const absl::Time begun = absl::Now();
  EXPECT_TRUE(
      WaitUntil([&] { return Knows(*broker, JwtOf(new_key_, stranger)); },
                absl::Seconds(80)));
  EXPECT_TRUE(
      WaitUntil([&] { return !Knows(*broker, old_jwt); }, absl::Seconds(80)));
  EXPECT_TRUE(
      WaitUntil([&] { return !Knows(*broker, account); }, absl::Seconds(80)));
  EXPECT_LT(absl::Now() - begun, absl::Seconds(120));
}

TEST_F(IdentitiesTest, AWatchAndAConnectionEndWithTheirCredential) {
  const auto broker = StartBrokerForBearers();
  const absl::Duration brief = absl::Seconds(5);
  grpc::ClientContext context;
  context.AddMetadata(
      "authorization",
      "Bearer " + JwtOf(old_key_, {.issuer = "file", .lifetime = brief}));
  const auto watching =
      latchkey::OpenBrokerChannel({.endpoint = broker->provisioner_endpoint(),
                                   .certificate_authorities = pki().ca_pem()});
  const auto stream =
      latchkey::v1::TokenBroker::NewStub(watching)->WatchTokens(&context, {});
  latchkey::v1::WatchTokensResponse news;
  ASSERT_TRUE(stream->Read(&news));

  // On one connection, whose certificate was good when it began.
  const auto shown = pki().Client(kAutoscaler, brief);
  const auto connection =
      latchkey::OpenBrokerChannel({.endpoint = broker->provisioner_endpoint(),
                                   .certificate_authorities = pki().ca_pem(),
                                   .certificate_pem = shown.certificate_pem,
                                   .private_key_pem = shown.private_key_pem});
  EXPECT_THAT(Issue(connection, RequestFor("worker-1")), IsOk());
  EXPECT_TRUE(WaitUntil([&] {
    return latchkey::ReasonOf(
               Issue(connection, RequestFor("worker-1")).status()) ==
           reason::kUnauthenticated;
  }));
  EXPECT_EQ(connection->GetState(false), GRPC_CHANNEL_READY);

  // Something happens that it would have been told of.
  EXPECT_THAT(IssueAs(*broker, JwtOf(old_key_, {.issuer = "file"})), IsOk());
  while (stream->Read(&news)) EXPECT_FALSE(news.has_event());
  EXPECT_THAT(latchkey::FromGrpcStatus(stream->Finish()),
              ReasonIs(reason::kUnauthenticated));
}

// Every RPC, from gRPC's Python, whichever way the caller proves who it is.
TEST_F(IdentitiesTest,
       EveryVerbWorksForEveryKindOfIdentityFromAnotherLanguage) {
  if (!HasPythonGrpc()) {
    LATCHKEY_LEAVE_OUT("needs the Debian package python3-grpcio");
  }
  // Another case may have made it: they share the cluster.
  cluster().Run({"kubectl", "create", "serviceaccount", "scaler"});
  const auto broker = StartBrokerForBearers();
  const IdentityFiles autoscaler =
      pki().Save("autoscaler", pki().Client(kAutoscaler));
  const std::string foreign_to_bearers = IdOf(IssueTicket(*broker, "worker-x"));
  const auto bearers_own = IssueAs(*broker, TokenOf("scaler"));
  ASSERT_THAT(bearers_own, IsOk());

  struct Case {
    const char* name;
    std::vector<std::string> credential;
    std::string foreign;
    std::vector<std::string> foreign_credential;
  };
  const TempDir dir;
  const std::string account = dir.Write("sa", TokenOf("scaler"));
  const std::vector<std::string> foreign_certificate = {
      "--foreign-certificate", autoscaler.certificate, "--foreign-key",
      autoscaler.private_key};
  const Case cases[] = {
      {"certificate",
       {"--certificate", autoscaler.certificate, "--key",
        autoscaler.private_key},
       bearers_own->token().id(),
       {"--foreign-token-file", account}},
      {"service-account",
       {"--token-file", account},
       foreign_to_bearers,
       foreign_certificate},
      {"jwt",
       {"--token-file", dir.Write("jwt", JwtOf(old_key_, {.issuer = "file"}))},
       foreign_to_bearers,
       foreign_certificate},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const std::string stubs = dir.File(std::string("stubs-") + c.name);
    std::filesystem::create_directory(stubs);
    std::vector<std::string> command = {"/usr/bin/python3",
                                        LATCHKEY_SOURCE_DIR
                                        "/tests/e2e/every_verb.py",
                                        "--protos",
                                        LATCHKEY_SOURCE_DIR "/proto",
                                        "--stubs",
                                        stubs,
                                        "--target",
                                        broker->provisioner_endpoint(),
                                        "--ca",
                                        pki().ca_file(),
                                        "--node",
                                        std::string("worker-") + c.name + "-",
                                        "--foreign",
                                        c.foreign};
    command.insert(command.end(), c.credential.begin(), c.credential.end());
    command.insert(command.end(), c.foreign_credential.begin(),
                   c.foreign_credential.end());
    const ProgramResult done = RunProgram(command, {}, absl::Minutes(2));
    EXPECT_EQ(done.exit_code, 0) << done.out << done.err;
    EXPECT_THAT(done.out, ::testing::HasSubstr("strangers"));
  }
}

}  // namespace
}  // namespace latchkey_testing
