#include "crypto/random.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "core/base36.h"
#include "crypto/digest.h"
#include "tests/testing/chi_square.h"

namespace latchkey {
namespace {

std::string Derived(std::string_view domain,
                    std::initializer_list<std::string_view> parts,
                    size_t length) {
  return std::string(DeriveBase36(domain, parts, length).Reveal());
}

using latchkey_testing::ChiSquare;

TEST(RandomTest, BytesHaveTheLengthAndDiffer) {
  EXPECT_EQ(RandomBytes(0).size(), 0);
  EXPECT_EQ(RandomBytes(1000).size(), 1000);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(RandomBytes(16));
  EXPECT_EQ(seen.size(), 1000);
}

// Of 4096 bytes each value is missing with a chance of one in nine million.
TEST(RandomTest, BytesTakeEveryValue) {
  const std::string bytes = RandomBytes(4096);
  EXPECT_EQ(std::set(bytes.begin(), bytes.end()).size(), 256);
}

TEST(RandomTest, Base36HasTheLengthAndDiffers) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const SecretString secret = RandomBase36(16);
    EXPECT_EQ(secret.size(), 16);
    EXPECT_TRUE(IsBase36(secret.Reveal()));
    seen.emplace(secret.Reveal());
  }
  EXPECT_EQ(seen.size(), 1000);
  EXPECT_TRUE(RandomBase36(0).empty());
}

// Longer than a block of the generator, so that the refill is seen too. The
// bound fails by chance less than once in ten thousand million runs.
TEST(RandomTest, Base36IsFair) {
  EXPECT_LT(ChiSquare(RandomBase36(100'000).Reveal(), kBase36Alphabet), 120);
}

TEST(RandomTest, DerivedBase36IsFair) {
  EXPECT_LT(
      ChiSquare(Derived("fairness", {"a", "b"}, 200'000), kBase36Alphabet), 70);
  // The first character of many, as ids are derived.
  std::string firsts;
  for (int i = 0; i < 50'000; ++i) {
    firsts += Derived("fairness", {std::to_string(i)}, 1);
  }
  EXPECT_LT(ChiSquare(firsts, kBase36Alphabet), 70);
}

TEST(RandomTest, DerivationDependsOnAllArgumentsAndNothingElse) {
  const std::string first = Derived("d", {"ab", "c"}, 24);
  EXPECT_EQ(Derived("d", {"ab", "c"}, 24), first);
  const std::set<std::string> others = {
      first,
      Derived("e", {"ab", "c"}, 24),
      Derived("d", {"a", "bc"}, 24),
      Derived("d", {"abc"}, 24),
      Derived("d", {"ab", "c", ""}, 24),
      Derived("d", {}, 24),
  };
  EXPECT_EQ(others.size(), 6);
}

// Tokens are derived again after a restart, maybe by a later version: the
// stream may not change.
TEST(RandomTest, DerivationIsTheDocumentedStream) {
  using namespace std::string_literals;  // NOLINT: literals with NULs
  std::string stream;
  for (const char counter : {'\0', '\1', '\2'}) {
    stream += Sha256("\0\0\0\0\0\0\0\1d\0\0\0\0\0\0\0"s + counter +
                     "\0\0\0\0\0\0\0\2ab"s);
  }
  std::string want;
  for (const char c : stream) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 252) want += kBase36Alphabet[byte % 36];
  }
  ASSERT_GT(want.size(), 64);
  EXPECT_EQ(Derived("d", {"ab"}, want.size()), want);
  // A shorter one is a prefix.
  EXPECT_EQ(Derived("d", {"ab"}, 40), want.substr(0, 40));
}

}  // namespace
}  // namespace latchkey
