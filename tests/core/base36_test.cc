#include "core/base36.h"

#include <gmock/gmock.h>

namespace latchkey {
namespace {

TEST(Base36Test, SamplingThrowsBiasedBytesAway) {
  const uint8_t bytes[] = {255, 252, 0, 251, 35, 36};
  size_t next = 0;
  EXPECT_EQ(SampleBase36(4, [&] { return bytes[next++]; }), "0zz0");
  EXPECT_EQ(next, 6U);
}

TEST(Base36Test, EncodesWithPadding) {
  EXPECT_EQ(EncodeBase36(0, 3), "000");
  EXPECT_EQ(EncodeBase36(35, 1), "z");
  EXPECT_EQ(EncodeBase36(36, 3), "010");
  EXPECT_EQ(EncodeBase36(0xffffffff, 7), "1z141z3");
}

TEST(Base36Test, KnowsItsAlphabet) {
  EXPECT_TRUE(IsBase36("0189azby"));
  for (const char* bad : {"A", "a b", "a-", "\n", "é", "_"}) {
    EXPECT_FALSE(IsBase36(bad)) << bad;
  }
}

}  // namespace
}  // namespace latchkey
