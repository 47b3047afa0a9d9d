#include "crypto/certificate_request.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/crypto/testdata.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::latchkey_testing::IsOkAndHolds;
using ::latchkey_testing::KeyDigestOf;
using ::latchkey_testing::Replaced;
using ::latchkey_testing::StatusIs;
using ::latchkey_testing::TestData;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(CertificateRequestTest, ReadsTheSubject) {
  const auto request = CertificateRequest::Parse(TestData("request_p256.pem"));
  ASSERT_THAT(request, IsOk());
  EXPECT_THAT(request->common_names, ElementsAre("system:node:node-1"));
  EXPECT_THAT(request->organizations, ElementsAre("system:nodes"));
  EXPECT_FALSE(request->has_other_subject_attributes);
  EXPECT_FALSE(request->has_subject_alt_name);
  EXPECT_FALSE(request->has_other_extensions);
}

TEST(CertificateRequestTest, ReadsEveryPartOfAMultiValuedName) {
  const auto request =
      CertificateRequest::Parse(TestData("request_multi_valued.pem"));
  ASSERT_THAT(request, IsOk());
  EXPECT_THAT(request->common_names, ElementsAre("system:node:node-1"));
  EXPECT_THAT(request->organizations, ElementsAre("system:nodes", "second"));
  EXPECT_TRUE(request->has_other_subject_attributes);
}

TEST(CertificateRequestTest, ReadsAnEmptySubject) {
  const auto request =
      CertificateRequest::Parse(TestData("request_no_subject.pem"));
  ASSERT_THAT(request, IsOk());
  EXPECT_THAT(request->common_names, IsEmpty());
  EXPECT_THAT(request->organizations, IsEmpty());
}

TEST(CertificateRequestTest, ConvertsNamesToUtf8) {
  for (const std::string_view file :
       {"request_name_bmp.pem", "request_name_latin1.pem"}) {
    SCOPED_TRACE(file);
    EXPECT_THAT(CertificateRequest::Parse(TestData(file)),
                IsOkAndHolds(Field(&CertificateRequest::common_names,
                                   ElementsAre("n\xC3\xB6"))));
  }
}

TEST(CertificateRequestTest, FindsExtensionsWhereverTheyHide) {
  struct Case {
    std::string_view file;
    bool has_subject_alt_name;
    bool has_other_extensions;
  };
  const Case cases[] = {
      {"request_p256.pem", false, false},
      {"request_challenge_password.pem", false, false},
      {"request_usage.pem", false, true},
      {"request_san.pem", true, false},
      {"request_san_empty.pem", true, false},
      {"request_san_twice.pem", true, false},
      {"request_san_microsoft.pem", true, false},
      {"request_san_second_attribute.pem", true, true},
      {"request_san_second_value.pem", true, true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.file);
    const auto request = CertificateRequest::Parse(TestData(c.file));
    ASSERT_THAT(request, IsOk());
    EXPECT_EQ(request->has_subject_alt_name, c.has_subject_alt_name);
    EXPECT_EQ(request->has_other_extensions, c.has_other_extensions);
  }
}

TEST(CertificateRequestTest, JudgesTheKey) {
  struct Case {
    std::string key;
    KeyType type;
    int bits;
    bool acceptable;
  };
  const Case cases[] = {
      {"p256", KeyType::kP256, 256, true},
      {"p384", KeyType::kP384, 384, true},
      {"ed25519", KeyType::kEd25519, 256, true},
      {"rsa2048", KeyType::kRsa2048, 2048, true},
      {"rsa3072", KeyType::kRsaOther, 3072, true},
      {"rsa1024", KeyType::kRsaOther, 1024, false},
      {"p521", KeyType::kOther, 521, false},
      {"ed448", KeyType::kOther, 456, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.key);
    const auto request =
        CertificateRequest::Parse(TestData("request_" + c.key + ".pem"));
    ASSERT_THAT(request, IsOk());
    EXPECT_EQ(request->key_type, c.type);
    EXPECT_EQ(request->key_bits, c.bits);
    EXPECT_EQ(request->HasAcceptableKey(), c.acceptable);
    if (c.acceptable) {
      EXPECT_EQ(request->key_digest, KeyDigestOf(c.key));
    }
  }
}

