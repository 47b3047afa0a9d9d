// A KubernetesClient of an embedded control plane of its own (devcluster/), in
// memory, whose requests can be made to fail.
//
// It acts as an administrator, with one exception: a CSR that names a requester
// in its spec is created as by that user, in the groups that it names, so that
// a test can stand in for any requester. There are no controllers: nobody
// signs, nothing expires. Bookmarks come when SendBookmarks() is called, and
// when a watch ends at its time.

#ifndef LATCHKEY_TESTS_FAKES_FAKE_KUBERNETES_CLIENT_H_
#define LATCHKEY_TESTS_FAKES_FAKE_KUBERNETES_CLIENT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "core/clock.h"
#include "core/mutex.h"

namespace latchkey_testing {

enum class Verb { kCreate, kGet, kUpdate, kDelete, kList, kWatch };

// Safe for concurrent use.
class FakeKubernetesClient final : public latchkey::KubernetesClient {
 public:
  FakeKubernetesClient();
  // creationTimestamps are `clock`'s, which must outlive this.
  explicit FakeKubernetesClient(const latchkey::Clock& clock);
  ~FakeKubernetesClient() override;

  // Whether a request that fails was done all the same, and only its answer
  // was lost.
  enum class Effect { kNotDone, kDone };
  // Makes the `nth` next request of `verb` fail with `error`: 1 is the next.
  // Each call arms one failure of its own.
  void FailNext(Verb verb, int nth, absl::Status error,
                Effect effect = Effect::kNotDone);
  // Runs `action` just before the `nth` next request of `verb` is done, outside
  // of any lock: where a test lets another party step in.
  void BeforeNext(Verb verb, int nth, std::function<void()> action);
  // How many requests of `verb` were made, failed ones included.
  int Calls(Verb verb) const;

  // Answers to created reviews, in place of the server's: `answer` fills the
  // object in. Set it before the first one.
  void AnswerReview(
      std::function<absl::Status(google::protobuf::Message& review)> answer);

  // Forgets the history: to watch from before now is kOutOfRange from here on,
  // also in open watches, which have to be opened anew.
  void ForgetHistory();
  // Ends all open watches, as a server that restarts would.
  void EndWatches();
  // Sends a bookmark with the current version to every open watch.
  void SendBookmarks();
  // How many watches are open.
  int OpenWatches() const;

  absl::Status CreateObject(const latchkey::Resource& resource,
                            std::string_view name_space,
                            const google::protobuf::Message& object,
                            google::protobuf::Message& result) override;
  absl::Status GetObject(const latchkey::Resource& resource,
                         const latchkey::ObjectName& name,
                         google::protobuf::Message& result) override;
  absl::Status UpdateObject(const latchkey::Resource& resource,
                            const latchkey::ObjectName& name,
                            std::string_view subresource,
                            const google::protobuf::Message& object,
                            google::protobuf::Message& result) override;
  absl::Status DeleteObject(
      const latchkey::Resource& resource, const latchkey::ObjectName& name,
      const latchkey::DeletePreconditions& expected) override;
  absl::Status ListObjects(const latchkey::Resource& resource,
                           const latchkey::ListQuery& query,
                           google::protobuf::Message& list) override;
  absl::StatusOr<std::unique_ptr<latchkey::WatchStream>> WatchObjects(
      const latchkey::Resource& resource,
      const latchkey::WatchQuery& query) override;

 private:
  struct Server;
  class Stream;
  struct Armed {
    Verb verb;
    int countdown;
    absl::Status error;
    Effect effect;
    std::function<void()> action;
  };

  // What armed failures and actions make of a request; `done` does the request
  // itself.
  absl::Status Perform(Verb verb, const std::function<absl::Status()>& done);

  // Shared with the open watches.
  const std::shared_ptr<Server> server_;
  mutable latchkey::Mutex mutex_;
  std::vector<Armed> armed_ ABSL_GUARDED_BY(mutex_);
  std::map<Verb, int> calls_ ABSL_GUARDED_BY(mutex_);
  std::function<absl::Status(google::protobuf::Message&)> review_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_FAKES_FAKE_KUBERNETES_CLIENT_H_
