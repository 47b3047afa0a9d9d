#include "services/jwks_source.h"

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "clients/log/event_log.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

std::optional<FileStamp> LookAt(const std::string& path) {
  const auto stamp = StampOfFile(path);
  return stamp.ok() ? std::optional(*stamp) : std::nullopt;
}

absl::Status Unavailable(std::string_view why) {
  return WithRetryAfter(
      Refuse(absl::StatusCode::kUnavailable, reason::kIssuerUnavailable,
             fmt::format("the keys of the bearer token's issuer {}", why)),
      JwksSource::kFirstRetry);
}

}  // namespace

absl::StatusOr<std::unique_ptr<JwksSource>> JwksSource::OfFile(
    std::string path, const Clock& clock) {
  std::unique_ptr<JwksSource> source(
      new JwksSource(std::move(path), absl::InfiniteDuration(), clock));
  const MutexLock lock(source->mutex_);
  source->stamp_ = LookAt(source->name_);
  absl::StatusOr<JwkSet> keys = source->Read();
  if (!keys.ok()) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: {}", source->name_, std::string(keys.status().message())));
  }
  source->keys_ = *std::move(keys);
  return source;
}

std::unique_ptr<JwksSource> JwksSource::OfUrl(std::string name,
                                              std::unique_ptr<HttpClient> http,
                                              std::string target,
                                              absl::Duration refresh,
                                              const Clock& clock) {
  std::unique_ptr<JwksSource> source(
      new JwksSource(std::move(name), refresh, clock));
  source->http_ = std::move(http);
  source->target_ = std::move(target);
  return source;
}

absl::StatusOr<Jwk> JwksSource::Find(const Jws& token) {
  LATCHKEY_ASSIGN_OR_RETURN(const bool reads, BeginsToRead(token));
  if (reads) {
    absl::StatusOr<JwkSet> read = Read();
    const MutexLock lock(mutex_);
    Take(std::move(read));
  }
  const MutexLock lock(mutex_);
  if (auto key = Lookup(token)) return *std::move(key);
  if (!keys_.has_value()) {
    return Unavailable("cannot be fetched");
  }
  return Refuse(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated,
                "the bearer token's issuer has no such key");
}

absl::StatusOr<bool> JwksSource::BeginsToRead(const Jws& token) {
  const MutexLock lock(mutex_);
  // Whoever reads them now may bring the key.
  while (reading_ && !Lookup(token).has_value()) {
    if (waiting_ == kMaxWaiting) return Unavailable("are being fetched");
    ++waiting_;
    read_done_.Wait(mutex_);
    --waiting_;
  }
  if (reading_ || !IsDue(!Lookup(token).has_value())) return false;
  reading_ = true;
  return true;
}

std::optional<Jwk> JwksSource::Lookup(const Jws& token) const {
  const Jwk* key = keys_.has_value() ? keys_->Find(token) : nullptr;
  return key == nullptr ? std::nullopt : std::optional(*key);
}

bool JwksSource::IsDue(bool missing) {
  if (http_ == nullptr) {
    const std::optional<FileStamp> now = LookAt(name_);
    return std::exchange(stamp_, now) != now;
  }
  const absl::Duration age = clock_.Now() - last_read_;
  if (age < absl::ZeroDuration()) return true;  // the clock was set back
  if (!keys_.has_value()) return age >= kFirstRetry;
  return age >= (missing || last_failed_ ? kLeastInterval : refresh_);
}

absl::StatusOr<JwkSet> JwksSource::Read() const {
  if (http_ == nullptr) {
    LATCHKEY_ASSIGN_OR_RETURN(const std::string text,
                              ReadFileBounded(name_, JwkSet::kMaxBytes));
    return JwkSet::Parse(text);
  }
  HttpRequest request;
  request.target = target_;
  request.headers = {{"accept", "application/jwk-set+json, application/json"}};
  request.timeout = kFetchTime;
  request.max_response_bytes = JwkSet::kMaxBytes;
  LATCHKEY_ASSIGN_OR_RETURN(const HttpResponse response, http_->Send(request));
  if (response.status != 200) {
    return absl::UnavailableError(
        fmt::format("HTTP status {}", response.status));
  }
  return JwkSet::Parse(response.body);
}

void JwksSource::Take(absl::StatusOr<JwkSet> read) {
  reading_ = false;
  read_done_.SignalAll();
  last_read_ = clock_.Now();
  last_failed_ = !read.ok();
  if (read.ok()) {
    keys_ = *std::move(read);
  } else {
    LogEvent(LogLevel::kWarning, "issuer's keys not read",
             {{"from", name_}, {"status", read.status().ToString()}});
  }
}

}  // namespace latchkey
