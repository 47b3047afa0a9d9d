// How a run of latchkey-join ended, and the lines in which it says so.

#ifndef LATCHKEY_CLIENTS_NODE_JOIN_REPORT_H_
#define LATCHKEY_CLIENTS_NODE_JOIN_REPORT_H_

#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/node/node_joiner.h"

namespace latchkey {

// The program's exit codes; they are stable.
enum class JoinVerdict {
  kJoined = 0,            // now, or before
  kError = 1,             // this machine's files, or a bug
  kBadConfiguration = 2,  // mend it
  kRefused = 3,           // the same will be refused again
  kTryAgain = 4,          // run it again
};

JoinVerdict VerdictOf(const absl::Status& status);
// "joined", "refused", …
std::string_view VerdictName(JoinVerdict verdict);

enum class ReportFormat { kText, kJson };

// One line, with its end. Control characters in what others said are replaced,
// or a broker's message could paint a terminal.
std::string ReportLine(ReportFormat format, const JoinProgress& progress,
                       absl::Time now);
std::string VerdictLine(ReportFormat format, std::string_view node_name,
                        const absl::StatusOr<JoinResult>& result,
                        absl::Time now);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_NODE_JOIN_REPORT_H_
