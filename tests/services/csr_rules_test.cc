#include "services/csr_rules.h"

#include <functional>

#include <gmock/gmock.h>

#include "core/reasons.h"
#include "crypto/private_key.h"
#include "tests/storage/records.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using kubernetes::CertificateSigningRequest;
using latchkey_testing::At;
using latchkey_testing::IsOk;
using latchkey_testing::IssuedRecord;
using latchkey_testing::ReasonIs;

const PrivateKey& Key() {
  static const PrivateKey key = PrivateKey::Generate(KeyType::kP256).value();
  return key;
}

std::string Pem(const RequestedSubject& subject) {
  return BuildCertificateRequest(Key(), subject).value();
}

RequestedSubject Good() {
  return {.common_name = "system:node:worker-1",
          .organizations = {"system:nodes"}};
}

CertificateSigningRequest GoodCsr() {
  CertificateSigningRequest csr;
  csr.mutable_metadata()->set_name("csr-1");
  csr.mutable_metadata()->mutable_creation_timestamp()->set_seconds(
      absl::ToUnixSeconds(At(10)));
  auto& spec = *csr.mutable_spec();
  spec.set_signer_name(std::string(kKubeletClientSigner));
  spec.set_username("system:bootstrap:abc123");
  for (const char* group :
       {"system:bootstrappers", "system:bootstrappers:latchkey",
        "system:authenticated"}) {
    spec.add_groups(group);
  }
  spec.add_usages("digital signature");
  spec.add_usages("client auth");
  spec.set_request(Pem(Good()));
  return csr;
}

TokenRecord Record() {
  TokenRecord record = IssuedRecord();
  record.create_time = At(0);
  return record;
}

TEST(CsrRulesTest, TheKubeletsRequestFits) {
  EXPECT_THAT(CheckCsr(GoodCsr(), Record()), IsOk());
  EXPECT_EQ(CheckCsr(GoodCsr(), Record()).value(), Key().public_key_digest());

  CertificateSigningRequest rsa_style = GoodCsr();
  rsa_style.mutable_spec()->add_usages("key encipherment");
  EXPECT_THAT(CheckCsr(rsa_style, Record()), IsOk());

  CertificateSigningRequest same_second = GoodCsr();
  *same_second.mutable_metadata()->mutable_creation_timestamp() = {};
  same_second.mutable_metadata()->mutable_creation_timestamp()->set_seconds(
      absl::ToUnixSeconds(At(0)));
  EXPECT_THAT(CheckCsr(same_second, Record()), IsOk());
}

