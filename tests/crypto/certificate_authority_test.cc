#include "crypto/certificate_authority.h"

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "crypto/certificate.h"
#include "crypto/certificate_request.h"
#include "crypto/openssl_ptr.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::latchkey_testing::IsOkAndHolds;
using ::latchkey_testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);
const absl::Time kNoon = kStart + absl::Hours(1);
const absl::Time kEnd = kStart + absl::Hours(2);

X509Ptr Native(const std::string& pem) {
  const OpensslPtr<BIO, BIO_free_all> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return X509Ptr(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

// OpenSSL's verdict on `leaf` under `root` at `time`: X509_V_OK or an error.
int Verify(const std::string& leaf, const std::string& root, absl::Time time,
           int purpose) {
  const X509Ptr leaf_native = Native(leaf);
  const OpensslPtr<X509_STORE, X509_STORE_free> store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), Native(root).get());
  const OpensslPtr<X509_STORE_CTX, X509_STORE_CTX_free> context(
      X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf_native.get(), nullptr);
  X509_STORE_CTX_set_purpose(context.get(), purpose);
  X509_STORE_CTX_set_time(context.get(), 0, absl::ToTimeT(time));
  X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_X509_STRICT);
  X509_verify_cert(context.get());
  return X509_STORE_CTX_get_error(context.get());
}

class CertificateAuthorityTest : public ::testing::Test {
 protected:
  static CertificateAuthority Create() {
    return *CertificateAuthority::Create("latchkey", kStart, kEnd);
  }
  static CertificateProfile Profile() {
    return {.common_name = "system:node:node-1",
            .organizations = {"system:nodes"},
            .dns_names = {"node-1"},
            .ip_addresses = {"127.0.0.1", "fd00::1"},
            .uris = {"spiffe://example/node-1"},
            .not_before = kStart,
            .not_after = kEnd,
            .client_auth = true};
  }

  const CertificateAuthority authority_ = Create();
};

// Go takes no other TRUE than DER's (X.690, 11.1).
TEST_F(CertificateAuthorityTest, ItsBasicConstraintsAreDer) {
  const X509Ptr root = Native(Create().certificate_pem());
  const int at = X509_get_ext_by_NID(root.get(), NID_basic_constraints, -1);
  ASSERT_GE(at, 0);
  const ASN1_OCTET_STRING* value =
      X509_EXTENSION_get_data(X509_get_ext(root.get(), at));
  EXPECT_EQ(
      std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                  static_cast<size_t>(ASN1_STRING_length(value))),
      std::string("\x30\x06\x01\x01\xff\x02\x01\x00", 8));
}

TEST_F(CertificateAuthorityTest, IssuesWhatTheProfileSays) {
  const auto identity = authority_.Issue(Profile());
  ASSERT_THAT(identity, IsOk());
  const auto all = Certificate::ParseAll(identity->certificate_pem);
  ASSERT_THAT(all, IsOkAndHolds(SizeIs(1)));
  EXPECT_THAT(all->front().common_names, ElementsAre("system:node:node-1"));
  EXPECT_THAT(all->front().organizations, ElementsAre("system:nodes"));
  EXPECT_THAT(all->front().dns_names, ElementsAre("node-1"));
  EXPECT_THAT(all->front().uris, ElementsAre("spiffe://example/node-1"));
  EXPECT_EQ(all->front().not_before, kStart);
  EXPECT_EQ(all->front().not_after, kEnd);
  EXPECT_TRUE(all->front().allows_client_auth);

  const X509Ptr native = Native(identity->certificate_pem);
  EXPECT_EQ(X509_check_ip_asc(native.get(), "127.0.0.1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(native.get(), "fd00::1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(native.get(), "127.0.0.2", 0), 0);

  const auto key = PrivateKey::FromPem(identity->private_key_pem.Reveal());
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->type(), KeyType::kP256);
  EXPECT_EQ(key->public_key_digest(), all->front().key_digest);
}

