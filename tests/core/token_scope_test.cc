#include "core/token_scope.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOk;
using ::latchkey_testing::ReasonIs;
using ::latchkey_testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::Pair;

const std::string kDigest(64, 'a');

TokenScope FullScope() {
  TokenScope scope;
  scope.node_name = "node-1";
  scope.groups = {"system:bootstrappers:a", "system:bootstrappers:b"};
  scope.max_certificate_lifetime = absl::Hours(1);
  scope.key_digest = kDigest;
  scope.allow_node_replacement = true;
  return scope;
}

using Change = std::function<void(TokenScope&)>;

std::vector<std::string> Groups(int count) {
  std::vector<std::string> groups;
  for (int i = 0; i < count; ++i) {
    groups.push_back("system:bootstrappers:" + std::to_string(i));
  }
  return groups;
}

TEST(TokenScopeTest, GoodScopes) {
  struct Case {
    std::string_view name;
    Change change;
  };
  const Case cases[] = {
      {"full", [](TokenScope&) {}},
      {"only a name",
       [](TokenScope& s) {
         s = TokenScope();
         s.node_name = "node-1";
       }},
      {"as many groups as may be",
       [](TokenScope& s) { s.groups = Groups(16); }},
      {"shortest lifetime",
       [](TokenScope& s) { s.max_certificate_lifetime = absl::Minutes(10); }},
      {"longest lifetime",
       [](TokenScope& s) {
         s.max_certificate_lifetime = absl::Hours(24 * 365);
       }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    TokenScope scope = FullScope();
    c.change(scope);
    EXPECT_THAT(ValidateScope(scope), IsOk());
  }
}

TEST(TokenScopeTest, BadScopesNameTheField) {
  struct Case {
    std::string_view name;
    std::string field;
    Change change;
  };
  const Case cases[] = {
      {"no name", "scope.node_name", [](TokenScope& s) { s.node_name = ""; }},
      {"bad name", "scope.node_name",
       [](TokenScope& s) { s.node_name = "Node"; }},
      {"pattern for a name", "scope.node_name",
       [](TokenScope& s) { s.node_name = "node-*"; }},
      {"too many groups", "scope.groups",
       [](TokenScope& s) { s.groups = Groups(17); }},
      {"a group twice", "scope.groups",
       [](TokenScope& s) {
         s.groups = {"system:bootstrappers:a", "system:bootstrappers:b",
                     "system:bootstrappers:a"};
       }},
      {"a powerful group", "scope.groups",
       [](TokenScope& s) { s.groups = {"system:masters"}; }},
      {"too short a lifetime", "scope.max_certificate_lifetime",
       [](TokenScope& s) {
         s.max_certificate_lifetime = absl::Minutes(10) - absl::Seconds(1);
       }},
      {"too long a lifetime", "scope.max_certificate_lifetime",
       [](TokenScope& s) {
         s.max_certificate_lifetime = absl::Hours(24 * 365) + absl::Seconds(1);
       }},
      {"negative lifetime", "scope.max_certificate_lifetime",
       [](TokenScope& s) { s.max_certificate_lifetime = -absl::Hours(1); }},
      {"infinite lifetime", "scope.max_certificate_lifetime",
       [](TokenScope& s) {
         s.max_certificate_lifetime = absl::InfiniteDuration();
       }},
      {"a fraction of a second", "scope.max_certificate_lifetime",
       [](TokenScope& s) {
         s.max_certificate_lifetime = absl::Hours(1) + absl::Milliseconds(1);
       }},
      {"empty digest", "scope.public_key_sha256",
       [](TokenScope& s) { s.key_digest = ""; }},
      {"digest in upper case", "scope.public_key_sha256",
       [](TokenScope& s) { s.key_digest = std::string(64, 'A'); }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    TokenScope scope = FullScope();
    c.change(scope);
    const absl::Status status = ValidateScope(scope);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(status, ReasonIs(reason::kInvalidField));
    EXPECT_THAT(MetadataOf(status), ElementsAre(Pair("field", c.field)));
  }
}

TEST(TokenScopeTest, BootstrapGroups) {
  const std::string prefix = "system:bootstrappers:";
  for (const std::string& good :
       {prefix + "a", prefix + "0", prefix + "-a", prefix + ":a",
        prefix + "pool:west-1", prefix + std::string(256, 'a')}) {
    SCOPED_TRACE(good);
    EXPECT_TRUE(IsBootstrapGroup(good));
  }
  for (const std::string& bad :
       {std::string(), std::string("system:bootstrappers"), prefix,
        std::string("system:masters"), std::string("system:nodes"),
        prefix + "a-", prefix + "a:", prefix + "A", prefix + "a b",
        prefix + "a\n", prefix + "a.b", "x" + prefix + "a",
        prefix + std::string(1, '\0'), prefix + std::string(257, 'a')}) {
    SCOPED_TRACE(bad);
    EXPECT_FALSE(IsBootstrapGroup(bad));
  }
}

TEST(TokenScopeTest, KeyDigestsAreLowerCaseHexadecimal) {
  EXPECT_TRUE(IsKeyDigest(kDigest));
  EXPECT_TRUE(IsKeyDigest(
      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
  for (const std::string& bad :
       {std::string(), std::string(63, 'a'), std::string(65, 'a'),
        std::string(64, 'A'), std::string(64, 'g'), std::string(63, 'a') + "\n",
        "sha256:" + std::string(57, 'a')}) {
    SCOPED_TRACE(bad);
    EXPECT_FALSE(IsKeyDigest(bad));
  }
}

TEST(TokenScopeTest, DeliveriesHaveNames) {
  for (const Delivery delivery : {Delivery::kTicket, Delivery::kDirect}) {
    EXPECT_EQ(DeliveryFromName(DeliveryName(delivery)), delivery);
  }
  EXPECT_EQ(DeliveryName(Delivery::kTicket), "ticket");
  EXPECT_EQ(DeliveryName(Delivery::kDirect), "direct");
  EXPECT_EQ(DeliveryFromName(""), std::nullopt);
  EXPECT_EQ(DeliveryFromName("Ticket"), std::nullopt);
}

TEST(TokenScopeTest, EqualityMindsEveryField) {
  const Change changes[] = {
      [](TokenScope& s) { s.node_name = "node-2"; },
      [](TokenScope& s) { s.groups.pop_back(); },
      [](TokenScope& s) { s.max_certificate_lifetime.reset(); },
      [](TokenScope& s) { s.key_digest.reset(); },
      [](TokenScope& s) { s.allow_node_replacement = false; },
  };
  EXPECT_EQ(FullScope(), FullScope());
  for (const Change& change : changes) {
    TokenScope scope = FullScope();
    change(scope);
    EXPECT_NE(scope, FullScope());
  }
}

}  // namespace
}  // namespace latchkey
