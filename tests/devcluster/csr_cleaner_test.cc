#include "devcluster/csr_cleaner.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "clients/kubernetes/kube_time.h"
#include "crypto/certificate_authority.h"

namespace latchkey_testing {
namespace {

using Csr = latchkey::kubernetes::CertificateSigningRequest;

const absl::Time kMade = absl::FromUnixSeconds(1'800'000'000);

Csr NewCsr(const std::vector<std::string>& conditions,
           const std::string& certificate = "") {
  Csr csr;
  *csr.mutable_metadata()->mutable_creation_timestamp() =
      latchkey::ToKubernetesTime(kMade);
  for (const std::string& type : conditions) {
    auto& condition = *csr.mutable_status()->add_conditions();
    condition.set_type(type);
    *condition.mutable_last_update_time() = latchkey::ToKubernetesTime(kMade);
  }
  if (!certificate.empty()) csr.mutable_status()->set_certificate(certificate);
  return csr;
}

TEST(CsrCleanerTest, EachEndHasItsTime) {
  struct Case {
    const char* name;
    Csr csr;
    absl::Duration kept;
  };
  for (const Case& one : std::vector<Case>{
           {"pending", NewCsr({}), absl::Hours(24)},
           {"approved", NewCsr({"Approved"}), absl::Hours(24)},
           {"issued", NewCsr({"Approved"}, "certificate"), absl::Hours(1)},
           {"denied", NewCsr({"Denied"}), absl::Hours(1)},
           {"failed", NewCsr({"Approved", "Failed"}), absl::Hours(1)}}) {
    SCOPED_TRACE(one.name);
    EXPECT_FALSE(latchkey::IsOutdated(one.csr, kMade + one.kept));
    EXPECT_TRUE(
        latchkey::IsOutdated(one.csr, kMade + one.kept + absl::Seconds(1)));
  }
}

TEST(CsrCleanerTest, AnExpiredCertificateEndsItsRequest) {
  const auto ca = latchkey::CertificateAuthority::Create(
      "ca", kMade - absl::Hours(1), kMade + absl::Hours(1));
  ASSERT_TRUE(ca.ok());
  const auto leaf = ca->Issue({.common_name = "leaf",
                               .not_before = kMade - absl::Minutes(5),
                               .not_after = kMade + absl::Minutes(10)});
  ASSERT_TRUE(leaf.ok());
  const Csr csr = NewCsr({"Approved"}, leaf->certificate_pem);

  EXPECT_FALSE(latchkey::IsOutdated(csr, kMade + absl::Minutes(10)));
  EXPECT_TRUE(latchkey::IsOutdated(csr, kMade + absl::Minutes(11)));
}

}  // namespace
}  // namespace latchkey_testing