TEST(CsrRulesTest, EveryOtherRequestIsRefusedByName) {
  using Change = std::function<void(CertificateSigningRequest&)>;
  const auto subject = [](RequestedSubject wanted) {
    return [wanted](CertificateSigningRequest& csr) {
      csr.mutable_spec()->set_request(Pem(wanted));
    };
  };
  struct Case {
    const char* name;
    Change change;
    std::string_view want;
  };
  const Case cases[] = {
      {"another node",
       subject({.common_name = "system:node:worker-2",
                .organizations = {"system:nodes"}}),
       reason::kScopeNodeName},
      {"the name as a prefix",
       subject({.common_name = "system:node:worker-10",
                .organizations = {"system:nodes"}}),
       reason::kScopeNodeName},
      {"another case",
       subject({.common_name = "system:node:Worker-1",
                .organizations = {"system:nodes"}}),
       reason::kScopeNodeName},
      {"no prefix",
       subject({.common_name = "worker-1", .organizations = {"system:nodes"}}),
       reason::kScopeNodeName},
      {"a further group",
       subject({.common_name = "system:node:worker-1",
                .organizations = {"system:nodes", "system:masters"}}),
       reason::kCsrSubject},
      {"the same group twice",
       subject({.common_name = "system:node:worker-1",
                .organizations = {"system:nodes", "system:nodes"}}),
       reason::kCsrSubject},
      {"another group",
       subject({.common_name = "system:node:worker-1",
                .organizations = {"system:masters"}}),
       reason::kCsrSubject},
      {"no group", subject({.common_name = "system:node:worker-1"}),
       reason::kCsrSubject},
      {"a DNS name",
       subject({.common_name = "system:node:worker-1",
                .organizations = {"system:nodes"},
                .dns_names = {"worker-1"}}),
       reason::kCsrSubjectAltName},
      {"a second PEM block",
       [](auto& csr) {
         csr.mutable_spec()->set_request(Pem(Good()) + Pem(Good()));
       },
       reason::kCsrMalformed},
      {"no PEM", [](auto& csr) { csr.mutable_spec()->set_request("hello"); },
       reason::kCsrMalformed},
      {"nothing", [](auto& csr) { csr.mutable_spec()->clear_request(); },
       reason::kCsrMalformed},
      {"server auth",
       [](auto& csr) { csr.mutable_spec()->add_usages("server auth"); },
       reason::kCsrUsages},
      {"client auth missing",
       [](auto& csr) {
         csr.mutable_spec()->clear_usages();
         csr.mutable_spec()->add_usages("digital signature");
       },
       reason::kCsrUsages},
      {"a usage twice",
       [](auto& csr) { csr.mutable_spec()->add_usages("client auth"); },
       reason::kCsrUsages},
      {"no usages", [](auto& csr) { csr.mutable_spec()->clear_usages(); },
       reason::kCsrUsages},
      {"a group that was not minted",
       [](auto& csr) {
         csr.mutable_spec()->add_groups("system:bootstrappers:other");
       },
       reason::kScopeGroups},
      {"a minted group missing",
       [](auto& csr) {
         csr.mutable_spec()->mutable_groups()->DeleteSubrange(1, 1);
       },
       reason::kScopeGroups},
      {"older than the token",
       [](auto& csr) {
         csr.mutable_metadata()->mutable_creation_timestamp()->set_seconds(
             absl::ToUnixSeconds(At(-3)));
       },
       reason::kCsrTooOld},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    CertificateSigningRequest csr = GoodCsr();
    c.change(csr);
    EXPECT_THAT(CheckCsr(csr, Record()), ReasonIs(c.want));
  }
}

TEST(CsrRulesTest, KeysThatAreStrongEnough) {
  struct Case {
    KeyType type;
    bool fits;
  };
  for (const Case& c : {Case{KeyType::kP384, true},
                        {KeyType::kEd25519, true},
                        {KeyType::kRsa2048, true}}) {
    const auto key = PrivateKey::Generate(c.type);
    ASSERT_THAT(key, IsOk());
    EXPECT_THAT(
        CheckRequest(BuildCertificateRequest(*key, Good()).value(), "worker-1"),
        IsOk());
  }
}

TEST(CsrRulesTest, TheCertificateLifetimeIsCapped) {
  TokenRecord record = Record();
  record.scope.max_certificate_lifetime = absl::Hours(1);
  CertificateSigningRequest csr = GoodCsr();
  EXPECT_THAT(CheckCsr(csr, record),
              ReasonIs(reason::kScopeCertificateLifetime))
      << "asking for nothing gets the signer's longest";
  csr.mutable_spec()->set_expiration_seconds(3600);
  EXPECT_THAT(CheckCsr(csr, record), IsOk());
  csr.mutable_spec()->set_expiration_seconds(3601);
  EXPECT_THAT(CheckCsr(csr, record),
              ReasonIs(reason::kScopeCertificateLifetime));
}

TEST(CsrRulesTest, KnowsWhereACsrStands) {
  CertificateSigningRequest csr = GoodCsr();
  EXPECT_EQ(StateOf(csr), CsrState::kPending);
  csr.mutable_status()->add_conditions()->set_type("Approved");
  EXPECT_EQ(StateOf(csr), CsrState::kApproved);
  CertificateSigningRequest failed = csr;
  failed.mutable_status()->add_conditions()->set_type("Failed");
  EXPECT_EQ(StateOf(failed), CsrState::kDead);
  csr.mutable_status()->set_certificate("PEM");
  EXPECT_EQ(StateOf(csr), CsrState::kIssued);
  failed.mutable_status()->set_certificate("PEM");
  EXPECT_EQ(StateOf(failed), CsrState::kIssued)
      << "a certificate that exists can be used";
  CertificateSigningRequest denied = GoodCsr();
  denied.mutable_status()->add_conditions()->set_type("Denied");
  EXPECT_EQ(StateOf(denied), CsrState::kDead);
}

}  // namespace
}  // namespace latchkey
