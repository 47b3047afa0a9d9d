#include "crypto/openssl_error.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include "crypto/certificate.h"
#include "crypto/certificate_request.h"
#include "crypto/private_key.h"
#include "tests/crypto/testdata.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::latchkey_testing::Replaced;
using ::latchkey_testing::StatusIs;
using ::latchkey_testing::TestData;
using ::testing::Not;

void RaiseError(const char* detail) {
  ERR_raise_data(ERR_LIB_ASN1, ERR_R_PASSED_NULL_PARAMETER, "%s", detail);
}

TEST(OpensslErrorTest, SaysTheReasonAndNotTheDetail) {
  RaiseError("secret");
  EXPECT_THAT(TakeOpensslError(absl::StatusCode::kInternal, "cannot sign"),
              StatusIs(absl::StatusCode::kInternal,
                       "cannot sign: passed a null parameter"));
}

TEST(OpensslErrorTest, TellsTheOldestAndEmptiesTheQueue) {
  RaiseError("");
  ERR_raise(ERR_LIB_ASN1, ERR_R_INTERNAL_ERROR);
  EXPECT_THAT(
      TakeOpensslError(absl::StatusCode::kInternal, "x"),
      StatusIs(absl::StatusCode::kInternal, "x: passed a null parameter"));
  EXPECT_EQ(ERR_peek_error(), 0);
}

TEST(OpensslErrorTest, AnEmptyQueueHasNoReason) {
  ERR_clear_error();
  EXPECT_THAT(TakeOpensslError(absl::StatusCode::kInvalidArgument, "x"),
              StatusIs(absl::StatusCode::kInvalidArgument, "x"));
}

TEST(OpensslErrorTest, TheGuardEmptiesTheQueue) {
  {
    const OpensslErrorGuard guard;
    RaiseError("");
  }
  EXPECT_EQ(ERR_peek_error(), 0);
}

// An error that stays behind would be read as its own by the TLS code that runs
// on the same thread.
TEST(OpensslErrorTest, EntryPointsLeaveNoErrorBehind) {
  const std::string bad_key =
      Replaced(TestData("key_p256_sec1.pem"), "EC PRIVATE", "RSA PRIVATE");
  EXPECT_THAT(PrivateKey::FromPem(bad_key), Not(IsOk()));
  EXPECT_EQ(ERR_peek_error(), 0);
  EXPECT_THAT(PrivateKey::FromPem(TestData("key_ed25519.pem")), IsOk());
  EXPECT_EQ(ERR_peek_error(), 0);
  EXPECT_THAT(CertificateRequest::Parse(TestData("request_bad_signature.pem")),
              Not(IsOk()));
  EXPECT_EQ(ERR_peek_error(), 0);
  EXPECT_THAT(CertificateRequest::Parse(TestData("request_name_integer.pem")),
              Not(IsOk()));
  EXPECT_EQ(ERR_peek_error(), 0);
  EXPECT_THAT(Certificate::ParseAll(TestData("certificate_trailing_byte.pem")),
              Not(IsOk()));
  EXPECT_EQ(ERR_peek_error(), 0);
}

}  // namespace
}  // namespace latchkey
