// CertificateSigningRequests: what may be asked for, decided and changed, and
// what the kubelet's signer makes of it.

#include <absl/time/clock.h>

#include "clients/kubernetes/kube_time.h"
#include "crypto/certificate.h"
#include "tests/devcluster/kubernetes_contract.h"

namespace latchkey_testing {
namespace {

using latchkey::kubernetes::SelfSubjectReview;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr char kOtherSigner[] = "contract.latchkey.test/signer";

Csr WithSigner(Csr csr, const std::string& signer) {
  csr.mutable_spec()->set_signer_name(signer);
  return csr;
}

Csr WithUsages(Csr csr, const std::vector<std::string>& usages) {
  csr.mutable_spec()->clear_usages();
  for (const std::string& usage : usages) csr.mutable_spec()->add_usages(usage);
  return csr;
}

std::vector<std::string> ConditionsOf(const Csr& csr) {
  std::vector<std::string> types;
  for (const auto& condition : csr.status().conditions()) {
    types.push_back(condition.type());
  }
  return types;
}

latchkey::Certificate CertificateOf(const Csr& csr) {
  auto parsed = latchkey::Certificate::ParseAll(csr.status().certificate());
  EXPECT_THAT(parsed, IsOk());
  return parsed.ok() ? parsed->front() : latchkey::Certificate();
}

TEST_P(KubernetesContract, ARequestIsStampedWithItsRequester) {
  const Token token = MustHaveToken();
  Csr csr = NewCsr();
  csr.mutable_spec()->set_username("system:node:other");
  csr.mutable_spec()->set_uid("other");
  csr.mutable_spec()->add_groups("system:masters");
  (*csr.mutable_spec()->mutable_extra())["other"].add_items("x");

  const auto created = cluster().WithToken(token.joined())->Create(csr);

  ASSERT_THAT(created, IsOk());
  RemoveLater(csr);
  EXPECT_EQ(created->spec().username(), UserOf(token));
  EXPECT_EQ(created->spec().uid(), "");
  EXPECT_THAT(created->spec().groups(),
              ElementsAre("system:bootstrappers", kLatchkeyGroup,
                          "system:authenticated"));
  EXPECT_EQ(created->spec().extra_size(), 0);
}

TEST_P(KubernetesContract, ARequestCannotComeApproved) {
  Csr csr = NewCsr();
  AddCondition(csr, "Approved");
  csr.mutable_status()->set_certificate("mine");

  const Csr created = MustCreate(csr);

  EXPECT_THAT(ConditionsOf(created), IsEmpty());
  EXPECT_EQ(created.status().certificate(), "");
}

TEST_P(KubernetesContract, AnUpdateOfARequestChangesItsMetadataOnly) {
  const Csr created = MustCreate(NewCsr());
  Csr csr = WithUsages(created, {"server auth"});
  csr.mutable_spec()->set_username("other");
  (*csr.mutable_metadata()->mutable_labels())["a"] = "b";
  AddCondition(csr, "Approved");

  const auto updated = admin().Update(csr);

  ASSERT_THAT(updated, IsOk());
  EXPECT_EQ(updated->metadata().labels().at("a"), "b");
  EXPECT_EQ(updated->spec().SerializeAsString(),
            created.spec().SerializeAsString());
  EXPECT_THAT(ConditionsOf(*updated), IsEmpty());
}

TEST_P(KubernetesContract, NamesOfRequestsAreFree) {
  for (const std::string& name :
       {"Node_Csr-" + NewName(), "a:b" + NewName(), "~" + NewName()}) {
    SCOPED_TRACE(name);
    Csr csr = NewCsr();
    csr.mutable_metadata()->set_name(name);
    EXPECT_EQ(MustCreate(csr).metadata().name(), name);
    EXPECT_THAT(admin().Get<Csr>({"", name}), IsOk());
  }
}

TEST_P(KubernetesContract, ANameThatIsNoPathSegmentIsRefused) {
  for (const char* name : {"..", "a/b", "a%b"}) {
    SCOPED_TRACE(name);
    Csr csr = NewCsr();
    csr.mutable_metadata()->set_name(name);
    EXPECT_THAT(admin().Create(csr),
                Invalid("metadata.name: FieldValueInvalid"));
  }
}

TEST_P(KubernetesContract, ARequestIsOnePemBlockWithAGoodSignature) {
  const std::string good = NewCsr().spec().request();
  std::string tampered = good;
  // Within the subject's base64, which the signature covers.
  tampered[80] = tampered[80] == 'A' ? 'B' : 'A';
  std::string other_label = good;
  while (other_label.find("CERTIFICATE REQUEST") != std::string::npos) {
    other_label.replace(other_label.find("CERTIFICATE REQUEST"), 19,
                        "CERTIFICATE");
  }
  for (const std::string& bad : {std::string(), std::string("garbage"),
                                 tampered, other_label, other_label + good}) {
    SCOPED_TRACE(bad);
    Csr csr = NewCsr();
    csr.mutable_spec()->set_request(bad);
    EXPECT_THAT(admin().Create(csr),
                Invalid("spec.request: FieldValueInvalid"));
  }
}

TEST_P(KubernetesContract, OnlyTheFirstPemBlockOfARequestIsRead) {
  Csr csr = NewCsr();
  csr.mutable_spec()->set_request(
      "words before\n" + csr.spec().request() +
      "words behind\n-----BEGIN OTHER-----\nAAAA\n-----END OTHER-----\n");

  EXPECT_EQ(MustCreate(csr).spec().request(), csr.spec().request());
}

TEST_P(KubernetesContract, UsagesAreKnownAndDistinct) {
  EXPECT_THAT(admin().Create(WithUsages(NewCsr(), {})),
              Invalid("spec.usages: FieldValueRequired"));
  EXPECT_THAT(admin().Create(WithUsages(NewCsr(), {"client auth", "fishing"})),
              Invalid("spec.usages[1]: FieldValueNotSupported"));
  EXPECT_THAT(
      admin().Create(WithUsages(NewCsr(), {"client auth", "client auth"})),
      Invalid("spec.usages[1]: FieldValueDuplicate"));
}

TEST_P(KubernetesContract, ARequestNamesASigner) {
  EXPECT_THAT(admin().Create(WithSigner(NewCsr(), "")),
              Invalid("spec.signerName: FieldValueRequired"));
  for (const char* bad : {"signer", "a/b", "a.b/c/d", "a.b/", "A.b/c",
                          "kubernetes.io/legacy-unknown"}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(admin().Create(WithSigner(NewCsr(), bad)),
                Invalid("spec.signerName: FieldValueInvalid"));
  }
}

TEST_P(KubernetesContract, ALifetimeIsTenMinutesAtLeast) {
  Csr csr = NewCsr();
  csr.mutable_spec()->set_expiration_seconds(599);
  EXPECT_THAT(admin().Create(csr),
              Invalid("spec.expirationSeconds: FieldValueInvalid"));

  csr.mutable_spec()->set_expiration_seconds(600);
  EXPECT_EQ(MustCreate(csr).spec().expiration_seconds(), 600);
}

TEST_P(KubernetesContract, AVerdictIsTimed) {
  const Csr approved =
      MustApprove(MustCreate(WithSigner(NewCsr(), kOtherSigner)));

  ASSERT_THAT(ConditionsOf(approved), ElementsAre("Approved"));
  const auto& condition = approved.status().conditions(0);
  EXPECT_EQ(condition.reason(), "Contract");
  EXPECT_GT(condition.last_update_time().seconds(), 1'700'000'000);
  EXPECT_GT(condition.last_transition_time().seconds(), 1'700'000'000);
}

TEST_P(KubernetesContract, AVerdictOnAnOldVersionIsAConflict) {
  const Csr created = MustCreate(WithSigner(NewCsr(), kOtherSigner));
  Csr labelled = created;
  (*labelled.mutable_metadata()->mutable_labels())["a"] = "b";
  ASSERT_THAT(admin().Update(labelled), IsOk());
  Csr csr = created;
  AddCondition(csr, "Approved");

  EXPECT_THAT(
      admin().Update(csr, "approval"),
      Fails(absl::StatusCode::kAborted,
            "Operation cannot be fulfilled on "
            "certificatesigningrequests.certificates.k8s.io \"" +
                csr.metadata().name() + "\": the object has been modified"));
}

TEST_P(KubernetesContract, AVerdictOnAnotherUidIsAConflict) {
  Csr csr = MustCreate(WithSigner(NewCsr(), kOtherSigner));
  csr.mutable_metadata()->set_uid("00000000-0000-4000-8000-000000000000");
  csr.mutable_metadata()->clear_resource_version();
  AddCondition(csr, "Approved");

  EXPECT_THAT(admin().Update(csr, "approval"),
              StatusIs(absl::StatusCode::kAborted));
}

TEST_P(KubernetesContract, AVerdictWithoutAVersionIsUnconditional) {
  Csr csr = MustCreate(WithSigner(NewCsr(), kOtherSigner));
  csr.mutable_metadata()->clear_resource_version();
  AddCondition(csr, "Denied");

  EXPECT_THAT(admin().Update(csr, "approval"), IsOk());
}

TEST_P(KubernetesContract, AnApprovalStandsOnce) {
  Csr csr = MustApprove(MustCreate(WithSigner(NewCsr(), kOtherSigner)));
  AddCondition(csr, "Approved");

  EXPECT_THAT(admin().Update(csr, "approval"),
              Invalid("status.conditions[1].type: FieldValueDuplicate"));
}

TEST_P(KubernetesContract, TheSameApprovalAgainChangesNothing) {
  const Csr csr = MustApprove(MustCreate(WithSigner(NewCsr(), kOtherSigner)));

  const auto again = admin().Update(csr, "approval");

  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->metadata().resource_version(),
            csr.metadata().resource_version());
}

TEST_P(KubernetesContract, WhatIsApprovedCannotBeDenied) {
  Csr csr = MustApprove(MustCreate(WithSigner(NewCsr(), kOtherSigner)));
  AddCondition(csr, "Denied");

  EXPECT_THAT(admin().Update(csr, "approval"),
              Invalid("status.conditions: FieldValueInvalid"));
}

TEST_P(KubernetesContract, AnApprovalCannotBeTakenBack) {
  Csr csr = MustApprove(MustCreate(WithSigner(NewCsr(), kOtherSigner)));
  csr.mutable_status()->clear_conditions();

  EXPECT_THAT(admin().Update(csr, "approval"),
              Invalid("status.conditions: FieldValueForbidden"));
}

TEST_P(KubernetesContract, ADenialCannotBecomeAnApproval) {
  Csr csr = MustCreate(WithSigner(NewCsr(), kOtherSigner));
  AddCondition(csr, "Denied");
  auto denied = admin().Update(csr, "approval");
  ASSERT_THAT(denied, IsOk());
  denied->mutable_status()->clear_conditions();
  AddCondition(*denied, "Approved");

  EXPECT_THAT(admin().Update(*denied, "approval"),
              Invalid("status.conditions: FieldValueForbidden"));
}

TEST_P(KubernetesContract, AVerdictIsTrue) {
  for (const char* status : {"False", "Unknown"}) {
    SCOPED_TRACE(status);
    Csr csr = MustCreate(WithSigner(NewCsr(), kOtherSigner));
    AddCondition(csr, "Approved", status);
    EXPECT_THAT(admin().Update(csr, "approval"),
                Invalid("status.conditions[0].status: FieldValueNotSupported"));
  }
  Csr csr = MustCreate(WithSigner(NewCsr(), kOtherSigner));
  AddCondition(csr, "Approved", "");
  EXPECT_THAT(admin().Update(csr, "approval"),
              Invalid("status.conditions[0].status: FieldValueRequired"));
}

TEST_P(KubernetesContract, AVerdictBringsNoCertificateAndNoOtherSpec) {
  const Csr created = MustCreate(WithSigner(NewCsr(), kOtherSigner));
  Csr csr = WithUsages(created, {"server auth"});
  csr.mutable_status()->set_certificate(cluster().ca().certificate_pem());

  const Csr approved = MustApprove(csr);

  EXPECT_EQ(approved.status().certificate(), "");
  EXPECT_EQ(approved.spec().SerializeAsString(),
            created.spec().SerializeAsString());
}

TEST_P(KubernetesContract, AVerdictMayBringLabels) {
  Csr csr = MustCreate(WithSigner(NewCsr(), kOtherSigner));
  (*csr.mutable_metadata()->mutable_labels())["a"] = "b";

  EXPECT_EQ(MustApprove(csr).metadata().labels().count("a"), 1U);
}

TEST_P(KubernetesContract, ACertificateIsSetOnce) {
  Csr csr = MustApprove(MustCreate(WithSigner(NewCsr(), kOtherSigner)));
  csr.mutable_status()->set_certificate(cluster().ca().certificate_pem());
  auto issued = admin().Update(csr, "status");
  ASSERT_THAT(issued, IsOk());
  EXPECT_EQ(issued->status().certificate(), cluster().ca().certificate_pem());

  issued->mutable_status()->set_certificate("words\n" +
                                            cluster().ca().certificate_pem());
  EXPECT_THAT(admin().Update(*issued, "status"),
              Invalid("status.certificate: FieldValueForbidden"));
}

TEST_P(KubernetesContract, ACertificateIsPem) {
  Csr csr = MustCreate(WithSigner(NewCsr(), kOtherSigner));
  for (const std::string& bad :
       {std::string("garbage"), csr.spec().request()}) {
    SCOPED_TRACE(bad);
    csr.mutable_status()->set_certificate(bad);
    EXPECT_THAT(admin().Update(csr, "status"),
                Invalid("status.certificate: FieldValueInvalid"));
  }
}

TEST_P(KubernetesContract, TheStatusCannotApprove) {
  Csr csr = MustCreate(WithSigner(NewCsr(), kOtherSigner));
  AddCondition(csr, "Approved");

  EXPECT_THAT(admin().Update(csr, "status"),
              Invalid("status.conditions: FieldValueForbidden"));
}

TEST_P(KubernetesContract, AFailureStays) {
  Csr csr = MustCreate(WithSigner(NewCsr(), kOtherSigner));
  AddCondition(csr, "Failed");
  auto failed = admin().Update(csr, "status");
  ASSERT_THAT(failed, IsOk());
  EXPECT_THAT(ConditionsOf(*failed), ElementsAre("Failed"));

  failed->mutable_status()->clear_conditions();
  EXPECT_THAT(admin().Update(*failed, "status"),
              Invalid("status.conditions: FieldValueForbidden"));
}

TEST_P(KubernetesContract, TheSignerIssuesWhatIsApproved) {
  const latchkey::PrivateKey key = NewKey();
  const Csr approved = MustApprove(MustCreate(NewCsr(key)));

  const Csr issued = AwaitOutcome(approved);

  const latchkey::Certificate certificate = CertificateOf(issued);
  EXPECT_THAT(certificate.common_names, ElementsAre("system:node:contract"));
  EXPECT_THAT(certificate.organizations, ElementsAre("system:nodes"));
  EXPECT_EQ(certificate.key_digest, key.public_key_digest());
  EXPECT_TRUE(certificate.allows_client_auth);
  EXPECT_THAT(certificate.dns_names, IsEmpty());
  EXPECT_THAT(ConditionsOf(issued), ElementsAre("Approved"));
}

TEST_P(KubernetesContract, AnIssuedCertificateLogsIn) {
  const latchkey::PrivateKey key = NewKey();
  const Csr issued = AwaitOutcome(MustApprove(MustCreate(NewCsr(key))));

  const auto review =
      cluster()
          .WithCertificate({.certificate_pem = issued.status().certificate(),
                            .private_key_pem = key.ToPem()})
          ->Create(SelfSubjectReview());

  ASSERT_THAT(review, IsOk());
  EXPECT_EQ(review->status().user_info().username(), "system:node:contract");
  EXPECT_THAT(review->status().user_info().groups(),
              ElementsAre("system:nodes", "system:authenticated"));
}

// The span of the certificate, from the time that it was asked for at.
void ExpectValidity(const latchkey::Certificate& certificate, absl::Time asked,
                    absl::Duration before, absl::Duration after) {
  const absl::Duration slack = absl::Seconds(40);
  EXPECT_GE(certificate.not_before, asked - before - absl::Seconds(1));
  EXPECT_LE(certificate.not_before, asked - before + slack);
  EXPECT_GE(certificate.not_after, asked + after - absl::Seconds(1));
  EXPECT_LE(certificate.not_after, asked + after + slack);
}

TEST_P(KubernetesContract, AShortLifetimeIsGivenInFull) {
  for (const int seconds : {600, 3600}) {
    SCOPED_TRACE(seconds);
    const absl::Time asked = absl::Now();
    Csr csr = NewCsr();
    csr.mutable_spec()->set_expiration_seconds(seconds);
    ExpectValidity(CertificateOf(AwaitOutcome(MustApprove(MustCreate(csr)))),
                   asked, absl::Minutes(5), absl::Seconds(seconds));
  }
}

TEST_P(KubernetesContract, ALongLifetimeCountsFromItsBackdatedBeginning) {
  const absl::Time asked = absl::Now();
  Csr csr = NewCsr();
  csr.mutable_spec()->set_expiration_seconds(24 * 3600);

  ExpectValidity(CertificateOf(AwaitOutcome(MustApprove(MustCreate(csr)))),
                 asked, absl::Minutes(5), absl::Hours(24) - absl::Minutes(5));
}

TEST_P(KubernetesContract, ALifetimeIsAYearUnlessItIsAskedFor) {
  const absl::Time asked = absl::Now();

  ExpectValidity(CertificateOf(AwaitOutcome(MustApprove(MustCreate(NewCsr())))),
                 asked, absl::Minutes(5),
                 absl::Hours(365 * 24) - absl::Minutes(5));
}

TEST_P(KubernetesContract, ALifetimeIsNoLongerThanTheSignersOwn) {
  const absl::Time asked = absl::Now();
  Csr csr = NewCsr();
  csr.mutable_spec()->set_expiration_seconds(2 * 365 * 24 * 3600);

  ExpectValidity(CertificateOf(AwaitOutcome(MustApprove(MustCreate(csr)))),
                 asked, absl::Minutes(5),
                 absl::Hours(365 * 24) - absl::Minutes(5));
}

TEST_P(KubernetesContract, TheSignerTakesKeyEnciphermentBesides) {
  const Csr issued = AwaitOutcome(MustApprove(MustCreate(WithUsages(
      NewCsr(), {"key encipherment", "client auth", "digital signature"}))));

  EXPECT_NE(issued.status().certificate(), "");
}

TEST_P(KubernetesContract, TheSignerTakesTheFirstPemBlock) {
  Csr csr = NewCsr();
  csr.mutable_spec()->set_request("words\n" + csr.spec().request() + "words\n");

  EXPECT_NE(AwaitOutcome(MustApprove(MustCreate(csr))).status().certificate(),
            "");
}

TEST_P(KubernetesContract, TheSignerTakesAnyNodeNameEvenNone) {
  const Csr csr = NewCsrFor(
      {.common_name = "system:node:", .organizations = {"system:nodes"}});

  EXPECT_NE(AwaitOutcome(MustApprove(MustCreate(csr))).status().certificate(),
            "");
}

TEST_P(KubernetesContract, TheSignerRefusesWhatNoKubeletIsGiven) {
  const std::vector<std::string> nodes = {"system:nodes"};
  struct Case {
    const char* name;
    Csr csr;
  };
  for (const Case& one : std::vector<Case>{
           {"a SAN", NewCsrFor({.common_name = "system:node:contract",
                     .organizations = nodes,
                     .dns_names = {"contract"}})},
           {"another O besides",
            NewCsrFor({.common_name = "system:node:contract",
            .organizations = {"system:nodes", "system:masters"}})},
           {"no O", NewCsrFor({.common_name = "system:node:contract"})},
           {"another CN",
            NewCsrFor({.common_name = "contract", .organizations = nodes})},
           {"no CN", NewCsrFor({.organizations = nodes})},
           {"server auth",
            WithUsages(NewCsr(), {"digital signature", "server auth"})},
           {"server auth besides",
            WithUsages(NewCsr(),
                       {"digital signature", "client auth", "server auth"})},
           {"client auth alone", WithUsages(NewCsr(), {"client auth"})}}) {
    SCOPED_TRACE(one.name);
    const Csr refused = AwaitOutcome(MustApprove(MustCreate(one.csr)));
    EXPECT_EQ(refused.status().certificate(), "");
    EXPECT_THAT(ConditionsOf(refused),
                UnorderedElementsAre("Approved", "Failed"));
    for (const auto& condition : refused.status().conditions()) {
      if (condition.type() != "Failed") continue;
      EXPECT_EQ(condition.reason(), "SignerValidationFailure");
      EXPECT_EQ(condition.status(), "True");
    }
  }
}

TEST_P(KubernetesContract, TheSignerSignsNothingUnasked) {
  const Csr undecided = MustCreate(NewCsr());
  const Csr foreign =
      MustApprove(MustCreate(WithSigner(NewCsr(), kOtherSigner)));
  Csr denied = MustCreate(NewCsr());
  AddCondition(denied, "Denied");
  ASSERT_THAT(admin().Update(denied, "approval"), IsOk());
  // Once a later one is done, these have had their turn.
  AwaitOutcome(MustApprove(MustCreate(NewCsr())));

  for (const Csr& csr : {undecided, foreign, denied}) {
    const auto got = admin().Get<Csr>({"", csr.metadata().name()});
    ASSERT_THAT(got, IsOk());
    EXPECT_EQ(got->status().certificate(), "");
  }
}

}  // namespace
}  // namespace latchkey_testing
