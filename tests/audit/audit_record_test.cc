#include "audit/audit_record.h"

#include <string>

#include <gmock/gmock.h>

#include "crypto/digest.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kTime =
    absl::FromUnixSeconds(1'800'000'000) + absl::Microseconds(1234);

AuditEvent Whole() {
  return {.action = "IssueToken",
          .verdict = AuditVerdict::kDenied,
          .reason = "POLICY_DENIED",
          .identity = "spiffe://e/a",
          .identity_kind = IdentityKind::kJwt,
          .peer = "ipv4:127.0.0.1:1",
          .rule = "workers",
          .token_id = "abc123",
          .token_uid = "uid",
          .facts = {{"node", "worker-1"}, {"delivery", "ticket"}}};
}

TEST(AuditRecordTest, HasOneFixedForm) {
  AuditHead head;
  const std::string line = EncodeAuditLine(Whole(), kTime, head);
  const std::string hashed =
      R"({"v":1,"seq":1,"time":"2027-01-15T08:00:00.001234Z",)"
      R"("action":"IssueToken","verdict":"denied","reason":"POLICY_DENIED",)"
      R"("identity":"spiffe://e/a","identity_kind":"jwt",)"
      R"("peer":"ipv4:127.0.0.1:1","rule":"workers","token":"abc123",)"
      R"("token_uid":"uid","facts":{"delivery":"ticket","node":"worker-1"},)"
      R"("prev":")" +
      std::string(64, '0') + "\"";
  EXPECT_EQ(line, hashed + ",\"hash\":\"" + Sha256Hex(hashed) + "\"}");
  EXPECT_EQ(head, (AuditHead{1, Sha256Hex(hashed)}));
}

TEST(AuditRecordTest, ComesBackAsItWas) {
  AuditHead head{.sequence = 41, .hash = std::string(64, 'a')};
  const auto record = ParseAuditLine(EncodeAuditLine(Whole(), kTime, head));
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(record->sequence, 42U);
  EXPECT_EQ(record->time, kTime);
  EXPECT_EQ(record->prev, std::string(64, 'a'));
  EXPECT_EQ(record->hash, head.hash);
  EXPECT_EQ(record->event.reason, "POLICY_DENIED");
  EXPECT_EQ(record->event.identity_kind, IdentityKind::kJwt);
  EXPECT_EQ(record->event.token_uid, "uid");
  EXPECT_EQ(record->event.facts, Whole().facts);
}

TEST(AuditRecordTest, HostileValuesStayValues) {
  const std::string values[] = {
      "\"},\"verdict\":\"allowed\",\"x\":{\"y\":\"",
      "line\nbreak\r\ttab",
      std::string("nul\0nul", 7),
      "\xff\xfe not text",
      "\xef\xbf\xbd",  // what a byte that is no text is shown as elsewhere
      "\\ufffd \\u0041 \\",
      "\xe2\x80\xa8 \x7f \x1b[31m",
      "\"",
  };
  for (const std::string& value : values) {
    SCOPED_TRACE(value);
    AuditEvent event = Whole();
    event.identity = event.peer = event.rule = value;
    event.facts = {{value, value}, {"node", value}};
    AuditHead head;
    const std::string line = EncodeAuditLine(event, kTime, head);
    EXPECT_THAT(line, Not(HasSubstr("\n")));
    const auto record = ParseAuditLine(line);
    ASSERT_THAT(record, IsOk());
    EXPECT_EQ(record->event.verdict, AuditVerdict::kDenied);
    EXPECT_EQ(record->event.facts.size(), 2U);
    AuditHead again;
    EXPECT_EQ(EncodeAuditLine(record->event, kTime, again), line);
  }
}

TEST(AuditRecordTest, LongValuesAreCut) {
  AuditEvent event;
  event.action = "x";
  event.facts["node"] = std::string(100'000, 'x');
  event.peer = std::string(kMaxAuditValueBytes - 1, 'x') + "\xc3\xa4";
  AuditHead head;
  const std::string line = EncodeAuditLine(event, kTime, head);
  EXPECT_LT(line.size(), 3 * kMaxAuditValueBytes);
  EXPECT_THAT(ParseAuditLine(line), IsOk()) << "cut within a character";
}

TEST(AuditRecordTest, AnyByteThatIsChangedShows) {
  AuditHead head;
  const std::string line = EncodeAuditLine(Whole(), kTime, head);
  for (size_t i = 0; i < line.size(); ++i) {
    for (const char other : {'0', 'x', '"', ' '}) {
      std::string altered = line;
      if (altered[i] == other) continue;
      altered[i] = other;
      EXPECT_THAT(ParseAuditLine(altered),
                  StatusIs(absl::StatusCode::kInvalidArgument))
          << altered;
    }
    EXPECT_THAT(ParseAuditLine(line.substr(0, i)),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(ParseAuditLine(line + " "),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace latchkey
