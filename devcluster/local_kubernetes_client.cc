#include "devcluster/local_kubernetes_client.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include <absl/time/time.h>
#include <fmt/format.h>

#include "clients/kubernetes/kubernetes_status.h"
#include "clients/kubernetes/object_meta.h"
#include "clients/kubernetes/request_path.h"
#include "core/mutex.h"
#include "core/status_macros.h"
#include "devcluster/api_error.h"

namespace latchkey {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using SteadyClock = std::chrono::steady_clock;

std::string Describe(std::string_view verb, const Resource& resource,
                     std::string_view name_space, std::string_view name) {
  return fmt::format("{} {} {}{}{}", verb, resource.plural, name_space,
                     name_space.empty() ? "" : "/", name);
}

// The error as a client sees it that got it as an answer to `what`.
absl::Status AsAnswerTo(std::string_view what, const absl::Status& error) {
  return StatusOfKubernetes(KubernetesStatusOf(error), what);
}

void CopyTo(const StoredObject& object, Message& result) {
  if (result.GetDescriptor() == object->message().GetDescriptor()) {
    result.CopyFrom(object->message());
  } else {
    // Another view of the same bytes, as it would come over HTTP.
    result.ParseFromString(object->encoded());
  }
}

void FillIn(const ObjectPage& page, Message& list) {
  list.Clear();
  const auto* descriptor = list.GetDescriptor();
  const auto* reflection = list.GetReflection();
  auto& metadata =
      static_cast<kubernetes::ListMeta&>(*reflection->MutableMessage(
          &list, descriptor->FindFieldByName("metadata")));
  metadata.set_resource_version(page.resource_version);
  if (!page.continue_token.empty()) {
    metadata.set_continue_(page.continue_token);
  }
  if (page.remaining > 0) metadata.set_remaining_item_count(page.remaining);
  const FieldDescriptor* items = descriptor->FindFieldByName("items");
  for (const StoredObject& object : page.items) {
    CopyTo(object, *reflection->AddMessage(&list, items));
  }
}

// What a watch's listener wakes: shared with the listener, so that it may come
// at any time.
struct WakeUp {
  Mutex mutex;
  CondVar changed;
  bool due ABSL_GUARDED_BY(mutex) = false;
  bool cancelled ABSL_GUARDED_BY(mutex) = false;
};

class LocalWatchStream final : public WatchStream {
 public:
  LocalWatchStream(std::shared_ptr<WakeUp> wake_up,
                   std::unique_ptr<ApiWatch> watch, std::string what,
                   absl::Duration lifetime)
      : wake_up_(std::move(wake_up)),
        watch_(std::move(watch)),
        what_(std::move(what)),
        end_(After(lifetime)) {}

  absl::StatusOr<RawWatchEvent> Next(absl::Duration timeout) override {
    const SteadyClock::time_point deadline = After(timeout);
    while (true) {
      if (TakeDue()) return absl::CancelledError(what_ + ": cancelled");
      auto change = watch_->Poll();
      if (absl::IsUnavailable(change.status())) {
        return absl::UnavailableError(what_ + ": the watch has ended");
      }
      if (!change.ok()) return AsAnswerTo(what_, change.status());
      if (*change) {
        return RawWatchEvent{(*change)->type, (*change)->object->encoded()};
      }
      const auto now = SteadyClock::now();
      // The server's clock may stand still; the stream ends all the same.
      if (now >= end_) {
        return absl::UnavailableError(what_ + ": the watch has ended");
      }
      if (now >= deadline) {
        return absl::DeadlineExceededError(what_ + ": no event in time");
      }
      WaitUntil(std::min(deadline, end_));
    }
  }

  void Cancel() override {
    const MutexLock lock(wake_up_->mutex);
    wake_up_->cancelled = true;
    wake_up_->changed.SignalAll();
  }

 private:
  static SteadyClock::time_point After(absl::Duration duration) {
    // A year will do for ever.
    const absl::Duration bounded =
        std::clamp(duration, absl::ZeroDuration(), absl::Hours(24 * 365));
    return SteadyClock::now() +
           std::chrono::duration_cast<SteadyClock::duration>(
               absl::ToChronoNanoseconds(bounded));
  }
  // Whether it was cancelled. What comes after this is waited for.
  bool TakeDue() {
    const MutexLock lock(wake_up_->mutex);
    wake_up_->due = false;
    return wake_up_->cancelled;
  }
  void WaitUntil(SteadyClock::time_point until) {
    const MutexLock lock(wake_up_->mutex);
    while (!wake_up_->due && !wake_up_->cancelled) {
      const auto left = until - SteadyClock::now();
      if (left <= SteadyClock::duration::zero()) return;
      wake_up_->changed.WaitFor(wake_up_->mutex, absl::FromChrono(left));
    }
  }

