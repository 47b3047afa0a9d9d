#include "core/secret_string.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <gtest/gtest.h>

namespace latchkey {
namespace {

template <typename T>
concept Streamable = requires(std::ostream& out, const T& value) {
  out << value;
};
template <typename T>
concept Comparable = requires(const T& a, const T& b) {
  a == b;
};
template <typename T>
concept Ordered = requires(const T& a, const T& b) {
  a < b;
};

static_assert(Streamable<std::string> && Comparable<std::string> &&
              Ordered<std::string>);
static_assert(!Streamable<SecretString>);
static_assert(!Comparable<SecretString>);
static_assert(!Ordered<SecretString>);
static_assert(!std::is_convertible_v<SecretString, std::string>);
static_assert(!std::is_convertible_v<SecretString, std::string_view>);
static_assert(!std::is_convertible_v<std::string, SecretString>);

// Short enough for the string to keep it inside itself, and too long for that.
constexpr std::string_view kShort = "s3cr3t-short";
constexpr std::string_view kLong = "s3cr3t-0123456789-0123456789-0123456789";

// Storage that outlives the value in it, to look at afterwards.
class Remains {
 public:
  Remains() { bytes_.fill('?'); }
  SecretString* Place(std::string_view secret) {
    return new (bytes_.data()) SecretString(secret);
  }
  bool Hold(std::string_view text) const {
    return std::search(bytes_.begin(), bytes_.end(), text.begin(),
                       text.end()) != bytes_.end();
  }

 private:
  alignas(SecretString) std::array<char, sizeof(SecretString)> bytes_;
};

TEST(SecretStringTest, RevealsWhatItHolds) {
  for (const std::string_view text : {std::string_view(), kShort, kLong}) {
    const SecretString secret(text);
    EXPECT_EQ(secret.Reveal(), text);
    EXPECT_EQ(secret.size(), text.size());
    EXPECT_EQ(secret.empty(), text.empty());
  }
}

TEST(SecretStringTest, CopiesAndMovesKeepTheValue) {
  for (const std::string_view text : {kShort, kLong}) {
    SecretString secret(text);
    SecretString copy(secret);
    EXPECT_EQ(copy.Reveal(), text);
    const SecretString moved(std::move(copy));
    EXPECT_EQ(moved.Reveal(), text);
    SecretString assigned;
    assigned = moved;
    EXPECT_EQ(assigned.Reveal(), text);
    SecretString taken("another");
    taken = std::move(assigned);
    EXPECT_EQ(taken.Reveal(), text);
    SecretString& self = taken;
    taken = self;
    EXPECT_EQ(taken.Reveal(), text);
    taken = std::move(self);
    EXPECT_EQ(taken.Reveal(), text);
    EXPECT_EQ(secret.Reveal(), text);
  }
}

TEST(SecretStringTest, DestructionWipes) {
  Remains remains;
  SecretString* secret = remains.Place(kShort);
  ASSERT_TRUE(remains.Hold(kShort));
  std::destroy_at(secret);
  EXPECT_FALSE(remains.Hold("s3cr3t"));
}

TEST(SecretStringTest, AMoveLeavesNothingBehind) {
  Remains remains;
  SecretString* secret = remains.Place(kShort);
  const SecretString constructed(std::move(*secret));
  EXPECT_FALSE(remains.Hold("s3cr3t"));

  *secret = SecretString(kShort);
  ASSERT_TRUE(remains.Hold(kShort));
  SecretString assigned;
  assigned = std::move(*secret);
  EXPECT_FALSE(remains.Hold("s3cr3t"));
  std::destroy_at(secret);
}

// The tail of a longer value would survive a shorter one that is copied over.
TEST(SecretStringTest, AssignmentWipesTheOldValue) {
  Remains remains;
  SecretString* secret = remains.Place(kShort);
  const SecretString other("x");
  *secret = other;
  EXPECT_FALSE(remains.Hold(kShort.substr(2)));
  *secret = SecretString(kShort);
  *secret = SecretString("x");
  EXPECT_FALSE(remains.Hold(kShort.substr(2)));
  std::destroy_at(secret);
}

TEST(SecretStringTest, WipeReachesTheSpareCapacity) {
  for (const std::string_view text : {kShort, kLong}) {
    std::string value(text);
    value.resize(3);
    const char* bytes = value.data();
    const size_t capacity = value.capacity();
    Wipe(value);
    EXPECT_TRUE(value.empty());
    ASSERT_EQ(value.data(), bytes);
    ASSERT_EQ(value.capacity(), capacity);
    EXPECT_TRUE(
        std::all_of(bytes, bytes + capacity, [](char c) { return c == '\0'; }));
  }
}

}  // namespace
}  // namespace latchkey
