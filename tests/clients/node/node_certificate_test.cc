#include "clients/node/node_certificate.h"

#include <functional>

#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using ::testing::HasSubstr;

constexpr absl::Time kNow = absl::UnixEpoch();

Certificate Fitting() {
  Certificate certificate;
  certificate.common_names = {"system:node:a.b"};
  certificate.organizations = {"system:nodes"};
  certificate.key_digest = "d1";
  certificate.not_before = kNow - absl::Minutes(5);
  certificate.not_after = kNow + absl::Hours(1);
  certificate.allows_client_auth = true;
  return certificate;
}

TEST(NodeCertificateTest, AcceptsWhatFits) {
  Certificate certificate = Fitting();
  EXPECT_THAT(CheckNodeCertificate(certificate, "d1", "a.b", kNow), IsOk());
  certificate.not_before = kNow + absl::Minutes(5);
  EXPECT_THAT(CheckNodeCertificate(certificate, "d1", "a.b", kNow), IsOk());
}

TEST(NodeCertificateTest, SaysWhatDoesNotFit) {
  struct Case {
    const char* want;
    std::function<void(Certificate&)> spoil;
  };
  for (const Case& c : {
           Case{"another key", [](auto& cert) { cert.key_digest = "d2"; }},
           Case{"node a.b", [](auto& cert) { cert.common_names.clear(); }},
           Case{"node a.b",
                [](auto& cert) { cert.common_names = {"system:node:a.b.c"}; }},
           Case{"node a.b",
                [](auto& cert) { cert.common_names.push_back("x"); }},
           Case{"group", [](auto& cert) { cert.organizations.clear(); }},
           Case{"group", [](auto& cert) { cert.organizations.push_back("x"); }},
           Case{"client authentication",
                [](auto& cert) { cert.allows_client_auth = false; }},
       }) {
    SCOPED_TRACE(c.want);
    Certificate certificate = Fitting();
    c.spoil(certificate);
    EXPECT_THAT(
        CheckNodeCertificate(certificate, "d1", "a.b", kNow),
        StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(c.want)));
  }
}

TEST(NodeCertificateTest, TellsAWrongClockFromAWrongCertificate) {
  Certificate certificate = Fitting();
  certificate.not_before = kNow + absl::Minutes(6);
  EXPECT_THAT(CheckNodeCertificate(certificate, "d1", "a.b", kNow),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("not valid before 1970-01-01T00:06:00Z")));
  certificate = Fitting();
  certificate.not_after = kNow;
  EXPECT_THAT(CheckNodeCertificate(certificate, "d1", "a.b", kNow),
              StatusIs(absl::StatusCode::kOutOfRange,
                       HasSubstr("expired at 1970-01-01T00:00:00Z")));
}

}  // namespace
}  // namespace latchkey
