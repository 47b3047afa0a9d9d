#include <functional>

#include "tests/devcluster/api_fixture.h"

namespace latchkey_testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CsrObjectRulesTest : public ApiFixture {
 protected:
  Csr Post(const std::string& name = "csr-1") {
    const auto csr = Create(TokenUser(), NewCsr(name));
    EXPECT_THAT(csr, IsOk());
    return csr.value_or(Csr());
  }
  Csr Approve(Csr csr) {
    AddCondition(csr, "Approved");
    const auto approved = Update(admin_, csr, "approval");
    EXPECT_THAT(approved, IsOk());
    return approved.value_or(Csr());
  }
};

TEST_F(CsrObjectRulesTest, TheRequesterIsTheOneWhoAskedWhateverItSays) {
  Csr csr = NewCsr("csr-1");
  csr.mutable_spec()->set_username("system:node:other");
  csr.mutable_spec()->set_uid("0");
  csr.mutable_spec()->add_groups("system:masters");
  (*csr.mutable_spec()->mutable_extra())["mine"].add_items("x");
  AddCondition(csr, "Approved");
  csr.mutable_status()->set_certificate("mine");
  User user = TokenUser();
  user.extra["theirs"] = {"y"};

  const auto created = Create(user, csr);

  ASSERT_THAT(created, IsOk());
  EXPECT_EQ(created->spec().username(), "system:bootstrap:abc123");
  EXPECT_EQ(created->spec().uid(), "");
  EXPECT_THAT(
      created->spec().groups(),
      ElementsAre("system:bootstrappers", "system:bootstrappers:latchkey",
                  "system:authenticated"));
  ASSERT_EQ(created->spec().extra_size(), 1);
  EXPECT_THAT(created->spec().extra().at("theirs").items(), ElementsAre("y"));
  EXPECT_EQ(created->status().conditions_size(), 0);
  EXPECT_FALSE(created->status().has_certificate());
}

TEST_F(CsrObjectRulesTest, ABadRequestIsInvalidInTheFieldThatIsWrong) {
  struct Case {
    const char* field;
    const char* message;
    std::function<void(Csr&)> change;
  };
  using Spec = latchkey::kubernetes::CertificateSigningRequestSpec;
  const auto spec = [](std::function<void(Spec&)> change) {
    return [=](Csr& csr) { change(*csr.mutable_spec()); };
  };
  const Case cases[] = {
      {"spec.request", "PEM block type must be CERTIFICATE REQUEST",
       spec([](Spec& s) { s.clear_request(); })},
      {"spec.request", "PEM block type must be CERTIFICATE REQUEST",
       spec([](Spec& s) {
         s.set_request("-----BEGIN X-----\n-----END X-----\n" + s.request());
       })},
      {"spec.request", "<request data>", spec([](Spec& s) {
         // Another public key than the one that signed.
         std::string pem = s.request();
         pem[pem.size() / 2] = pem[pem.size() / 2] == 'A' ? 'B' : 'A';
         s.set_request(pem);
       })},
      {"spec.usages", "Required value",
       spec([](Spec& s) { s.clear_usages(); })},
      {"spec.usages[2]", "Unsupported value: \"clientAuth\"",
       spec([](Spec& s) { s.add_usages("clientAuth"); })},
      {"spec.usages[2]", "Duplicate value: \"client auth\"",
       spec([](Spec& s) { s.add_usages("client auth"); })},
      {"spec.signerName", "Required value",
       spec([](Spec& s) { s.clear_signer_name(); })},
      {"spec.signerName", "legacy signerName is not allowed", spec([](Spec& s) {
         s.set_signer_name("kubernetes.io/legacy-unknown");
       })},
      {"spec.signerName", "fully qualified",
       spec([](Spec& s) { s.set_signer_name("a.example/b/c"); })},
      {"spec.signerName", "at least two segments",
       spec([](Spec& s) { s.set_signer_name("example/signer"); })},
      {"spec.expirationSeconds", "less than 600 seconds",
       spec([](Spec& s) { s.set_expiration_seconds(599); })},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.message);
    Csr csr = NewCsr("csr-1");
    test.change(csr);

    const auto created = Create(TokenUser(), csr);

    EXPECT_THAT(created,
                IsApiError(422, HasSubstr(std::string(test.field) + ": ")));
    EXPECT_THAT(created, IsApiError(422, HasSubstr(test.message)));
  }
}

