// What makes a batch the same batch when it is run again: a secret of its own,
// in a file. A request_id is half of a ticket, so it is derived from that
// secret, and from what is asked for, and is in no argument.

#ifndef LATCHKEY_CLIENTS_CTL_BATCH_ID_H_
#define LATCHKEY_CLIENTS_CTL_BATCH_ID_H_

#include <optional>
#include <string>

#include <absl/status/statusor.h>

#include "clients/files/durable_file.h"
#include "core/secret_string.h"
#include "latchkey/v1/token_broker.pb.h"

namespace latchkey {

class BatchId {
 public:
  // One that ends with the process.
  static BatchId Fresh();
  // The one in `path`, a file of mode 0600, which is made, durably, if it is
  // missing. Locked while this lives, by a file beside it: two runs of one
  // batch at a time would write the same files.
  //
  // kInvalidArgument: the file cannot be read or made, is no batch id, or
  // others may read it. kUnavailable: another run has it.
  static absl::StatusOr<BatchId> Load(const std::string& path);

  // The same for the same request, whatever stands around it in its file.
  SecretString RequestIdOf(const v1::IssueTokenRequest& request) const;

 private:
  BatchId(SecretString key, std::optional<FileLock> lock);

  SecretString key_;
  std::optional<FileLock> lock_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_BATCH_ID_H_