TEST_F(CertificateAuthorityTest, OpensslAcceptsTheChain) {
  const auto leaf = authority_.Issue(Profile());
  ASSERT_THAT(leaf, IsOk());
  const std::string& pem = leaf->certificate_pem;
  const std::string& root = authority_.certificate_pem();
  EXPECT_EQ(Verify(pem, root, kNoon, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
  EXPECT_EQ(Verify(pem, root, kNoon, X509_PURPOSE_SSL_SERVER),
            X509_V_ERR_INVALID_PURPOSE);
  EXPECT_EQ(
      Verify(pem, root, kStart - absl::Seconds(1), X509_PURPOSE_SSL_CLIENT),
      X509_V_ERR_CERT_NOT_YET_VALID);
  EXPECT_EQ(Verify(pem, root, kEnd + absl::Seconds(1), X509_PURPOSE_SSL_CLIENT),
            X509_V_ERR_CERT_HAS_EXPIRED);
  EXPECT_EQ(
      Verify(pem, Create().certificate_pem(), kNoon, X509_PURPOSE_SSL_CLIENT),
      X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
}

TEST_F(CertificateAuthorityTest, UsagesAreThoseOfTheProfile) {
  struct Case {
    std::string_view name;
    bool client;
    bool server;
    uint32_t want;
  };
  const Case cases[] = {
      {"client", true, false, XKU_SSL_CLIENT},
      {"server", false, true, XKU_SSL_SERVER},
      {"both", true, true, XKU_SSL_CLIENT | XKU_SSL_SERVER},
      {"none: no extension", false, false, UINT32_MAX},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    CertificateProfile profile = Profile();
    profile.client_auth = c.client;
    profile.server_auth = c.server;
    const auto identity = authority_.Issue(profile);
    ASSERT_THAT(identity, IsOk());
    const X509Ptr native = Native(identity->certificate_pem);
    EXPECT_EQ(X509_get_extended_key_usage(native.get()), c.want);
    EXPECT_EQ(X509_get_key_usage(native.get()), KU_DIGITAL_SIGNATURE);
  }
}

TEST_F(CertificateAuthorityTest, TheRootIsAnAuthorityAndTheLeafIsNot) {
  const X509Ptr root = Native(authority_.certificate_pem());
  EXPECT_EQ(X509_check_ca(root.get()), 1);
  EXPECT_EQ(X509_get_pathlen(root.get()), 0);
  EXPECT_EQ(X509_get_key_usage(root.get()),
            KU_DIGITAL_SIGNATURE | KU_KEY_CERT_SIGN | KU_CRL_SIGN);
  const auto identity = authority_.Issue(Profile());
  ASSERT_THAT(identity, IsOk());
  const X509Ptr leaf = Native(identity->certificate_pem);
  EXPECT_EQ(X509_check_ca(leaf.get()), 0);
  EXPECT_EQ(X509_get_pathlen(leaf.get()), -1);
  ASSERT_NE(X509_get0_authority_key_id(leaf.get()), nullptr);
  EXPECT_EQ(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(leaf.get()),
                                  X509_get0_subject_key_id(root.get())),
            0);
}

TEST_F(CertificateAuthorityTest, SerialsAreLongPositiveAndDiffer) {
  std::set<std::string> serials;
  for (int i = 0; i < 50; ++i) {
    const auto identity = authority_.Issue(Profile());
    ASSERT_THAT(identity, IsOk());
    const auto all = Certificate::ParseAll(identity->certificate_pem);
    ASSERT_THAT(all, IsOk());
    EXPECT_THAT(all->front().serial, SizeIs(32));
    serials.insert(all->front().serial);
  }
  EXPECT_THAT(serials, SizeIs(50));
}

TEST_F(CertificateAuthorityTest, OnlyTheKeyOfARequestCounts) {
  for (const KeyType type :
       {KeyType::kP256, KeyType::kP384, KeyType::kEd25519, KeyType::kRsa2048}) {
    SCOPED_TRACE(static_cast<int>(type));
    const auto key = PrivateKey::Generate(type);
    ASSERT_THAT(key, IsOk());
    const auto request =
        BuildCertificateRequest(*key, {.common_name = "system:admin",
                                       .organizations = {"system:masters"},
                                       .dns_names = {"kubernetes"}});
    ASSERT_THAT(request, IsOk());
    CertificateProfile profile = Profile();
    profile.dns_names.clear();
    const auto pem = authority_.SignRequest(*request, profile);
    ASSERT_THAT(pem, IsOk());
    EXPECT_EQ(Verify(*pem, authority_.certificate_pem(), kNoon,
                     X509_PURPOSE_SSL_CLIENT),
              X509_V_OK);
    const auto all = Certificate::ParseAll(*pem);
    ASSERT_THAT(all, IsOk());
    EXPECT_EQ(all->front().key_digest, key->public_key_digest());
    EXPECT_THAT(all->front().common_names, ElementsAre("system:node:node-1"));
    EXPECT_THAT(all->front().organizations, ElementsAre("system:nodes"));
    EXPECT_THAT(all->front().dns_names, IsEmpty());
  }
}

TEST_F(CertificateAuthorityTest, SignsNoRequestThatDoesNotVerify) {
  const auto key = PrivateKey::Generate(KeyType::kP256);
  ASSERT_THAT(key, IsOk());
  const auto request = BuildCertificateRequest(*key, {.common_name = "x"});
  ASSERT_THAT(request, IsOk());
  EXPECT_THAT(authority_.SignRequest(*request + *request, Profile()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(authority_.SignRequest("", Profile()),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

// RFC 5280, 4.2.1.6.
TEST_F(CertificateAuthorityTest, WithoutASubjectTheOtherNamesAreCritical) {
  const auto criticality = [&](const CertificateProfile& profile) {
    const X509Ptr native = Native(authority_.Issue(profile)->certificate_pem);
    const int at = X509_get_ext_by_NID(native.get(), NID_subject_alt_name, -1);
    return X509_EXTENSION_get_critical(X509_get_ext(native.get(), at));
  };
  CertificateProfile profile = Profile();
  EXPECT_EQ(criticality(profile), 0);
  profile.common_name.clear();
  profile.organizations.clear();
  EXPECT_EQ(criticality(profile), 1);
}

TEST_F(CertificateAuthorityTest, RefusesProfilesThatCannotBe) {
  struct Case {
    std::string_view name;
    std::function<void(CertificateProfile&)> spoil;
  };
  const Case cases[] = {
      {"no IP address",
       [](CertificateProfile& p) { p.ip_addresses = {"localhost"}; }},
      {"an IP address and a NUL",
       [](CertificateProfile& p) {
         p.ip_addresses = {std::string("127.0.0.1\0x", 11)};
       }},
      {"ends before it begins",
       [](CertificateProfile& p) { p.not_after = p.not_before; }},
      {"no end",
       [](CertificateProfile& p) { p.not_after = absl::InfiniteFuture(); }},
      {"no beginning",
       [](CertificateProfile& p) { p.not_before = absl::InfinitePast(); }},
      {"a year that X.509 cannot write",
       [](CertificateProfile& p) {
         p.not_after = kStart + absl::Hours(24 * 366 * 8000);
       }},
      {"no validity", [](CertificateProfile& p) {
         const CertificateProfile fresh;
         p.not_before = fresh.not_before;
         p.not_after = fresh.not_after;
       }}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    CertificateProfile profile = Profile();
    c.spoil(profile);
    EXPECT_THAT(authority_.Issue(profile).status(),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(CertificateAuthority::Create("x", kEnd, kStart).status(),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(CertificateAuthorityTest, AKeptAuthorityIsTheSame) {
  const auto loaded = CertificateAuthority::Load(
      authority_.certificate_pem(), authority_.private_key_pem().Reveal());

  ASSERT_THAT(loaded, IsOk());
  EXPECT_EQ(loaded->certificate_pem(), authority_.certificate_pem());
  const X509Ptr leaf = Native(loaded->Issue(Profile())->certificate_pem);
  EXPECT_EQ(
      X509_verify(leaf.get(),
                  X509_get0_pubkey(Native(authority_.certificate_pem()).get())),
      1);
}

TEST_F(CertificateAuthorityTest, AnAuthorityNeedsItsOwnKey) {
  const auto other = CertificateAuthority::Create("other", kStart, kEnd);
  ASSERT_THAT(other, IsOk());

  EXPECT_THAT(CertificateAuthority::Load(authority_.certificate_pem(),
                                         other->private_key_pem().Reveal())
                  .status(),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(
      CertificateAuthority::Load("", authority_.private_key_pem().Reveal())
          .status(),
      StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace latchkey