TEST_F(CsrObjectRulesTest, AllThatIsWrongIsSaidAtOnce) {
  Csr csr;
  csr.mutable_metadata()->set_name("csr-1");

  const auto error =
      latchkey::KubernetesStatusOf(Create(TokenUser(), csr).status());

  EXPECT_EQ(error.reason(), "Invalid");
  EXPECT_EQ(error.details().kind(), "CertificateSigningRequest");
  EXPECT_EQ(error.details().group(), "certificates.k8s.io");
  ASSERT_EQ(error.details().causes_size(), 3);
  EXPECT_EQ(error.details().causes(0).field(), "spec.request");
  EXPECT_EQ(error.details().causes(1).field(), "spec.usages");
  EXPECT_EQ(error.details().causes(2).reason(), "FieldValueRequired");
}

TEST_F(CsrObjectRulesTest, ARequestMayBeNamedAsKubeletsDo) {
  EXPECT_THAT(Create(TokenUser(), NewCsr("node-csr-_v0uUYH0FxEZl7ih8xa2")),
              IsOk());
  EXPECT_THAT(Create(TokenUser(), NewCsr("a/b")),
              IsApiError(422, HasSubstr("may not contain '/'")));
}

TEST_F(CsrObjectRulesTest, OfTheRequestOnlyTheFirstBlockIsRead) {
  Csr csr = NewCsr("csr-1");
  csr.mutable_spec()->set_request("preamble\n" + csr.spec().request() +
                                  "-----BEGIN X-----\nAAAA\n-----END X-----\n");

  EXPECT_THAT(Create(TokenUser(), csr), IsOk());
}

TEST_F(CsrObjectRulesTest, APutChangesLabelsAndNothingOfTheRequest) {
  Csr csr = Post();
  (*csr.mutable_metadata()->mutable_labels())["a"] = "b";
  csr.mutable_spec()->set_username("system:admin");
  csr.mutable_spec()->set_request("other");
  AddCondition(csr, "Approved");
  csr.mutable_status()->set_certificate("mine");

  const auto updated = Update(admin_, csr);

  ASSERT_THAT(updated, IsOk());
  EXPECT_EQ(updated->metadata().labels().at("a"), "b");
  EXPECT_EQ(updated->spec().username(), "system:bootstrap:abc123");
  EXPECT_NE(updated->spec().request(), "other");
  EXPECT_EQ(updated->status().conditions_size(), 0);
  EXPECT_FALSE(updated->status().has_certificate());
}

TEST_F(CsrObjectRulesTest, ApprovalDecidesAndTellsWhen) {
  clock_.Advance(absl::Seconds(7));

  Csr csr = Post();
  (*csr.mutable_metadata()->mutable_labels())["by"] = "me";
  const Csr approved = Approve(csr);

  EXPECT_EQ(approved.metadata().labels().at("by"), "me");
  ASSERT_EQ(approved.status().conditions_size(), 1);
  const auto& condition = approved.status().conditions(0);
  EXPECT_EQ(condition.last_update_time().seconds(),
            absl::ToUnixSeconds(clock_.Now()));
  EXPECT_EQ(condition.last_transition_time().seconds(),
            absl::ToUnixSeconds(clock_.Now()));
}

TEST_F(CsrObjectRulesTest, ApprovalWritesNoCertificate) {
  Csr csr = Post();
  csr.mutable_status()->set_certificate(SignedCertificate(csr));

  const auto updated = Update(admin_, csr, "approval");

  ASSERT_THAT(updated, IsOk());
  EXPECT_FALSE(updated->status().has_certificate());
}

TEST_F(CsrObjectRulesTest, AVerdictStays) {
  Csr csr = Approve(Post());
  Csr undone = csr;
  undone.mutable_status()->clear_conditions();
  Csr turned = undone;
  AddCondition(turned, "Denied");
  Csr both = csr;
  AddCondition(both, "Denied");

  EXPECT_THAT(Update(admin_, undone, "approval"),
              IsApiError(422, HasSubstr("may not remove a condition")));
  EXPECT_THAT(Update(admin_, turned, "approval"),
              IsApiError(422, HasSubstr("may not remove a condition")));
  EXPECT_THAT(Update(admin_, both, "approval"),
              IsApiError(422, HasSubstr("must specify at most one of")));
  EXPECT_THAT(Update(admin_, undone, "status"),
              IsApiError(422, HasSubstr("may not remove a condition")));
}

TEST_F(CsrObjectRulesTest, AConditionIsWellFormed) {
  const Csr csr = Post();
  Csr unsure = csr;
  AddCondition(unsure, "Approved", "False");
  Csr odd = csr;
  AddCondition(odd, "Other", "Maybe");
  Csr none = csr;
  AddCondition(none, "Other", "");
  Csr twice = csr;
  AddCondition(twice, "Approved");
  AddCondition(twice, "Approved");

  EXPECT_THAT(Update(admin_, unsure, "approval"),
              IsApiError(422, HasSubstr("status.conditions[0].status")));
  EXPECT_THAT(Update(admin_, odd, "approval"),
              IsApiError(422, HasSubstr("Unsupported value: \"Maybe\"")));
  EXPECT_THAT(Update(admin_, none, "approval"),
              IsApiError(422, HasSubstr("Required value")));
  EXPECT_THAT(Update(admin_, twice, "approval"),
              IsApiError(422, HasSubstr("Duplicate value: \"Approved\"")));
}