TEST(CertificateRequestTest, RsaIsAcceptableFrom2048To8192Bits) {
  struct Case {
    int bits;
    bool want;
  };
  const Case cases[] = {
      {2047, false}, {2049, true}, {8192, true}, {8193, false}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.bits);
    CertificateRequest request;
    request.key_type = KeyType::kRsaOther;
    request.key_bits = c.bits;
    EXPECT_EQ(request.HasAcceptableKey(), c.want);
  }
}

TEST(CertificateRequestTest, TakesEveryUsualFormOfPem) {
  const std::string good = TestData("request_p256.pem");
  struct Case {
    std::string_view name;
    std::string pem;
  };
  const Case cases[] = {
      {"white space around", "\r\n \t" + good + "\n \n"},
      {"no line break at the end", good.substr(0, good.size() - 1)},
      {"DOS line ends", Replaced(good, "\n", "\r\n")},
      {"the older label",
       Replaced(good, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")},
      {"as long as may be",
       good +
           std::string(CertificateRequest::kMaxPemBytes - good.size(), '\n')},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(CertificateRequest::Parse(c.pem), IsOk());
  }
}

TEST(CertificateRequestTest, RefusesEverythingElse) {
  const std::string good = TestData("request_p256.pem");
  const std::string other = TestData("request_p384.pem");
  const std::string begin = "-----BEGIN CERTIFICATE REQUEST-----\n";
  const std::string end = "-----END CERTIFICATE REQUEST-----\n";
  const std::string body =
      good.substr(begin.size(), good.size() - begin.size() - end.size());
  struct Case {
    std::string_view name;
    std::string pem;
    std::string_view message;
  };
  const Case cases[] = {
      {"empty", "", "does not begin"},
      {"text", "hello", "does not begin"},
      {"text before", "hello\n" + good, "does not begin"},
      {"text after", good + "hello\n", "text after it"},
      {"two blocks", good + good, "base64 and nothing else"},
      {"two different blocks", good + other, "base64 and nothing else"},
      {"a certificate before", TestData("certificate_root.pem") + good,
       "does not begin"},
      {"a certificate after", good + TestData("certificate_root.pem"),
       "text after it"},
      {"a NUL before", std::string(1, '\0') + good, "does not begin"},
      {"a NUL after", good + std::string(1, '\0'), "text after it"},
      {"a NUL inside", begin + std::string(1, '\0') + body + end,
       "base64 and nothing else"},
      {"headers", begin + "Comment: hello\n\n" + body + end,
       "base64 and nothing else"},
      {"encryption headers",
       begin + "Proc-Type: 4,ENCRYPTED\nDEK-Info: DES-CBC,00\n\n" + body + end,
       "base64 and nothing else"},
      {"the label of a certificate",
       Replaced(good, "CERTIFICATE REQUEST", "CERTIFICATE"), "does not begin"},
      {"a label in lower case",
       Replaced(good, "CERTIFICATE REQUEST", "certificate request"),
       "does not begin"},
      {"two labels",
       Replaced(good, "BEGIN CERTIFICATE", "BEGIN NEW CERTIFICATE"),
       "text after it"},
      {"no END", begin + body, "no end"},
      {"no body", begin + end, "base64 and nothing else"},
      {"an empty body", begin + "\n" + end, "base64 and nothing else"},
      {"no line break after BEGIN",
       begin.substr(0, begin.size() - 1) + body + end, "lines of their own"},
      {"no line break before END",
       begin + body.substr(0, body.size() - 1) + end, "lines of their own"},
      {"not base64", begin + "!!!!\n" + end, "base64 and nothing else"},
      {"base64 cut", begin + body.substr(1) + end, "base64 and nothing else"},
      {"padding inside", begin + "AA==" + body + end,
       "base64 and nothing else"},
      {"only padding", begin + "====\n" + end, "base64 and nothing else"},
      {"other DER", begin + "MAA=\n" + end, "no certificate request"},
      {"DER cut", begin + body.substr(0, 64) + "\n" + end,
       "no certificate request"},
      {"a certificate's DER",
       Replaced(TestData("certificate_root.pem"), "CERTIFICATE",
                "CERTIFICATE REQUEST"),
       "no certificate request"},
      {"too long", good + std::string(CertificateRequest::kMaxPemBytes, '\n'),
       "at most 16 KiB"},
      {"a trailing byte", TestData("request_trailing_byte.pem"),
       "no certificate request"},
      {"another version", TestData("request_version_3.pem"), "version 1"},
      {"a bad signature", TestData("request_bad_signature.pem"),
       "not signed by its own key"},
      {"an explicit curve", TestData("request_explicit.pem"),
       "does not name its curve"},
      {"a compressed point", TestData("request_compressed.pem"), "compressed"},
      {"RSA without its NULL", TestData("request_rsa_without_null.pem"),
       "not encoded in the usual way"},
      {"a NUL in a name", TestData("request_name_with_nul.pem"), "NUL"},
      {"a name not in UTF-8", TestData("request_name_not_utf8.pem"),
       "no certificate request"},
      {"a name that is a number", TestData("request_name_integer.pem"),
       "no certificate request"},
      {"a string for extensions",
       TestData("request_extension_request_of_text.pem"), "no extensions"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(CertificateRequest::Parse(c.pem),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr(std::string(c.message))));
    EXPECT_THAT(
        CertificateRequest::Parse(c.pem),
        StatusIs(absl::StatusCode::kInvalidArgument, Not(HasSubstr("hello"))));
  }
}

// Every byte matters: the signature covers the body, and itself.
TEST(CertificateRequestTest, RefusesEveryChangedCharacter) {
  const std::string good = TestData("request_p256.pem");
  const size_t begin = good.find('\n') + 1;
  // Without the last, which may hold spare bits.
  const size_t end =
      std::min(good.find('=', begin), good.find("\n-----END", begin)) - 1;
  for (size_t i = begin; i < end; ++i) {
    if (good[i] == '\n') continue;
    SCOPED_TRACE(i);
    std::string changed = good;
    changed[i] = good[i] == 'A' ? 'B' : 'A';
    EXPECT_THAT(CertificateRequest::Parse(changed),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(CertificateRequestTest, BuiltRequestsSayWhatWasAsked) {
  for (const KeyType type :
       {KeyType::kP256, KeyType::kP384, KeyType::kEd25519, KeyType::kRsa2048}) {
    SCOPED_TRACE(static_cast<int>(type));
    const auto key = PrivateKey::Generate(type);
    ASSERT_THAT(key, IsOk());
    const auto pem = BuildCertificateRequest(
        *key, {.common_name = "system:node:node-1",
               .organizations = {"system:nodes", "second"}});
    ASSERT_THAT(pem, IsOk());
    const auto request = CertificateRequest::Parse(*pem);
    ASSERT_THAT(request, IsOk());
    EXPECT_THAT(request->common_names, ElementsAre("system:node:node-1"));
    EXPECT_THAT(request->organizations, ElementsAre("system:nodes", "second"));
    EXPECT_FALSE(request->has_other_subject_attributes);
    EXPECT_FALSE(request->has_subject_alt_name);
    EXPECT_FALSE(request->has_other_extensions);
    EXPECT_EQ(request->key_type, type);
    EXPECT_EQ(request->key_digest, key->public_key_digest());
    EXPECT_TRUE(request->HasAcceptableKey());
  }
}

TEST(CertificateRequestTest, BuildsASubjectAltNameOnDemand) {
  const auto key = PrivateKey::Generate(KeyType::kP256);
  ASSERT_THAT(key, IsOk());
  const auto pem = BuildCertificateRequest(
      *key, {.common_name = "x", .dns_names = {"node-1", "node-1.example"}});
  ASSERT_THAT(pem, IsOk());
  const auto request = CertificateRequest::Parse(*pem);
  ASSERT_THAT(request, IsOk());
  EXPECT_TRUE(request->has_subject_alt_name);
  EXPECT_FALSE(request->has_other_extensions);
}

// Kubernetes allows node names of 253 characters, X.509 a CN of 64.
TEST(CertificateRequestTest, BuildsForTheLongestNodeName) {
  const auto key = PrivateKey::Generate(KeyType::kP256);
  ASSERT_THAT(key, IsOk());
  const std::string name = "system:node:" + std::string(253, 'n');
  const auto pem = BuildCertificateRequest(*key, {.common_name = name});
  ASSERT_THAT(pem, IsOk());
  EXPECT_THAT(CertificateRequest::Parse(*pem),
              IsOkAndHolds(
                  Field(&CertificateRequest::common_names, ElementsAre(name))));
}

}  // namespace
}  // namespace latchkey
