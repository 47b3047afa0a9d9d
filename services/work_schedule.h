// Which key to work on next: each key once, in turn between groups, at its
// time.
//
// A group's keys are worked on one at a time and in order, and groups take
// turns, so that one group's flood costs the others one turn, not a queue. A
// key that is added while it is worked on comes round again. Nothing here
// blocks, and time is passed in; services/worker_pool.h puts threads around it.

#ifndef LATCHKEY_SERVICES_WORK_SCHEDULE_H_
#define LATCHKEY_SERVICES_WORK_SCHEDULE_H_

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include <absl/time/time.h>

namespace latchkey {

// Not safe for concurrent use.
class WorkSchedule {
 public:
  struct Item {
    std::string group;
    std::string key;
    auto operator<=>(const Item&) const = default;
  };

  // Makes `item` ready now. Nothing happens if it is ready already; an earlier
  // AddAt of it is forgotten.
  void Add(const Item& item);

  // Makes `item` ready at `when`, unless it is ready or due earlier.
  void AddAt(const Item& item, absl::Time when);

  // Takes the next item that is ready at `now`, if any; its group rests until
  // Finish().
  std::optional<Item> Take(absl::Time now);
  void Finish(const Item& item);

  // When Take() may next answer something, given that nothing is added or
  // finished: the past if something is ready.
  absl::Time NextTime() const;

  // Items that may be taken at `now`, or once their group has rested: what is
  // behind with. Takes time linear in what came due since the last Take().
  size_t ReadyAt(absl::Time now) const;

  // Items that wait, ready or not.
  size_t size() const { return ready_count_ + due_of_.size(); }

 private:
  struct Group {
    std::deque<std::string> ready;
    std::set<std::string> waiting;  // the same keys, to find them
    bool busy = false;
    bool in_turn = false;  // stands in turns_
  };

  void TakeTurn(const std::string& name, Group& group);

  std::map<std::string, Group> groups_;
  std::deque<std::string> turns_;  // groups with something ready, not busy
  std::set<std::pair<absl::Time, Item>> due_;
  std::map<Item, absl::Time> due_of_;
  size_t ready_count_ = 0;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_WORK_SCHEDULE_H_