TEST_F(CsrObjectRulesTest, StatusTakesTheCertificateOnceAndNoVerdict) {
  Csr csr = Post();
  Csr verdict = csr;
  AddCondition(verdict, "Approved");
  EXPECT_THAT(Update(admin_, verdict, "status"),
              IsApiError(422, HasSubstr("may not add a condition")));

  csr = Approve(csr);
  csr.mutable_status()->set_certificate(SignedCertificate(csr));
  const auto issued = Update(admin_, csr, "status");
  ASSERT_THAT(issued, IsOk());
  EXPECT_EQ(issued->status().certificate(), csr.status().certificate());
  EXPECT_EQ(issued->status().conditions_size(), 1);

  Csr again = *issued;
  again.mutable_status()->set_certificate(SignedCertificate(csr));
  EXPECT_THAT(Update(admin_, again, "status"),
              IsApiError(422, HasSubstr("may not modify existing")));
}

TEST_F(CsrObjectRulesTest, StatusLeavesTheVerdictAsItIs) {
  Csr csr = Approve(Post());
  csr.mutable_status()->mutable_conditions(0)->set_reason("Rewritten");
  AddCondition(csr, "Failed");

  const auto failed = Update(admin_, csr, "status");

  ASSERT_THAT(failed, IsOk());
  EXPECT_EQ(failed->status().conditions(0).reason(), "Test");
  EXPECT_EQ(failed->status().conditions(1).type(), "Failed");
}

TEST_F(CsrObjectRulesTest, ACertificateIsCertificatesInPem) {
  const Csr csr = Approve(Post());
  const std::string good = SignedCertificate(csr);
  for (const std::string& bad :
       {std::string("text"), csr.spec().request(), good + csr.spec().request(),
        std::string("-----BEGIN CERTIFICATE-----\nAAAA\n"
                    "-----END CERTIFICATE-----\n")}) {
    SCOPED_TRACE(bad);
    Csr issued = csr;
    issued.mutable_status()->set_certificate(bad);
    EXPECT_THAT(Update(admin_, issued, "status"),
                IsApiError(422, HasSubstr("status.certificate")));
  }
  Csr issued = csr;
  issued.mutable_status()->set_certificate("the chain:\n" + good + good);
  EXPECT_THAT(Update(admin_, issued, "status"), IsOk());
}

TEST_F(CsrObjectRulesTest, OnlyTheSignersApproversAndSignersDecide) {
  Csr csr = Post();
  AddCondition(csr, "Approved");
  EXPECT_THAT(Update(latchkey::BrokerUser(), csr, "approval"), IsOk());

  Csr other = NewCsr("csr-2");
  other.mutable_spec()->set_signer_name("example.com/other");
  auto posted = Create(TokenUser(), other);
  ASSERT_THAT(posted, IsOk());
  AddCondition(*posted, "Approved");
  EXPECT_THAT(
      Update(latchkey::BrokerUser(), *posted, "approval"),
      IsApiError(403, HasSubstr("not permitted to approve requests with "
                                "signerName \"example.com/other\"")));
}

TEST_F(CsrObjectRulesTest, ANodeAsksForNoCertificateButItsOwn) {
  const latchkey::RequestedSubject other = {
      .common_name = "system:node:worker-2", .organizations = {"system:nodes"}};

  EXPECT_THAT(Create(NodeUser("worker-1"), NewCsr("own")), IsOk());
  EXPECT_THAT(Create(NodeUser("worker-1"), NewCsr("other", other)),
              IsApiError(403, HasSubstr("CN=system:node:worker-1")));
  // Whoever has a token is no node yet: this is what the broker is for.
  EXPECT_THAT(Create(TokenUser(), NewCsr("any", other)), IsOk());
}

TEST_F(CsrObjectRulesTest, NobodyAsksForAnAdministratorsCertificate) {
  Csr csr = NewCsr("csr-1",
                   {.common_name = "me", .organizations = {"system:masters"}});
  csr.mutable_spec()->set_signer_name("kubernetes.io/kube-apiserver-client");

  EXPECT_THAT(Create(TokenUser(), csr),
              IsApiError(403, HasSubstr("system:masters")));
}

TEST_F(CsrObjectRulesTest, ThereAreNoOtherSubresources) {
  EXPECT_THAT(Update(admin_, Post(), "scale"),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace latchkey_testing