  const std::shared_ptr<WakeUp> wake_up_;
  const std::unique_ptr<ApiWatch> watch_;
  const std::string what_;
  const SteadyClock::time_point end_;
};

class LocalKubernetesClient final : public KubernetesClient {
 public:
  LocalKubernetesClient(ApiServer& server, User user)
      : server_(server), user_(std::move(user)) {}

  absl::Status CreateObject(const Resource& resource,
                            std::string_view name_space, const Message& object,
                            Message& result) override {
    const auto what = [&] {
      return Describe("create", resource, name_space,
                      ObjectMetaOf(object).name());
    };
    if (resource.namespaced && name_space.empty()) {
      return absl::InvalidArgumentError(what() + ": it needs a namespace");
    }
    LATCHKEY_RETURN_IF_ERROR(CheckCollectionPath(resource, name_space));
    return Answer(what, server_.Create(user_, resource, name_space, object),
                  &result);
  }

  absl::Status GetObject(const Resource& resource, const ObjectName& name,
                         Message& result) override {
    LATCHKEY_RETURN_IF_ERROR(CheckObjectPath(resource, name, ""));
    return Answer(
        [&] { return Describe("get", resource, name.name_space, name.name); },
        server_.Get(user_, resource, name), &result);
  }

  absl::Status UpdateObject(const Resource& resource, const ObjectName& name,
                            std::string_view subresource, const Message& object,
                            Message& result) override {
    LATCHKEY_RETURN_IF_ERROR(CheckObjectPath(resource, name, subresource));
    return Answer(
        [&] {
          return Describe("update", resource, name.name_space, name.name);
        },
        server_.Update(user_, resource, name, subresource, object), &result);
  }

  absl::Status DeleteObject(const Resource& resource, const ObjectName& name,
                            const DeletePreconditions& expected) override {
    LATCHKEY_RETURN_IF_ERROR(CheckObjectPath(resource, name, ""));
    return Answer(
        [&] {
          return Describe("delete", resource, name.name_space, name.name);
        },
        server_.Delete(user_, resource, name, expected), nullptr);
  }

  absl::Status ListObjects(const Resource& resource, const ListQuery& query,
                           Message& list) override {
    const std::string what = Describe("list", resource, query.name_space, "");
    if (query.stop.stop_requested()) {
      return absl::CancelledError(what + ": stopped");
    }
    LATCHKEY_RETURN_IF_ERROR(CheckCollectionPath(resource, query.name_space));
    const auto page = server_.List(user_, resource, query);
    if (!page.ok()) return AsAnswerTo(what, page.status());
    FillIn(*page, list);
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<WatchStream>> WatchObjects(
      const Resource& resource, const WatchQuery& query) override {
    std::string what = Describe("watch", resource, query.name_space, "");
    if (query.stop.stop_requested()) {
      return absl::CancelledError(what + ": stopped");
    }
    LATCHKEY_RETURN_IF_ERROR(CheckCollectionPath(resource, query.name_space));
    auto wake_up = std::make_shared<WakeUp>();
    auto watch =
        server_.Watch(user_, resource, {.query = query, .listener = [wake_up] {
                                          const MutexLock lock(wake_up->mutex);
                                          wake_up->due = true;
                                          wake_up->changed.SignalAll();
                                        }});
    if (!watch.ok()) return AsAnswerTo(what, watch.status());
    return std::make_unique<LocalWatchStream>(
        std::move(wake_up), *std::move(watch), std::move(what), query.timeout);
  }

 private:
  // `what` says what was asked, for an error.
  template <typename What>
  static absl::Status Answer(const What& what,
                             const absl::StatusOr<StoredObject>& answer,
                             Message* result) {
    if (!answer.ok()) return AsAnswerTo(what(), answer.status());
    if (result != nullptr) CopyTo(*answer, *result);
    return absl::OkStatus();
  }

  ApiServer& server_;
  const User user_;
};

}  // namespace

std::unique_ptr<KubernetesClient> MakeLocalKubernetesClient(ApiServer& server,
                                                            User user) {
  return std::make_unique<LocalKubernetesClient>(server, std::move(user));
}

}  // namespace latchkey
