#include "core/base64url.h"

#include <gmock/gmock.h>

namespace latchkey {
namespace {

TEST(Base64UrlTest, DecodesEveryByte) {
  // RFC 4648, 10, without the padding; and what differs from base64.
  EXPECT_EQ(DecodeBase64Url(""), "");
  EXPECT_EQ(DecodeBase64Url("Zg"), "f");
  EXPECT_EQ(DecodeBase64Url("Zm8"), "fo");
  EXPECT_EQ(DecodeBase64Url("Zm9v"), "foo");
  EXPECT_EQ(DecodeBase64Url("Zm9vYmFy"), "foobar");
  EXPECT_EQ(DecodeBase64Url("_-8"), "\xff\xef");
  // RFC 7515, A.1.1.
  EXPECT_EQ(DecodeBase64Url("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"),
            "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}");
}

TEST(Base64UrlTest, OneTextForEachByteString) {
  for (const char* text : {"Zg==", "Zg=", "Z", "Zm9vY", "Zh", "Zm9", "Zm 8",
                           "Zm8\n", "+/8", "Zm8.", "\xc3\xa9"}) {
    EXPECT_EQ(DecodeBase64Url(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace latchkey
