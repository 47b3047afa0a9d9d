#include "tests/fakes/fake_kubernetes_client.h"

#include <utility>

#include "core/status_macros.h"
#include "tests/fakes/fake_api_server.h"

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

bool IsReview(const Resource& resource) {
  return resource.kind.ends_with("Review");
}

const latchkey::Clock& TheSystemClock() {
  static const latchkey::SystemClock clock;
  return clock;
}

class FakeWatchStream final : public WatchStream {
 public:
  FakeWatchStream(std::shared_ptr<FakeApiServer> server,
                  std::shared_ptr<FakeApiServer::Watch> watch)
      : server_(std::move(server)), watch_(std::move(watch)) {}
  ~FakeWatchStream() override { server_->CloseWatch(); }

  absl::StatusOr<RawWatchEvent> Next(absl::Duration timeout) override {
    return server_->NextEvent(*watch_, timeout);
  }
  void Cancel() override { server_->CancelWatch(*watch_); }

 private:
  const std::shared_ptr<FakeApiServer> server_;
  const std::shared_ptr<FakeApiServer::Watch> watch_;
};

}  // namespace

FakeKubernetesClient::FakeKubernetesClient()
    : FakeKubernetesClient(TheSystemClock()) {}

FakeKubernetesClient::FakeKubernetesClient(const latchkey::Clock& clock)
    : server_(std::make_shared<FakeApiServer>(clock)) {}

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

void FakeKubernetesClient::ForgetHistory() { server_->ForgetHistory(); }
void FakeKubernetesClient::EndWatches() { server_->EndWatches(); }
void FakeKubernetesClient::SendBookmarks() { server_->SendBookmarks(); }
int FakeKubernetesClient::OpenWatches() const { return server_->OpenWatches(); }

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
  LATCHKEY_RETURN_IF_ERROR(Perform(Verb::kCreate, [&] {
    if (!IsReview(resource)) {
      return server_->Create(resource, name_space, object, stored.get());
    }
    stored->CopyFrom(object);
    std::function<absl::Status(Message&)> answer;
    {
      const MutexLock lock(mutex_);
      answer = review_;
    }
    if (answer == nullptr) {
      return absl::UnimplementedError("no AnswerReview() was set");
    }
    return answer(*stored);
  }));
  result.CopyFrom(*stored);
  return absl::OkStatus();
}

absl::Status FakeKubernetesClient::GetObject(const Resource& resource,
                                             const ObjectName& name,
                                             Message& result) {
  return Perform(Verb::kGet,
                 [&] { return server_->Get(resource, name, result); });
}

absl::Status FakeKubernetesClient::UpdateObject(const Resource& resource,
                                                const ObjectName& name,
                                                std::string_view subresource,
                                                const Message& object,
                                                Message& result) {
  std::unique_ptr<Message> stored(object.New());
  LATCHKEY_RETURN_IF_ERROR(Perform(Verb::kUpdate, [&] {
    return server_->Update(resource, name, subresource, object, stored.get());
  }));
  result.CopyFrom(*stored);
  return absl::OkStatus();
}

absl::Status FakeKubernetesClient::DeleteObject(
    const Resource& resource, const ObjectName& name,
    const latchkey::DeletePreconditions& expected) {
  return Perform(Verb::kDelete,
                 [&] { return server_->Delete(resource, name, expected); });
}

absl::Status FakeKubernetesClient::ListObjects(const Resource& resource,
                                               const ListQuery& query,
                                               Message& list) {
  if (query.stop.stop_requested()) return absl::CancelledError("stopped");
  return Perform(Verb::kList,
                 [&] { return server_->List(resource, query, list); });
}

absl::StatusOr<std::unique_ptr<WatchStream>> FakeKubernetesClient::WatchObjects(
    const Resource& resource, const WatchQuery& query) {
  if (query.stop.stop_requested()) return absl::CancelledError("stopped");
  std::unique_ptr<WatchStream> stream;
  LATCHKEY_RETURN_IF_ERROR(Perform(Verb::kWatch, [&]() -> absl::Status {
    LATCHKEY_ASSIGN_OR_RETURN(auto watch, server_->OpenWatch(resource, query));
    stream = std::make_unique<FakeWatchStream>(server_, std::move(watch));
    return absl::OkStatus();
  }));
  return stream;
}

}  // namespace latchkey_testing
