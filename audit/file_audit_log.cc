#include "audit/file_audit_log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "core/version.h"

namespace latchkey {
namespace {

constexpr mode_t kOwnerOnly = 0600;

absl::Status ErrnoError(std::string_view path, std::string_view what) {
  return absl::UnavailableError(fmt::format(
      "{}: {}: {}", path, what, std::generic_category().message(errno)));
}

absl::Status Unusable(const absl::Status& status) {
  return absl::InvalidArgumentError(std::string(status.message()));
}

}  // namespace

// An open file; knows which file it is.
class FileAuditLog::Descriptor {
 public:
  // Errors as FileAuditLog::Open's.
  static absl::StatusOr<std::unique_ptr<Descriptor>> Open(
      const std::string& path) {
    const int fd =
        open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, kOwnerOnly);
    if (fd < 0) return Unusable(ErrnoError(path, "cannot open"));
    auto file = std::make_unique<Descriptor>(fd);
    if (file->IsRegular() && flock(fd, LOCK_EX | LOCK_NB) != 0) {
      return absl::UnavailableError(
          fmt::format("{}: another broker writes to it; each needs a file of "
                      "its own",
                      path));
    }
    return file;
  }

  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(fd_); }

  int get() const { return fd_; }
  bool IsRegular() const {
    struct stat found = {};
    return fstat(fd_, &found) == 0 && S_ISREG(found.st_mode);
  }
  bool IsAt(const std::string& path) const {
    struct stat own = {};
    struct stat there = {};
    return fstat(fd_, &own) == 0 && stat(path.c_str(), &there) == 0 &&
           own.st_dev == there.st_dev && own.st_ino == there.st_ino;
  }
  off_t Size() const {
    struct stat found = {};
    return fstat(fd_, &found) == 0 ? found.st_size : 0;
  }

 private:
  const int fd_;
};

