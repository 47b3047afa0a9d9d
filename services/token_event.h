// What happened to a token, as whoever watches tokens is told.

#ifndef LATCHKEY_SERVICES_TOKEN_EVENT_H_
#define LATCHKEY_SERVICES_TOKEN_EVENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "storage/token_record.h"

namespace latchkey {

enum class TokenEventType {
  kIssued,
  kClaimed,
  kReserved,
  kApproved,
  kJoined,
  kRefused,
  kRevoked,
  kExpired,
  kExtended,
  kReleased,
  kRemoved,
};

struct TokenEvent {
  TokenEventType type;
  // As it is after the event; as it was last, if it was removed. Without its
  // secrets, and without the digests that only the broker's own rules read.
  TokenRecord record;
};

// The event that a write of `record` is; the write says it by itself.
TokenEvent EventOfWrite(const TokenRecord& record);
// The event that the removal of `record` is.
TokenEvent EventOfRemoval(const TokenRecord& record);
// The approval of the CSR that holds `record`, which may have gone on since.
TokenEvent EventOfApproval(const TokenRecord& record);

// What it takes in memory, roughly.
size_t BytesOf(const TokenEvent& event);

// Where events come from: two watches, each with versions of its own.
enum class EventSource { kRecords, kCsrs };

// A point in both watches: everything up to these versions. Kubernetes lets
// versions of one kind of object be compared (KEP-5504), of two kinds not.
struct EventCut {
  uint64_t records = 0;
  uint64_t csrs = 0;

  uint64_t& of(EventSource source) {
    return source == EventSource::kRecords ? records : csrs;
  }
  uint64_t of(EventSource source) const {
    return source == EventSource::kRecords ? records : csrs;
  }
  // True if this is `other` or after it, in both.
  bool Covers(const EventCut& other) const {
    return records >= other.records && csrs >= other.csrs;
  }
  bool operator==(const EventCut&) const = default;
};

// One event and the version of its source that it happened at. A version is
// one write, and so at most one event.
struct VersionedEvent {
  EventSource source;
  uint64_t version;
  std::shared_ptr<const TokenEvent> event;
};

// The number in a resourceVersion; nothing if it is none.
std::optional<uint64_t> ParseResourceVersion(std::string_view text);

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_TOKEN_EVENT_H_
