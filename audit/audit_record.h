// One line of an audit log: a JSON object in one fixed form, chained to the
// line before it by SHA-256.
//
//   {"v":1,"seq":7,"time":"2026-01-02T15:04:05.123456Z","action":"IssueToken",
//    "verdict":"denied","reason":"POLICY_DENIED",…,"facts":{"node":"worker-1"},
//    "prev":"<64 hex digits>","hash":"<64 hex digits>"}
//
// Empty members are left out; "hash" is of every byte before `,"hash"`.

#ifndef LATCHKEY_AUDIT_AUDIT_RECORD_H_
#define LATCHKEY_AUDIT_AUDIT_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "audit/audit_log.h"

namespace latchkey {

// Where a chain stands: after `sequence` records, the last of which has `hash`.
struct AuditHead {
  uint64_t sequence = 0;
  std::string hash = std::string(64, '0');

  bool operator==(const AuditHead&) const = default;
};

struct AuditRecord {
  uint64_t sequence = 0;
  absl::Time time;
  AuditEvent event;
  std::string prev;
  std::string hash;
};

// Longer values of an event are cut: what a stranger sends must not fill the
// disk. Far beyond every name that is valid.
inline constexpr size_t kMaxAuditValueBytes = 2048;
// No line is longer.
inline constexpr size_t kMaxAuditLineBytes = 1 << 20;

// The line, without a line break, that comes after `head` and tells of `event`;
// `head` moves on to it. Whatever the event's values are, the line is one line
// of UTF-8, and the same each time.
std::string EncodeAuditLine(const AuditEvent& event, absl::Time time,
                            AuditHead& head);

// kInvalidArgument unless `line` is what EncodeAuditLine makes, to the byte.
// The hash is checked; whether "prev" fits is the reader's to know.
absl::StatusOr<AuditRecord> ParseAuditLine(std::string_view line);

}  // namespace latchkey

#endif  // LATCHKEY_AUDIT_AUDIT_RECORD_H_
