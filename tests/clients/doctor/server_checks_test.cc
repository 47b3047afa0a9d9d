#include "clients/doctor/server_checks.h"

#include <gmock/gmock.h>

#include "clients/kubernetes/kube_time.h"
#include "crypto/certificate_authority.h"

namespace latchkey {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr absl::Duration kDay = absl::Hours(24);

TEST(VersionTest, WhatWasTestedIsFineAndTheRestIsInfo) {
  const struct {
    const char* body;
    Severity severity;
  } kCases[] = {
      {R"({"major":"1","gitVersion":"v1.37.2"})", Severity::kOk},
      {R"({"gitVersion":"v1.37.0+latchkey"})", Severity::kOk},
      {R"({"gitVersion":"v1.31.4-eks-1"})", Severity::kInfo},
      {R"({"gitVersion":"v1.370.0"})", Severity::kInfo},
      {R"({"gitVersion":"v2.37.0"})", Severity::kInfo},
      {R"({"gitVersion":"\u001b[2J"})", Severity::kInfo},
      {R"({"gitVersion":["v1.37.2"]})", Severity::kInfo},
      {"{}", Severity::kInfo},
      {"<html>", Severity::kInfo},
      {"", Severity::kInfo},
  };
  for (const auto& one : kCases) {
    SCOPED_TRACE(one.body);
    const Finding finding = JudgeVersion(one.body);
    EXPECT_EQ(finding.id, "api-server-version");
    EXPECT_EQ(finding.severity, one.severity);
    EXPECT_THAT(finding.message, Not(HasSubstr("\x1b")));
  }
}

ClockSample Sample(absl::Duration ahead, absl::Duration trip) {
  const absl::Time middle = kNow + trip / 2;
  return {.sent = kNow,
          .received = kNow + trip,
          .date = absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", middle + ahead,
                                   absl::UTCTimeZone())};
}

Severity SkewSeverity(absl::Duration ahead, absl::Duration trip) {
  return JudgeClock(OffsetOf({Sample(ahead, trip)})).severity;
}

TEST(ClockTest, SkewIsJudgedBeyondDoubt) {
  constexpr absl::Duration kTrip = absl::Milliseconds(20);
  for (const int sign : {1, -1}) {
    EXPECT_EQ(SkewSeverity(sign * absl::Seconds(0), kTrip), Severity::kOk);
    EXPECT_EQ(SkewSeverity(sign * absl::Seconds(4), kTrip), Severity::kOk);
    EXPECT_EQ(SkewSeverity(sign * absl::Seconds(8), kTrip), Severity::kWarning);
    EXPECT_EQ(SkewSeverity(sign * absl::Seconds(63), kTrip), Severity::kError);
    // The answer may be as old as its round trip.
    EXPECT_EQ(SkewSeverity(sign * absl::Seconds(8), absl::Seconds(10)),
              Severity::kOk);
  }
}

TEST(ClockTest, SaysWhichWayAndHowGoodThatIs) {
  const Finding finding =
      JudgeClock(OffsetOf({Sample(absl::Seconds(-100), absl::Seconds(2))}));
  EXPECT_THAT(finding.message, HasSubstr("behind this machine's"));
  EXPECT_THAT(finding.evidence, ElementsAre(HasSubstr("good to 1.5 s")));
}

TEST(ClockTest, TheQuickestAnswerCounts) {
  const auto offset = OffsetOf({Sample(absl::Seconds(9), absl::Seconds(8)),
                                Sample(absl::Seconds(0), absl::Seconds(1)),
                                {kNow, kNow, "yesterday"}});
  ASSERT_TRUE(offset.has_value());
  EXPECT_EQ(offset->error, absl::Seconds(1));
}

TEST(ClockTest, WithoutADateNothingIsKnown) {
  EXPECT_EQ(OffsetOf({{kNow, kNow, ""}}), std::nullopt);
  const Finding finding = JudgeClock(std::nullopt);
  EXPECT_EQ(finding.id, "clock-skew-not-checked");
  EXPECT_EQ(finding.severity, Severity::kInfo);
}

// Of a certificate that has been good for `age`, and will be for `left`.
Finding JudgeOne(absl::Duration age, absl::Duration left) {
  const auto authority =
      CertificateAuthority::Create("ca\n", kNow - age, kNow + left).value();
  return JudgeCertificates("it", authority.certificate_pem(), "renew", kNow);
}

TEST(CertificateTest, TheEndOfALastingOneIsInDays) {
  EXPECT_EQ(JudgeOne(kDay, 31 * kDay).severity, Severity::kOk);
  EXPECT_EQ(JudgeOne(100 * kDay, 29 * kDay).severity, Severity::kWarning);
  EXPECT_EQ(JudgeOne(100 * kDay, 6 * kDay).severity, Severity::kError);
  const Finding expired = JudgeOne(100 * kDay, -absl::Seconds(1));
  EXPECT_EQ(expired.severity, Severity::kError);
  EXPECT_THAT(expired.message, HasSubstr("has expired"));
  EXPECT_THAT(expired.evidence, ElementsAre(HasSubstr("CN=ca\\x0a, until")));
  EXPECT_EQ(expired.advice, "renew");
}

TEST(CertificateTest, TheEndOfAShortOneIsInShares) {
  EXPECT_EQ(JudgeOne(absl::Minutes(6), 30 * kDay - absl::Minutes(1)).severity,
            Severity::kOk)
      << "new, and its beginning set back for clocks that are behind";
  EXPECT_EQ(JudgeOne(absl::Hours(12), absl::Hours(12)).severity, Severity::kOk);
  EXPECT_EQ(JudgeOne(absl::Hours(17), absl::Hours(7)).severity,
            Severity::kWarning);
  EXPECT_EQ(JudgeOne(absl::Hours(22), absl::Hours(2)).severity,
            Severity::kError);
}

TEST(CertificateTest, OfABundleTheFirstToEndCounts) {
  const auto pem = [](absl::Duration left) {
    return CertificateAuthority::Create("c", kNow - 100 * kDay, kNow + left)
        ->certificate_pem();
  };
  EXPECT_EQ(JudgeCertificates("it", pem(900 * kDay) + pem(5 * kDay), "", kNow)
                .severity,
            Severity::kError);
}

TEST(CertificateTest, WhatIsNoneIsToldOf) {
  const Finding finding = JudgeCertificates("the file", "", "", kNow);
  EXPECT_EQ(finding.id, "certificate-expiry-not-checked");
  EXPECT_EQ(finding.severity, Severity::kWarning);
  EXPECT_THAT(finding.message, HasSubstr("the file"));
}

kubernetes::CertificateSigningRequest CsrWith(
    const std::vector<std::string>& conditions, absl::Duration age) {
  kubernetes::CertificateSigningRequest csr;
  csr.mutable_metadata()->set_name("csr-1");
  for (const std::string& type : conditions) {
    auto& condition = *csr.mutable_status()->add_conditions();
    condition.set_type(type);
    *condition.mutable_last_update_time() = ToKubernetesTime(kNow - age);
  }
  return csr;
}

Finding JudgeOneCsr(const kubernetes::CertificateSigningRequest& csr) {
  return JudgeSigner({ViewSigning(csr)}, kNow);
}

TEST(SignerTest, AnApprovedRequestWithoutACertificateIsFoundAfterAWhile) {
  EXPECT_EQ(JudgeOneCsr(CsrWith({"Approved"}, absl::Seconds(29))).severity,
            Severity::kInfo);
  const Finding finding = JudgeOneCsr(CsrWith({"Approved"}, absl::Seconds(31)));
  EXPECT_EQ(finding.id, "signer");
  EXPECT_EQ(finding.severity, Severity::kError);
  EXPECT_THAT(finding.evidence, ElementsAre(HasSubstr("csr-1")));
}

TEST(SignerTest, WhatIsRefusedWaitsForNobody) {
  for (const char* type : {"Denied", "Failed"}) {
    EXPECT_EQ(JudgeOneCsr(CsrWith({"Approved", type}, absl::Hours(1))).severity,
              Severity::kInfo);
  }
  EXPECT_EQ(JudgeOneCsr(CsrWith({}, absl::Hours(1))).severity, Severity::kInfo);
}

TEST(SignerTest, ACertificateProvesASigner) {
  auto csr = CsrWith({"Approved"}, absl::Hours(1));
  csr.mutable_status()->set_certificate("x");
  EXPECT_EQ(JudgeOneCsr(csr).severity, Severity::kOk);
}

TEST(SignerTest, WithNothingToJudgeByNothingIsProved) {
  const Finding finding = JudgeSigner({}, kNow);
  EXPECT_EQ(finding.severity, Severity::kInfo);
  EXPECT_THAT(finding.message, HasSubstr("not proved"));
}

}  // namespace
}  // namespace latchkey
