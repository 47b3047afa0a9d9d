// What happened to tokens between two points in the past, asked of the API
// server: how a watch is resumed at a broker that was not there.

#ifndef LATCHKEY_SERVICES_MISSED_EVENTS_H_
#define LATCHKEY_SERVICES_MISSED_EVENTS_H_

#include <cstddef>
#include <stop_token>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "services/event_merge.h"
#include "services/token_event.h"

namespace latchkey {

struct MissedEventsOptions {
  // Of one source. Of more, the newest are kept.
  size_t max_events = 16 << 10;
  size_t max_bytes = 16 << 20;
  // Of one watch. An API server says how far a watch has come when it ends, and
  // about every minute.
  absl::Duration watch_time = absl::Seconds(3);
  // Until the API server has told all of one source. Errors are waited out.
  absl::Duration patience = absl::Seconds(30);
};

// A failed source, so that whoever asked for less of it can be served yet.
struct MissedEvents {
  absl::Status status;
  EventSource failed = EventSource::kRecords;
  // `from`, or after it: what was between the two was more than is kept. Set
  // whether or not the rest is OK.
  EventCut complete_from;
  // In order, and all that came after `complete_from` up to `to`, if OK.
  std::vector<VersionedEvent> events;
};

// Blocks for the API server: some seconds, as a rule. `known` is what the
// present watches know of who holds which token.
//
// Statuses: kOutOfRange: forgotten. kDeadlineExceeded: not told in time; what
// the API server answered last is in the text. kCancelled: after `stop`.
MissedEvents CollectMissedEvents(const MissedEventsOptions& options,
                                 KubernetesClient& client, const EventCut& from,
                                 const EventCut& to, const Reservations& known,
                                 const std::stop_token& stop);

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_MISSED_EVENTS_H_
