#include "crypto/private_key.h"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/crypto/testdata.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::latchkey_testing::KeyDigestOf;
using ::latchkey_testing::Replaced;
using ::latchkey_testing::StatusIs;
using ::latchkey_testing::TestData;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

TEST(PrivateKeyTest, GeneratedKeysSurviveTheirPem) {
  struct Case {
    std::string_view name;
    KeyType type;
    std::string_view label;
  };
  const Case cases[] = {
      {"P-256", KeyType::kP256, "-----BEGIN EC PRIVATE KEY-----\n"},
      {"P-384", KeyType::kP384, "-----BEGIN EC PRIVATE KEY-----\n"},
      {"Ed25519", KeyType::kEd25519, "-----BEGIN PRIVATE KEY-----\n"},
      {"RSA-2048", KeyType::kRsa2048, "-----BEGIN RSA PRIVATE KEY-----\n"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto key = PrivateKey::Generate(c.type);
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(key->type(), c.type);
    EXPECT_THAT(key->public_key_digest(), MatchesRegex("[0-9a-f]{64}"));

    const SecretString pem = key->ToPem();
    EXPECT_THAT(std::string(pem.Reveal()), StartsWith(std::string(c.label)));
    const auto again = PrivateKey::FromPem(pem.Reveal());
    ASSERT_THAT(again, IsOk());
    EXPECT_EQ(again->type(), c.type);
    EXPECT_EQ(again->public_key_digest(), key->public_key_digest());
    EXPECT_EQ(again->ToPem().Reveal(), pem.Reveal());
  }
}

TEST(PrivateKeyTest, GeneratedKeysDiffer) {
  const auto one = PrivateKey::Generate(KeyType::kP256);
  const auto other = PrivateKey::Generate(KeyType::kP256);
  ASSERT_THAT(one, IsOk());
  ASSERT_THAT(other, IsOk());
  EXPECT_NE(one->public_key_digest(), other->public_key_digest());
}

TEST(PrivateKeyTest, OtherKindsAreNotGenerated) {
  EXPECT_THAT(PrivateKey::Generate(KeyType::kOther),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(PrivateKey::Generate(KeyType::kRsaOther),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(PrivateKeyTest, ReadsWhatOpensslWrites) {
  struct Case {
    std::string_view file;
    std::string key;
    KeyType type;
  };
  const Case cases[] = {
      {"key_p256.pem", "p256", KeyType::kP256},
      {"key_p256_sec1.pem", "p256", KeyType::kP256},
      {"key_p384.pem", "p384", KeyType::kP384},
      {"key_ed25519.pem", "ed25519", KeyType::kEd25519},
      {"key_rsa2048.pem", "rsa2048", KeyType::kRsa2048},
      {"key_rsa2048_pkcs1.pem", "rsa2048", KeyType::kRsa2048},
      {"key_rsa3072.pem", "rsa3072", KeyType::kRsaOther},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.file);
    const auto key = PrivateKey::FromPem(TestData(c.file));
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(key->type(), c.type);
    EXPECT_EQ(key->public_key_digest(), KeyDigestOf(c.key));
  }
}

TEST(PrivateKeyTest, WritesWhatOpensslWrites) {
  for (const std::string_view file :
       {"key_p256_sec1.pem", "key_rsa2048_pkcs1.pem", "key_ed25519.pem"}) {
    SCOPED_TRACE(file);
    const auto key = PrivateKey::FromPem(TestData(file));
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(key->ToPem().Reveal(), TestData(file));
  }
}

TEST(PrivateKeyTest, WhiteSpaceAroundTheBlockIsNoMatter) {
  EXPECT_THAT(
      PrivateKey::FromPem("\n \t" + TestData("key_p256.pem") + "\r\n\n"),
      IsOk());
}

TEST(PrivateKeyTest, RefusesEverythingElse) {
  const std::string good = TestData("key_p256.pem");
  std::string truncated = good;
  truncated.erase(truncated.find("-----END") - 9, 8);
  struct Case {
    std::string_view name;
    std::string pem;
  };
  const Case cases[] = {
      {"empty", ""},
      {"white space", "\n\n"},
      {"text", "secret"},
      {"text before", "secret\n" + good},
      {"text after", good + "secret"},
      {"two blocks", good + good},
      {"a NUL after", good + std::string(1, '\0')},
      {"cut short", truncated},
      {"no end", good.substr(0, good.find("-----END"))},
      {"only the lines",
       "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"},
      {"lines that overlap", "-----BEGIN PRIVATE KEY-----END PRIVATE KEY-----"},
      {"the label of another form",
       Replaced(TestData("key_p256_sec1.pem"), "EC PRIVATE", "RSA PRIVATE")},
      {"a trailing byte", TestData("key_trailing_byte.pem")},
      {"no key",
       "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n"
       "-----END PRIVATE KEY-----\n"},
      {"encrypted", TestData("key_encrypted.pem")},
      {"encrypted, with headers", TestData("key_encrypted_sec1.pem")},
      {"P-521", TestData("key_p521.pem")},
      {"explicit curve", TestData("key_explicit.pem")},
      {"a request", TestData("request_p256.pem")},
      {"too long", good + std::string(PrivateKey::kMaxPemBytes, '\n')},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    // Nor does the message repeat the input.
    EXPECT_THAT(
        PrivateKey::FromPem(c.pem),
        StatusIs(absl::StatusCode::kInvalidArgument, Not(HasSubstr("secret"))));
  }
}

}  // namespace
}  // namespace latchkey
