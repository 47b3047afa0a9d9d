#include "clients/kubernetes/reflector.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <stop_token>

#include "clients/kubernetes/envelope.h"
#include "clients/kubernetes/object_meta.h"
#include "clients/log/event_log.h"
#include "core/execution.h"
#include "core/mutex.h"
#include "core/refusal.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

// A watch that ends sooner than this without one event is a failure: to open
// the next at once would be a busy loop.
constexpr absl::Duration kShortestWatch = absl::Seconds(1);
// Next() is called again after it; Stop() cancels the watch and does not wait.
constexpr absl::Duration kNextPatience = absl::Minutes(1);

constexpr absl::Duration kLongestAsked = absl::Seconds(30);

// The waits between attempts.
class Backoff {
 public:
  Backoff(absl::Duration first, absl::Duration last)
      : first_(first), last_(last), next_(first) {}

  void Reset() { next_ = first_; }

  absl::Duration Next(const absl::Status& error) {
    // What is asked for is honoured within limits: one answer of something in
    // between must not make its owner deaf for an hour.
    const absl::Duration asked = std::min(
        RetryAfterOf(error).value_or(absl::ZeroDuration()), kLongestAsked);
    const absl::Duration base = std::max(next_, asked);
    next_ = std::min(2 * next_, last_);
    return base + base * DrawFraction();
  }

 private:
  const absl::Duration first_;
  const absl::Duration last_;
  absl::Duration next_;
};

}  // namespace

struct ReflectorLoop::State {
  State(KubernetesClient& kubernetes, const Resource& kind, Options chosen,
        Callbacks handlers)
      : client(kubernetes),
        resource(kind),
        options(std::move(chosen)),
        callbacks(std::move(handlers)),
        backoff(options.first_backoff, options.last_backoff) {}

  bool stopped() const { return stop.stop_requested(); }
  void SetFresh(bool now) {
    if (fresh.exchange(now) != now && callbacks.on_fresh != nullptr) {
      callbacks.on_fresh(now);
    }
  }

  // Lists everything; answers the version to watch from.
  absl::StatusOr<std::string> List();
  absl::StatusOr<std::string> ListPages(int64_t page_size);
  // Watches from `version` and moves it on, until Stop() or until another list
  // is needed. False if not one of the watches worked.
  bool Watch(std::string version);
  // Hands on the events of one watch until it ends. Counts them.
  absl::Status Follow(WatchStream& watch, std::string& version, int& events);
  // Waits before the next attempt after `error`, or until Stop().
  void Pause(const absl::Status& error);

  KubernetesClient& client;
  const Resource resource;
  const Options options;
  const Callbacks callbacks;
  Backoff backoff;

  std::stop_source stop;
  std::atomic<bool> fresh = false;
  Mutex mutex;
  CondVar stopping;
};

absl::StatusOr<std::string> ReflectorLoop::State::List() {
  auto version = ListPages(options.page_size);
  if (version.ok() ||
      version.status().code() != absl::StatusCode::kOutOfRange) {
    return version;
  }
  // The pages took longer than the server remembers: all at once, then.
  return ListPages(0);
}

absl::StatusOr<std::string> ReflectorLoop::State::ListPages(int64_t page_size) {
  ListQuery query{.name_space = options.name_space,
                  .label_selector = options.label_selector,
                  .field_selector = options.field_selector,
                  .limit = page_size,
                  .continue_token = {},
                  .stop = stop.get_token()};
  for (bool first = true;; first = false) {
    const auto page = callbacks.new_list();
    LATCHKEY_RETURN_IF_ERROR(client.ListObjects(resource, query, *page));
    const kubernetes::ListMeta& metadata = ListMetaOf(*page);
    query.continue_token = metadata.continue_();
    const bool last = query.continue_token.empty();
    // Read before the page is handed over, which may empty it.
    std::string version = metadata.resource_version();
    callbacks.on_page(*page, first, last);
    if (last) return version;
  }
}

bool ReflectorLoop::State::Watch(std::string version) {
  bool ever_worked = false;
  while (!stopped()) {
    const absl::Time opened = ExecutionNow();
    int events = 0;
    auto watch =
        client.WatchObjects(resource, {.name_space = options.name_space,
                                       .label_selector = options.label_selector,
                                       .field_selector = options.field_selector,
                                       .resource_version = version,
                                       .timeout = options.watch_timeout,
                                       .stop = stop.get_token()});
    absl::Status end = watch.status();
    if (watch.ok()) {
      SetFresh(true);
      end = Follow(**watch, version, events);
    }
    const bool worked =
        watch.ok() && (events > 0 || ExecutionNow() - opened > kShortestWatch);
    ever_worked |= worked;
    if (worked) backoff.Reset();
    if (end.code() == absl::StatusCode::kOutOfRange) break;
    if (worked) continue;
    SetFresh(false);
    Pause(end);
  }
  return ever_worked;
}

absl::Status ReflectorLoop::State::Follow(WatchStream& watch,
                                          std::string& version, int& events) {
  const std::stop_callback cancel(stop.get_token(), [&] { watch.Cancel(); });
  while (true) {
    const auto event = watch.Next(kNextPatience);
    if (event.status().code() == absl::StatusCode::kDeadlineExceeded) continue;
    LATCHKEY_RETURN_IF_ERROR(event.status());
    LATCHKEY_ASSIGN_OR_RETURN(std::string next,
                              ResourceVersionOf(event->object));
    ++events;
    callbacks.on_event(*event, next);
    if (!next.empty()) version = std::move(next);
  }
}

void ReflectorLoop::State::Pause(const absl::Status& error) {
  if (stopped()) return;
  LogEvent(LogLevel::kWarning, "list or watch failed",
           {{"resource", std::string(resource.plural)},
            {"status", error.ToString()}});
  const absl::Time until = ExecutionNow() + backoff.Next(error);
  const MutexLock lock(mutex);
  while (!stopped()) {
    const absl::Duration left = until - ExecutionNow();
    if (left <= absl::ZeroDuration()) return;
    stopping.WaitFor(mutex, left);
  }
}

ReflectorLoop::ReflectorLoop(KubernetesClient& client, const Resource& resource,
                             Options options, Callbacks callbacks)
    : state_(std::make_unique<State>(client, resource, std::move(options),
                                     std::move(callbacks))) {}

ReflectorLoop::~ReflectorLoop() = default;

void ReflectorLoop::Run() {
  while (!state_->stopped()) {
    auto version = state_->List();
    bool worked = false;
    if (version.ok()) {
      state_->SetFresh(true);
      worked = state_->Watch(*std::move(version));
    }
    state_->SetFresh(false);
    // Also if a new list's version is forgotten at once: not in a busy loop.
    if (!worked) state_->Pause(version.status());
  }
}

void ReflectorLoop::Stop() {
  state_->stop.request_stop();
  const MutexLock lock(state_->mutex);
  state_->stopping.SignalAll();
}

bool ReflectorLoop::fresh() const { return state_->fresh; }

}  // namespace latchkey