namespace {

// Makes a new file's name durable; what cannot is no reason to stop.
void SyncFolderOf(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

absl::Status WriteAll(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return ErrnoError(path, "cannot write");
    text.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// The end of the file, from a place before its last whole line; all of it, if
// it is short.
absl::StatusOr<std::string> ReadTail(int fd, off_t size,
                                     const std::string& path) {
  // A whole line, and a torn one after it.
  constexpr off_t kMost = 2 * static_cast<off_t>(kMaxAuditLineBytes) + 2;
  const off_t from = std::max<off_t>(0, size - kMost);
  std::string tail(static_cast<size_t>(size - from), '\0');
  size_t got = 0;
  while (got < tail.size()) {
    const ssize_t n = pread(fd, tail.data() + got, tail.size() - got,
                            from + static_cast<off_t>(got));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return ErrnoError(path, "cannot read");
    got += static_cast<size_t>(n);
  }
  return tail;
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileAuditLog>> FileAuditLog::Open(
    Options options, const Clock& clock) {
  std::unique_ptr<FileAuditLog> log(
      new FileAuditLog(std::move(options), clock));
  LATCHKEY_RETURN_IF_ERROR(log->Start());
  return log;
}

FileAuditLog::FileAuditLog(Options options, const Clock& clock)
    : options_(std::move(options)),
      to_stderr_(options_.file == "stderr"),
      clock_(clock) {}

FileAuditLog::~FileAuditLog() = default;

absl::Status FileAuditLog::Start() {
  size_t torn = 0;
  if (to_stderr_) {
    file_ =
        std::make_unique<Descriptor>(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
  } else {
    LATCHKEY_ASSIGN_OR_RETURN(file_, Descriptor::Open(options_.file));
    SyncFolderOf(options_.file);
    LATCHKEY_ASSIGN_OR_RETURN(torn, ReadEnd());
  }
  AuditEvent start{.action = "audit.start", .facts = {{"version", kVersion}}};
  if (torn > 0) start.facts["torn_bytes"] = std::to_string(torn);
  Record(start).IgnoreError();
  if (failing_) {
    return absl::InvalidArgumentError(
        fmt::format("{}: the audit log cannot be written", options_.file));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> FileAuditLog::ReadEnd() {
  if (!file_->IsRegular()) return 0;
  const off_t size = file_->Size();
  auto tail = ReadTail(file_->get(), size, options_.file);
  if (!tail.ok()) return Unusable(tail.status());
  const size_t end = tail->rfind('\n');
  const size_t torn =
      end == std::string::npos ? tail->size() : tail->size() - end - 1;
  const auto no_log = [this](std::string_view why) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: its last line is no audit record ({}); move the file away",
        options_.file, why));
  };
  if (torn > kMaxAuditLineBytes) return no_log("too long");
  if (end != std::string::npos) {
    const size_t before = end == 0 ? end : tail->rfind('\n', end - 1);
    const size_t begin =
        before == std::string::npos || end == 0 ? 0 : before + 1;
    const auto last =
        ParseAuditLine(std::string_view(*tail).substr(begin, end - begin));
    if (!last.ok()) return no_log(std::string(last.status().message()));
    const MutexLock lock(mutex_);
    head_ = {.sequence = last->sequence, .hash = last->hash};
  } else if (torn > 0 && tail->substr(0, 5) != R"({"v":)") {
    return no_log("not ours");
  }
  if (torn > 0 &&
      ftruncate(file_->get(), size - static_cast<off_t>(torn)) != 0) {
    return Unusable(ErrnoError(options_.file, "cannot cut off a torn line"));
  }
  return torn;
}

absl::Status FileAuditLog::RecordAll(const std::vector<AuditEvent>& events) {
  Waiting own{.events = &events};
  {
    const MutexLock lock(mutex_);
    pending_.push_back(&own);
    while (!own.done && writing_) wake_.Wait(mutex_);
    if (own.done) return own.result;
    writing_ = true;
  }
  WriteTogether();
  return own.result;
}

absl::Status FileAuditLog::Ready() {
  if (!failing_ || !options_.fail_closed) return absl::OkStatus();
  return RecordAll({});
}

AuditHead FileAuditLog::head() const {
  const MutexLock lock(mutex_);
  return head_;
}

void FileAuditLog::WriteTogether() {
  std::vector<Waiting*> batch;
  {
    const MutexLock lock(mutex_);
    batch.swap(pending_);
  }
  const absl::Status written = Write(batch);
  const MutexLock lock(mutex_);
  for (Waiting* one : batch) {
    one->result = written;
    one->done = true;
  }
  writing_ = false;
  wake_.SignalAll();
}

absl::Status FileAuditLog::Write(const std::vector<Waiting*>& batch) {
  AuditHead head = this->head();
  const absl::Time now = clock_.Now();
  std::string text;
  size_t count = 0;
  const auto add = [&](const AuditEvent& event) {
    text.append(EncodeAuditLine(event, now, head)).push_back('\n');
  };
  if (failing_) {
    add({.action = "audit.resume", .facts = {{"lost", std::to_string(lost_)}}});
  }
  for (const Waiting* one : batch) {
    for (const AuditEvent& event : *one->events) add(event);
    count += one->events->size();
  }
  absl::Status written = ReopenIfMoved();
  if (written.ok() && !text.empty()) written = Append(text);
  if (written.ok()) {
    failing_ = false;
    lost_ = 0;
    const MutexLock lock(mutex_);
    head_ = std::move(head);
    return absl::OkStatus();
  }
  // Who only asks whether it can be written is told of it once.
  const bool news = !failing_.exchange(true);
  lost_ += count;
  if (options_.on_lost && (count > 0 || news)) options_.on_lost(count, written);
  if (!options_.fail_closed) return absl::OkStatus();
  return Refuse(absl::StatusCode::kUnavailable, reason::kAuditUnavailable,
                "the audit log cannot be written; try again");
}

absl::Status FileAuditLog::ReopenIfMoved() {
  if (to_stderr_ || file_->IsAt(options_.file)) return absl::OkStatus();
  LATCHKEY_ASSIGN_OR_RETURN(std::unique_ptr<Descriptor> next,
                            Descriptor::Open(options_.file));
  if (next->Size() > 0) {
    return absl::UnavailableError(
        fmt::format("{}: another file has been put into the place of the audit "
                    "log, and it is not empty",
                    options_.file));
  }
  SyncFolderOf(options_.file);
  file_ = std::move(next);
  torn_at_.reset();
  return absl::OkStatus();
}

absl::Status FileAuditLog::Append(const std::string& text) {
  const int fd = file_->get();
  const bool whole_lines = !to_stderr_ && file_->IsRegular();
  if (torn_at_.has_value()) {
    if (ftruncate(fd, *torn_at_) != 0) {
      return ErrnoError(options_.file, "cannot cut off a torn line");
    }
    torn_at_.reset();
  }
  const off_t before = file_->Size();
  absl::Status done = WriteAll(fd, text, options_.file);
  if (done.ok() && options_.fsync && whole_lines && fdatasync(fd) != 0) {
    done = ErrnoError(options_.file, "cannot sync");
  }
  // All or nothing: the callers are told that it is not there.
  if (!done.ok() && whole_lines && ftruncate(fd, before) != 0) {
    torn_at_ = before;
  }
  return done;
}

}  // namespace latchkey
