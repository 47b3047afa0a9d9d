#include "crypto/digest.h"

#include <set>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace latchkey {
namespace {

using namespace std::string_view_literals;  // NOLINT: literals with NULs

TEST(DigestTest, Sha256OfTheStandardsExamples) {
  struct Case {
    std::string_view name;
    std::string input;
    std::string_view want;
  };
  const Case cases[] = {
      {"empty", "",
       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"one block", "abc",
       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"two blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"a million letters", std::string(1'000'000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(Sha256Hex(c.input), c.want);
    EXPECT_EQ(HexEncode(Sha256(c.input)), c.want);
  }
}

TEST(DigestTest, HexKeepsEveryByte) {
  EXPECT_EQ(HexEncode(""), "");
  EXPECT_EQ(HexEncode("\x00\x09\x0a\x7f\x80\xff"sv), "00090a7f80ff");
}

// Stored digests depend on the framing, so it may not change: eight bytes of
// length, big-endian, before the domain and each part.
TEST(DigestTest, PartsAreFramedByTheirLengths) {
  EXPECT_EQ(DigestOfParts("d", {"ab", ""}),
            Sha256Hex("\0\0\0\0\0\0\0\1d\0\0\0\0\0\0\0\2ab\0\0\0\0\0\0\0\0"sv));
  EXPECT_EQ(DigestOfParts("", {std::string(258, 'x')}),
            Sha256Hex(std::string("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\2"sv) +
                      std::string(258, 'x')));
}

TEST(DigestTest, PartsAreToldApart) {
  const std::set<std::string> digests = {
      DigestOfParts("d", {"ab", "c"}), DigestOfParts("d", {"a", "bc"}),
      DigestOfParts("d", {"abc"}),     DigestOfParts("d", {"abc", ""}),
      DigestOfParts("d", {"", "abc"}), DigestOfParts("da", {"bc"}),
      DigestOfParts("e", {"ab", "c"}), DigestOfParts("d", {}),
      DigestOfParts("d", {"a\0b"sv}),  DigestOfParts("d", {"a"}),
  };
  EXPECT_EQ(digests.size(), 10);
}

// RFC 4231, 4.2, 4.3 and 4.7: keys shorter and longer than a block.
TEST(DigestTest, HmacOfTheStandardsExamples) {
  EXPECT_EQ(HexEncode(HmacSha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(HexEncode(HmacSha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(HexEncode(HmacSha256(
                std::string(131, '\xaa'),
                "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(DigestTest, ConstantTimeEqualsComparesAllBytes) {
  struct Case {
    std::string_view name;
    std::string_view a;
    std::string_view b;
    bool want;
  };
  const Case cases[] = {
      {"empty", "", "", true},
      {"equal", "abcdef", "abcdef", true},
      {"first differs", "abcdef", "xbcdef", false},
      {"last differs", "abcdef", "abcdex", false},
      {"prefix", "abc", "abcdef", false},
      {"empty and not", "", "a", false},
      {"behind a NUL", "a\0b"sv, "a\0c"sv, false},
      {"in one bit", "\x80"sv, "\x00"sv, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(ConstantTimeEquals(c.a, c.b), c.want);
    EXPECT_EQ(ConstantTimeEquals(c.b, c.a), c.want);
  }
}

}  // namespace
}  // namespace latchkey
