#include "services/work_schedule.h"

#include <utility>

namespace latchkey {

void WorkSchedule::TakeTurn(const std::string& name, Group& group) {
  if (group.busy || group.in_turn || group.ready.empty()) return;
  group.in_turn = true;
  turns_.push_back(name);
}

void WorkSchedule::Add(const Item& item) {
  if (const auto due = due_of_.find(item); due != due_of_.end()) {
    due_.erase({due->second, item});
    due_of_.erase(due);
  }
  Group& group = groups_[item.group];
  if (!group.waiting.insert(item.key).second) return;
  group.ready.push_back(item.key);
  ++ready_count_;
  TakeTurn(item.group, group);
}

void WorkSchedule::AddAt(const Item& item, absl::Time when) {
  const auto group = groups_.find(item.group);
  if (group != groups_.end() && group->second.waiting.contains(item.key)) {
    return;
  }
  const auto [due, inserted] = due_of_.try_emplace(item, when);
  if (!inserted) {
    if (due->second <= when) return;
    due_.erase({due->second, item});
    due->second = when;
  }
  due_.emplace(when, item);
}

std::optional<WorkSchedule::Item> WorkSchedule::Take(absl::Time now) {
  while (!due_.empty() && due_.begin()->first <= now) {
    Add(Item(due_.begin()->second));  // a copy: Add() erases the original
  }
  if (turns_.empty()) return std::nullopt;
  const std::string name = std::move(turns_.front());
  turns_.pop_front();
  Group& group = groups_[name];
  group.in_turn = false;
  group.busy = true;
  Item item{.group = name, .key = std::move(group.ready.front())};
  group.ready.pop_front();
  group.waiting.erase(item.key);
  --ready_count_;
  return item;
}

void WorkSchedule::Finish(const Item& item) {
  const auto it = groups_.find(item.group);
  if (it == groups_.end()) return;
  it->second.busy = false;
  if (it->second.ready.empty()) {
    groups_.erase(it);
  } else {
    TakeTurn(item.group, it->second);
  }
}

size_t WorkSchedule::ReadyAt(absl::Time now) const {
  size_t ready = ready_count_;
  for (auto it = due_.begin(); it != due_.end() && it->first <= now; ++it) {
    ++ready;
  }
  return ready;
}

absl::Time WorkSchedule::NextTime() const {
  if (!turns_.empty()) return absl::InfinitePast();
  return due_.empty() ? absl::InfiniteFuture() : due_.begin()->first;
}

}  // namespace latchkey
