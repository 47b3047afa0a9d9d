// Proves from audit files alone that nothing was altered, moved or taken out,
// and that no token bought two certificates.

#ifndef LATCHKEY_AUDIT_AUDIT_VERIFY_H_
#define LATCHKEY_AUDIT_AUDIT_VERIFY_H_

#include <cstddef>
#include <istream>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "audit/audit_record.h"

namespace latchkey {

// One file. The stream is read once, line by line.
struct AuditSource {
  std::string name;
  std::istream* stream;
};

struct AuditVerifyOptions {
  // Files whose beginning is missing (an older file was thrown away) are taken
  // as they are.
  bool allow_missing_start = false;
  // How far the clocks of replicas may be apart: orders what different files
  // say of one token.
  absl::Duration clock_skew = absl::Seconds(5);
};

struct AuditSummary {
  size_t records = 0;
  size_t approvals = 0;  // CSRs approved
  size_t tokens = 0;     // tokens of these CSRs
  // Of each chain, the last record and its file. Records cut off from the very
  // end of a chain leave no trace in it: compare this with what was noted
  // elsewhere.
  struct Chain {
    std::string file;
    AuditHead head;
  };
  std::vector<Chain> chains;
};

// Reads all files of all replicas, in any order; the files of one chain follow
// each other by their hashes. With "FILE:LINE: what" of the first violation:
// kDataLoss:
//   a line that is no record, or whose hash does not fit it;
//   a record that does not follow the one before; a torn last line;
//   no record at all, which is what is left of a log that was emptied;
// kNotFound: a chain whose beginning is not there;
// kAlreadyExists: one file twice;
// kFailedPrecondition:
//   csr.approve of a CSR, (a) without the token.reserve before it; (b) if
//   another CSR of the same token (id and UID) is approved too, and neither has
//   a token.release that may have come before the approval of the other; (c)
//   after 1000 others of the same token;
//   two different token.spend of one token; token.release of the CSR that the
//   token is spent on.
absl::StatusOr<AuditSummary> VerifyAudit(
    const std::vector<AuditSource>& files,
    const AuditVerifyOptions& options = {});

}  // namespace latchkey

#endif  // LATCHKEY_AUDIT_AUDIT_VERIFY_H_
