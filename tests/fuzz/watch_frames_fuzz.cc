// Any bytes as the body of a watch. However the network cuts it, the same
// events come out, and none is larger than what was read.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "clients/kubernetes/watch_frames.h"
#include "tests/fuzz/insist.h"

namespace {

using latchkey::RawWatchEvent;
using latchkey::WatchFrameReader;
using latchkey_testing::ChoiceFrom;
using latchkey_testing::Insist;

struct Outcome {
  std::vector<RawWatchEvent> events;
  absl::Status end;
};

// Takes what there is; false once the watch is broken or has ended.
bool Drain(WatchFrameReader& reader, Outcome& outcome) {
  while (true) {
    auto event = reader.Next();
    if (!event.ok()) {
      outcome.end = event.status();
      return false;
    }
    if (!event->has_value()) return true;
    outcome.events.push_back(**std::move(event));
  }
}

// Reads `body` in pieces of up to `most` bytes; 0: in one.
Outcome Read(std::string_view body, size_t most) {
  WatchFrameReader reader("watch secrets");
  Outcome outcome;
  for (size_t salt = 0; !body.empty(); ++salt) {
    const size_t piece =
        most == 0 ? body.size()
                  : std::min(body.size(),
                             1 + ChoiceFrom(body.substr(0, 8), salt) % most);
    reader.Append(body.substr(0, piece));
    body.remove_prefix(piece);
    if (!Drain(reader, outcome)) break;
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body = latchkey_testing::AsText(data, size);
  const Outcome whole = Read(body, 0);
  size_t bytes = 0;
  for (const RawWatchEvent& event : whole.events) {
    bytes += 4 + event.object.size();
  }
  Insist(bytes <= size);
  for (const size_t most : {size_t{1}, size_t{7}, size_t{300}}) {
    const Outcome cut = Read(body, most);
    Insist(cut.end == whole.end);
    Insist(cut.events.size() == whole.events.size());
    for (size_t i = 0; i < cut.events.size(); ++i) {
      Insist(cut.events[i].type == whole.events[i].type);
      Insist(cut.events[i].object == whole.events[i].object);
    }
  }
  return 0;
}
