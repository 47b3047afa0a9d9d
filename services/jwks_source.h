// The keys of an issuer of JWTs, from where it publishes them.

#ifndef LATCHKEY_SERVICES_JWKS_SOURCE_H_
#define LATCHKEY_SERVICES_JWKS_SOURCE_H_

#include <memory>
#include <optional>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/files/read_file.h"
#include "clients/http/http_client.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "crypto/jwk_set.h"

namespace latchkey {

// Reads a JWK set from a file or over HTTPS, and again:
//   a file   whenever it has changed
//   a URL    when it was last read `refresh` ago, or a minute ago if the key
//   that
//            a token names is not in it; after a failure once a minute, or
//            every five seconds while there are no keys at all
// and keeps the last good set while that fails, which the log says.
//
// There is no thread: whoever finds that a read is due does it. Nobody else
// waits for it whose key is there; of the others only so many do, since
// strangers can make up names of keys, and an issuer can be slow.
//
// Safe for concurrent use.
class JwksSource {
 public:
  static constexpr absl::Duration kLeastInterval = absl::Minutes(1);
  static constexpr absl::Duration kFirstRetry = absl::Seconds(5);
  static constexpr absl::Duration kFetchTime = absl::Seconds(5);
  static constexpr int kMaxWaiting = 8;

  // Reads the file at once. kInvalidArgument, with its path, if it cannot be
  // used now. `clock` must outlive this.
  static absl::StatusOr<std::unique_ptr<JwksSource>> OfFile(std::string path,
                                                            const Clock& clock);
  // Asks nobody yet. `target` is the path of the set, "/keys", on the server of
  // `http`; `name` stands for it in the log.
  static std::unique_ptr<JwksSource> OfUrl(std::string name,
                                           std::unique_ptr<HttpClient> http,
                                           std::string target,
                                           absl::Duration refresh,
                                           const Clock& clock);

  // The key of JwkSet::Find, after what has to be read for it was read.
  // kUnauthenticated (UNAUTHENTICATED) if the issuer has no such key;
  // kUnavailable (ISSUER_UNAVAILABLE) if there never was a set, or kMaxWaiting
  // callers wait already for one that may have the key.
  absl::StatusOr<Jwk> Find(const Jws& token);

 private:
  JwksSource(std::string name, absl::Duration refresh, const Clock& clock)
      : name_(std::move(name)), refresh_(refresh), clock_(clock) {}

  // True if a read is due that nobody does yet: the caller has to do it. Waits
  // for a read that may bring the key; kUnavailable if too many do.
  absl::StatusOr<bool> BeginsToRead(const Jws& token);
  std::optional<Jwk> Lookup(const Jws& token) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether to read now; `missing`: the key that is wanted is not there.
  bool IsDue(bool missing) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Reads once. Without the lock: it may take long.
  absl::StatusOr<JwkSet> Read() const;
  // What was read, or why not; ends the read.
  void Take(absl::StatusOr<JwkSet> read) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string name_;  // of a file, its path
  const absl::Duration refresh_;
  const Clock& clock_;
  std::unique_ptr<HttpClient> http_;  // null: a file
  std::string target_;

  Mutex mutex_;
  CondVar read_done_;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<JwkSet> keys_ ABSL_GUARDED_BY(mutex_);
  absl::Time last_read_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool last_failed_ ABSL_GUARDED_BY(mutex_) = false;
  // What the file looked like before it was last read.
  std::optional<FileStamp> stamp_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_JWKS_SOURCE_H_
