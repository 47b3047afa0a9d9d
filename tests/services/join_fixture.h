// A broker's approver and upkeep over a fake API server, and a vocabulary for
// the tests of both.

#ifndef LATCHKEY_TESTS_SERVICES_JOIN_FIXTURE_H_
#define LATCHKEY_TESTS_SERVICES_JOIN_FIXTURE_H_

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/certificate_authority.h"
#include "crypto/certificate_request.h"
#include "crypto/private_key.h"
#include "services/csr_approver.h"
#include "services/csr_rules.h"
#include "services/misuse.h"
#include "services/token_upkeep.h"
#include "storage/advance.h"
#include "storage/kubernetes_token_store.h"
#include "tests/fakes/fake_kubernetes_client.h"
#include "tests/fakes/recording_audit_log.h"
#include "tests/storage/records.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {

class JoinFixture : public ::testing::Test {
 protected:
  using Csr = latchkey::kubernetes::CertificateSigningRequest;

  JoinFixture()
      : key_(latchkey::PrivateKey::Generate(latchkey::KeyType::kP256).value()),
        thief_key_(
            latchkey::PrivateKey::Generate(latchkey::KeyType::kP256).value()) {}

  // A direct token for worker-1, live.
  void IssueDirect(const char* id = "abc123", const char* rule = "workers") {
    latchkey::TokenRecord record = DirectRecord(id);
    record.rule = rule;
    ASSERT_THAT(store_.Insert(record), IsOk());
  }
  // A ticket's token for worker-1, claimed by key_.
  void IssueClaimed(const char* id = "abc123", const char* rule = "workers") {
    latchkey::TokenRecord record = IssuedRecord(id);
    record.rule = rule;
    ASSERT_THAT(store_.Insert(record), IsOk());
    ASSERT_THAT(latchkey::Advance(store_, Id(id),
                                  [&](const latchkey::TokenRecord& at) {
                                    return latchkey::Claim(
                                        at,
                                        {.node_name = "worker-1",
                                         .key_digest = key_.public_key_digest(),
                                         .claimant = "test"},
                                        clock_.Now(), absl::Minutes(15));
                                  }),
                IsOk());
  }
  // A CSR as the API server would show it: requester and groups are its.
  Csr PostCsr(const std::string& name, const latchkey::PrivateKey& key,
              const std::string& node = "worker-1",
              const std::string& id = "abc123") {
    Csr csr;
    csr.mutable_metadata()->set_name(name);
    auto& spec = *csr.mutable_spec();
    spec.set_signer_name(std::string(latchkey::kKubeletClientSigner));
    spec.set_username("system:bootstrap:" + id);
    for (const char* group :
         {"system:bootstrappers", "system:bootstrappers:latchkey",
          "system:authenticated"}) {
      spec.add_groups(group);
    }
    spec.add_usages("digital signature");
    spec.add_usages("client auth");
    spec.set_request(latchkey::BuildCertificateRequest(
                         key, {.common_name = "system:node:" + node,
                               .organizations = {"system:nodes"}})
                         .value());
    const auto created = api_.Create(csr);
    EXPECT_THAT(created, IsOk());
    return *created;
  }
  Csr Get(const std::string& name) {
    const auto csr = api_.Get<Csr>({"", name});
    EXPECT_THAT(csr, IsOk());
    return csr.value_or(Csr());
  }
  // "" while nobody has decided, else the condition's type and reason.
  std::string DecisionOn(const std::string& name) {
    const Csr csr = Get(name);
    if (csr.status().conditions().empty()) return "";
    const auto& condition = csr.status().conditions(0);
    return condition.type() + " " + condition.reason();
  }
  // As the cluster's signer would.
  void Sign(const std::string& name) {
    Csr csr = Get(name);
    latchkey::CertificateProfile profile;
    profile.common_name = "system:node:worker-1";
    profile.organizations = {"system:nodes"};
    profile.not_before = clock_.Now();
    profile.not_after = clock_.Now() + absl::Hours(24);
    profile.client_auth = true;
    csr.mutable_status()->set_certificate(
        authority_.SignRequest(csr.spec().request(), profile).value());
    ASSERT_THAT(api_.Update(csr, "status"), IsOk());
  }
  void AddNode(const std::string& name) {
    latchkey::kubernetes::Node node;
    node.mutable_metadata()->set_name(name);
    ASSERT_THAT(api_.Create(node), IsOk());
  }
  latchkey::TokenRecord Record(const char* id = "abc123") {
    const auto token = store_.Find(Id(id));
    EXPECT_THAT(token, IsOk());
    return token.ok() ? token->record : DirectRecord(id);
  }
  latchkey::TokenState State(const char* id = "abc123") {
    return Record(id).state;
  }

  FakeClock clock_{At(0)};
  FakeKubernetesClient api_{clock_};
  latchkey::KubernetesTokenStore store_{api_};
  latchkey::LivePolicy policy_{latchkey::Policy(
      {{.name = "workers"}, {.name = "frozen", .freeze_on_misuse = true}})};
  RecordingAuditLog audit_;
  latchkey::MisuseGuard misuse_{store_, policy_, audit_, clock_};
  latchkey::CsrApprover approver_{{}, api_, store_, misuse_, audit_, clock_};
  latchkey::CsrApprover second_approver_{{},      api_,   store_,
                                         misuse_, audit_, clock_};
  latchkey::TokenUpkeep upkeep_{{}, api_, store_, audit_, clock_};
  latchkey::CertificateAuthority authority_ =
      latchkey::CertificateAuthority::Create("cluster", At(-1000),
                                             At(1'000'000))
          .value();
  latchkey::PrivateKey key_;
  latchkey::PrivateKey thief_key_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SERVICES_JOIN_FIXTURE_H_
