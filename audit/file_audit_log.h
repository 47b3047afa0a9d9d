// The audit log in a file (or on standard error): lines of audit/audit_record.h
// that are on the disk when Record() says so.

#ifndef LATCHKEY_AUDIT_FILE_AUDIT_LOG_H_
#define LATCHKEY_AUDIT_FILE_AUDIT_LOG_H_

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "audit/audit_log.h"
#include "audit/audit_record.h"
#include "core/clock.h"
#include "core/mutex.h"

namespace latchkey {

// Safe for concurrent use. Callers that come together share one write and one
// fsync.
//
// The file may be renamed while this runs: the next record goes into a new file
// of the old name, and the chain goes on there. It may also be copied and cut.
// While records cannot be written (a full disk), each call tries again, and the
// first that succeeds is preceded by a record "audit.resume" that says how many
// are missing.
class FileAuditLog final : public AuditLog {
 public:
  struct Options {
    // A path, or "stderr".
    std::string file;
    // Wait for the disk. Without, a power cut may take the last records.
    bool fsync = true;
    // A record that cannot be written is AUDIT_UNAVAILABLE; else it is lost.
    bool fail_closed = true;
    // Called with how many records could not be written, and why.
    std::function<void(size_t records, const absl::Status& why)> on_lost;
  };

  // Opens the file, 0600 if it is made, and goes on with the chain after its
  // last whole line. A torn line after that (the machine died while it was
  // written) is cut off. The first record of each start is "audit.start".
  //
  // kInvalidArgument: the file cannot be used, or does not end with an audit
  // record. kUnavailable: another broker writes to it. `clock` must outlive
  // this.
  static absl::StatusOr<std::unique_ptr<FileAuditLog>> Open(Options options,
                                                            const Clock& clock);
  ~FileAuditLog() override;

  absl::Status RecordAll(const std::vector<AuditEvent>& events) override;
  absl::Status Ready() override;

  // The last record that was written.
  AuditHead head() const;

 private:
  class Descriptor;
  struct Waiting {
    const std::vector<AuditEvent>* events;
    bool done = false;
    absl::Status result;
  };

  FileAuditLog(Options options, const Clock& clock);

  // Reads where the chain stands; answers the bytes of a torn line.
  absl::StatusOr<size_t> ReadEnd();
  absl::Status Start();

  // The rest is for the one thread that writes at a time.
  void WriteTogether();
  absl::Status Write(const std::vector<Waiting*>& batch);
  absl::Status ReopenIfMoved();
  absl::Status Append(const std::string& text);

  const Options options_;
  const bool to_stderr_;
  const Clock& clock_;

  mutable Mutex mutex_;
  CondVar wake_;
  std::vector<Waiting*> pending_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  AuditHead head_ ABSL_GUARDED_BY(mutex_);

  std::unique_ptr<Descriptor> file_;
  std::atomic<bool> failing_ = false;
  size_t lost_ = 0;
  // A write that failed left bytes from here on that could not be cut off.
  std::optional<off_t> torn_at_;
};

}  // namespace latchkey

#endif  // LATCHKEY_AUDIT_FILE_AUDIT_LOG_H_
