#include "crypto/certificate.h"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/crypto/testdata.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOkAndHolds;
using ::latchkey_testing::KeyDigestOf;
using ::latchkey_testing::StatusIs;
using ::latchkey_testing::TestData;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::SizeIs;

absl::Time Utc(int year, int month, int day, int hour, int minute, int second) {
  return absl::FromCivil(
      absl::CivilSecond(year, month, day, hour, minute, second),
      absl::UTCTimeZone());
}

TEST(CertificateTest, ReadsWhatItSays) {
  const auto all = Certificate::ParseAll(TestData("certificate_client.pem"));
  ASSERT_THAT(all, IsOkAndHolds(SizeIs(1)));
  const Certificate& certificate = all->front();
  EXPECT_THAT(certificate.common_names, ElementsAre("system:node:node-1"));
  EXPECT_THAT(certificate.organizations, ElementsAre("system:nodes"));
  EXPECT_THAT(certificate.dns_names, ElementsAre("node-1", "node-1.example"));
  EXPECT_THAT(certificate.uris, ElementsAre("spiffe://example/node-1"));
  EXPECT_EQ(certificate.serial, "0abc");
  EXPECT_EQ(certificate.key_digest, KeyDigestOf("p256"));
  EXPECT_EQ(certificate.fingerprint, KeyDigestOf("certificate_client"));
  EXPECT_EQ(certificate.not_before, Utc(2020, 1, 2, 3, 4, 5));
  EXPECT_EQ(certificate.not_after, Utc(2049, 12, 31, 23, 59, 59));
  EXPECT_TRUE(certificate.allows_client_auth);
}

TEST(CertificateTest, ReadsBothFormsOfTime) {
  const auto all = Certificate::ParseAll(TestData("certificate_server.pem"));
  ASSERT_THAT(all, IsOkAndHolds(SizeIs(1)));
  EXPECT_EQ(all->front().not_before, Utc(2020, 1, 2, 3, 4, 5));
  EXPECT_EQ(all->front().not_after, Utc(2051, 2, 3, 4, 5, 6));
}

TEST(CertificateTest, ClientAuthenticationNeedsItsUsageOrNone) {
  struct Case {
    std::string_view file;
    std::string_view serial;
    bool want;
  };
  const Case cases[] = {
      {"certificate_client.pem", "0abc", true},
      {"certificate_any_usage.pem", "ff00000000000000000000000000000000000001",
       true},
      {"certificate_no_usage.pem", "1000", true},
      {"certificate_root.pem", "01", true},
      {"certificate_server.pem", "05", false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.file);
    const auto all = Certificate::ParseAll(TestData(c.file));
    ASSERT_THAT(all, IsOkAndHolds(SizeIs(1)));
    EXPECT_EQ(all->front().allows_client_auth, c.want);
    EXPECT_EQ(all->front().serial, c.serial);
  }
}

TEST(CertificateTest, ReadsABundleAndSkipsTheRest) {
  const auto all = Certificate::ParseAll(
      "a comment\n" + TestData("certificate_client.pem") +
      TestData("key_p256.pem") + "Certificate:\n  Data: -----BEGIN\n" +
      TestData("certificate_server.pem") + "the end");
  EXPECT_THAT(all,
              IsOkAndHolds(ElementsAre(Field(&Certificate::serial, "0abc"),
                                       Field(&Certificate::serial, "05"))));
}

// A BEGIN in the midst of a line is text, as it is for other readers.
TEST(CertificateTest, ABlockBeginsALine) {
  EXPECT_THAT(
      Certificate::ParseAll("# " + TestData("certificate_client.pem")),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("there is no")));
}

TEST(CertificateTest, RefusesWhatHasNoneOrABadOne) {
  const std::string good = TestData("certificate_client.pem");
  const std::string begin = "-----BEGIN CERTIFICATE-----\n";
  const std::string end = "-----END CERTIFICATE-----\n";
  const std::string body =
      good.substr(begin.size(), good.size() - begin.size() - end.size());
  struct Case {
    std::string_view name;
    std::string pem;
    std::string_view message;
  };
  const Case cases[] = {
      {"empty", "", "there is no"},
      {"text", "hello", "there is no"},
      {"a key", TestData("key_p256.pem"), "there is no"},
      {"no END", good + begin + body, "no end"},
      {"headers", begin + "A: b\n\n" + body + end, "base64 and nothing else"},
      {"no certificate", good + begin + "MAA=\n" + end, "no certificate"},
      {"a trailing byte", TestData("certificate_trailing_byte.pem"),
       "no certificate"},
      {"cut", begin + body.substr(0, 64) + "\n" + end, "no certificate"},
      {"a NUL in a DNS name", TestData("certificate_nul_in_dns_name.pem"),
       "NUL"},
      {"too long", good + std::string(Certificate::kMaxPemBytes, '\n'),
       "at most 1 MiB"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(Certificate::ParseAll(c.pem),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr(std::string(c.message))));
  }
}

}  // namespace
}  // namespace latchkey
