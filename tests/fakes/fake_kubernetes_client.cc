#include "tests/fakes/fake_kubernetes_client.h"

#include <atomic>
#include <utility>

#include "core/status_macros.h"
#include "devcluster/api_server.h"
#include "devcluster/local_kubernetes_client.h"
#include "devcluster/object_store.h"

namespace latchkey_testing {

using ::google::protobuf::Message;
using ::latchkey::ListQuery;
using ::latchkey::MutexLock;
using ::latchkey::ObjectName;
using ::latchkey::RawWatchEvent;
using ::latchkey::Resource;
using ::latchkey::WatchQuery;
using ::latchkey::WatchStream;

namespace {

const latchkey::Clock& TheSystemClock() {
  static const latchkey::SystemClock clock;
  return clock;
}

// Who creates `object`.
latchkey::User CreatorOf(const Message& object) {
  const auto* csr =
      dynamic_cast<const latchkey::kubernetes::CertificateSigningRequest*>(
          &object);
  if (csr == nullptr || !csr->spec().has_username()) {
    return latchkey::AdminUser();
  }
  const auto& spec = csr->spec();
  return {.name = spec.username(),
          .groups = {spec.groups().begin(), spec.groups().end()}};
}

}  // namespace

struct FakeKubernetesClient::Server {
  explicit Server(const latchkey::Clock& clock) : api(*store, clock) {}

  const std::unique_ptr<latchkey::ObjectStore> store =
      latchkey::MakeMemoryObjectStore();
  latchkey::ApiServer api;
  const std::unique_ptr<latchkey::KubernetesClient> admin =
      latchkey::MakeLocalKubernetesClient(api, latchkey::AdminUser());
  std::atomic<int> open_watches = 0;
};

// Keeps the server alive, and counts.
class FakeKubernetesClient::Stream final : public WatchStream {
 public:
  Stream(std::shared_ptr<Server> server, std::unique_ptr<WatchStream> inner)
      : server_(std::move(server)), inner_(std::move(inner)) {
    ++server_->open_watches;
  }
  ~Stream() override { --server_->open_watches; }

  absl::StatusOr<RawWatchEvent> Next(absl::Duration timeout) override {
    return inner_->Next(timeout);
  }
  void Cancel() override { inner_->Cancel(); }

 private:
  const std::shared_ptr<Server> server_;
  const std::unique_ptr<WatchStream> inner_;
};

FakeKubernetesClient::FakeKubernetesClient()
    : FakeKubernetesClient(TheSystemClock()) {}

FakeKubernetesClient::FakeKubernetesClient(const latchkey::Clock& clock)
    : server_(std::make_shared<Server>(clock)) {}

FakeKubernetesClient::~FakeKubernetesClient() = default;

void FakeKubernetesClient::FailNext(Verb verb, int nth, absl::Status error,
                                    Effect effect) {
  const MutexLock lock(mutex_);
  armed_.push_back({verb, nth, std::move(error), effect, nullptr});
}

void FakeKubernetesClient::BeforeNext(Verb verb, int nth,
                                      std::function<void()> action) {
  const MutexLock lock(mutex_);
  armed_.push_back(
      {verb, nth, absl::OkStatus(), Effect::kDone, std::move(action)});
}

int FakeKubernetesClient::Calls(Verb verb) const {
  const MutexLock lock(mutex_);
  const auto calls = calls_.find(verb);
  return calls == calls_.end() ? 0 : calls->second;
}

void FakeKubernetesClient::AnswerReview(
    std::function<absl::Status(Message& review)> answer) {
  const MutexLock lock(mutex_);
  review_ = std::move(answer);
}

void FakeKubernetesClient::ForgetHistory() { server_->store->ForgetHistory(); }
void FakeKubernetesClient::EndWatches() { server_->api.EndWatches(); }
void FakeKubernetesClient::SendBookmarks() { server_->api.SendBookmarks(); }
int FakeKubernetesClient::OpenWatches() const { return server_->open_watches; }

absl::Status FakeKubernetesClient::Perform(
    Verb verb, const std::function<absl::Status()>& done) {
  std::vector<Armed> due;
  {
    const MutexLock lock(mutex_);
    ++calls_[verb];
    std::erase_if(armed_, [&](Armed& armed) {
      if (armed.verb != verb || --armed.countdown > 0) return false;
      due.push_back(std::move(armed));
      return true;
    });
  }
  const Armed* failure = nullptr;
  for (const Armed& armed : due) {
    if (armed.action != nullptr) armed.action();
    if (!armed.error.ok() && failure == nullptr) failure = &armed;
  }
  if (failure == nullptr) return done();
  if (failure->effect == Effect::kDone) {
    done().IgnoreError();  // the answer is what gets lost
  }
  return failure->error;
}

absl::Status FakeKubernetesClient::CreateObject(const Resource& resource,
                                                std::string_view name_space,
                                                const Message& object,
                                                Message& result) {
  std::unique_ptr<Message> stored(object.New());
  std::function<absl::Status(Message&)> answer;
  if (resource.kind.ends_with("Review")) {
    const MutexLock lock(mutex_);
    answer = review_;
  }
  LATCHKEY_RETURN_IF_ERROR(Perform(Verb::kCreate, [&] {
    if (answer != nullptr) {
      stored->CopyFrom(object);
      return answer(*stored);
    }
    return latchkey::MakeLocalKubernetesClient(server_->api, CreatorOf(object))
        ->CreateObject(resource, name_space, object, *stored);
  }));
  result.CopyFrom(*stored);
  return absl::OkStatus();
}

absl::Status FakeKubernetesClient::GetObject(const Resource& resource,
                                             const ObjectName& name,
                                             Message& result) {
  return Perform(Verb::kGet, [&] {
    return server_->admin->GetObject(resource, name, result);
  });
}

absl::Status FakeKubernetesClient::UpdateObject(const Resource& resource,
                                                const ObjectName& name,
                                                std::string_view subresource,
                                                const Message& object,
                                                Message& result) {
  std::unique_ptr<Message> stored(object.New());
  LATCHKEY_RETURN_IF_ERROR(Perform(Verb::kUpdate, [&] {
    return server_->admin->UpdateObject(resource, name, subresource, object,
                                        *stored);
  }));
  result.CopyFrom(*stored);
  return absl::OkStatus();
}

absl::Status FakeKubernetesClient::DeleteObject(
    const Resource& resource, const ObjectName& name,
    const latchkey::DeletePreconditions& expected) {
  return Perform(Verb::kDelete, [&] {
    return server_->admin->DeleteObject(resource, name, expected);
  });
}

absl::Status FakeKubernetesClient::ListObjects(const Resource& resource,
                                               const ListQuery& query,
                                               Message& list) {
  if (query.stop.stop_requested()) return absl::CancelledError("stopped");
  return Perform(Verb::kList, [&] {
    return server_->admin->ListObjects(resource, query, list);
  });
}

absl::StatusOr<std::unique_ptr<WatchStream>> FakeKubernetesClient::WatchObjects(
    const Resource& resource, const WatchQuery& query) {
  if (query.stop.stop_requested()) return absl::CancelledError("stopped");
  std::unique_ptr<WatchStream> stream;
  LATCHKEY_RETURN_IF_ERROR(Perform(Verb::kWatch, [&]() -> absl::Status {
    LATCHKEY_ASSIGN_OR_RETURN(auto watch,
                              server_->admin->WatchObjects(resource, query));
    stream = std::make_unique<Stream>(server_, std::move(watch));
    return absl::OkStatus();
  }));
  return stream;
}

}  // namespace latchkey_testing
