// Takes over the policy of broker.yaml when the file changes or somebody asks
// for it, while the broker runs.

#ifndef LATCHKEY_SERVER_POLICY_RELOAD_H_
#define LATCHKEY_SERVER_POLICY_RELOAD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/files/read_file.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "policy/live_policy.h"
#include "server/authentication_config.h"

namespace latchkey {

// All or nothing: a file with any mistake, in whatever part, or with a
// self-test that fails, changes nothing, and the policy in use stays. Of a good
// one, only `policy` and `policy_tests` are taken over; what else changed needs
// a restart, and the log says so. Identities are told by the `authentication`
// of the start until then, so the new policy is judged by that one: a rule for
// an attribute that it does not map is a mistake. Calls in hand are decided by
// the policy that they began with, and none waits for a reload.
//
// One thread calls Reload() and Poll(); counts() is safe from any.
class PolicyReload {
 public:
  // A change is taken over once the file has stayed as it is for so long: a
  // file written in place is not read half way.
  static constexpr absl::Duration kSettle = absl::Seconds(1);

  struct Counts {
    int64_t reloaded = 0;
    int64_t refused = 0;
    // The file as it is now is in use, as far as it has been looked at.
    bool current = true;
    // When the policy in use was read, and which it is: the first 16
    // hexadecimal digits of a SHA-256 of it, comments and layout aside.
    absl::Time loaded_at;
    std::string digest;
  };

  // `policy` was made of `text`, which `path` had at the start,
  // `authentication` is what it says of that, and `stamp` was taken before it
  // was read. Both references must outlive this.
  PolicyReload(std::string path, const std::string& text,
               const FileStamp& stamp, AuthenticationConfig authentication,
               LivePolicy& policy, const Clock& clock);

  // Reads the file now, changed or not. The error is logged, and answered for
  // tests: kInvalidArgument with every mistake, or as ReadFileBounded().
  absl::Status Reload();

  // Looks whether the file has changed (one stat), and reads it if it has, and
  // has settled. Replaced, written in place, and the swap of a symbolic link on
  // the way to it (a ConfigMap) all count. To be called a few times a second.
  void Poll();

  Counts counts() const;

  // `observer` is called with the digest of the policy in use, now and whenever
  // another one is; and with false when a file was refused. Before the first
  // Reload() or Poll().
  using Observer = std::function<void(bool in_use, const std::string& digest)>;
  void Observe(Observer observer);

 private:
  absl::Status TakeOver();
  void Use(Policy policy, const std::string& digest);
  void NoteOtherChanges(std::map<std::string, std::string> fields);
  void NoteRefusal(const absl::Status& status);

  void Tell(bool in_use) const;

  const std::string path_;
  LivePolicy& policy_;
  const Clock& clock_;
  // The fields of the file as it was at the start, and as it was last.
  const std::map<std::string, std::string> at_start_;
  const AuthenticationConfig authentication_;  // in force
  std::map<std::string, std::string> last_read_;
  // As the file was when it was read last; absent: to be read anyway.
  std::optional<FileStamp> read_;
  // As it was found different from that, and when.
  std::optional<FileStamp> changed_;
  absl::Time changed_at_;
  bool unreadable_ = false;
  Observer observer_;
  mutable Mutex mutex_;
  Counts counts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_POLICY_RELOAD_H_
