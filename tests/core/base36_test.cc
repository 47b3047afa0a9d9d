#include "core/base36.h"

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/chi_square.h"

namespace latchkey {
namespace {

using ::latchkey_testing::ChiSquare;

TEST(Base36Test, SamplingThrowsBiasedBytesAway) {
  const uint8_t bytes[] = {255, 252, 0, 251, 35, 36};
  size_t next = 0;
  EXPECT_EQ(SampleBase36(4, [&] { return bytes[next++]; }), "0zz0");
  EXPECT_EQ(next, 6U);
}

// Every byte equally often: every character equally often.
TEST(Base36Test, SamplingIsFair) {
  int next = 0;
  const std::string text = SampleBase36(
      size_t{252} * 100, [&] { return static_cast<uint8_t>(next++ % 256); });
  EXPECT_EQ(ChiSquare(text, kBase36Alphabet), 0);

  std::mt19937 generator(36);  // NOLINT: the same numbers at each run
  std::uniform_int_distribution<int> byte(0, 255);
  const std::string drawn = SampleBase36(
      100'000, [&] { return static_cast<uint8_t>(byte(generator)); });
  EXPECT_LT(ChiSquare(drawn, kBase36Alphabet), 70);

  // The check notices what a plain remainder would do.
  std::string biased;
  for (int i = 0; i < 100'000; ++i) {
    biased += kBase36Alphabet[static_cast<size_t>(byte(generator)) % 36];
  }
  EXPECT_GT(ChiSquare(biased, kBase36Alphabet), 120);
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
