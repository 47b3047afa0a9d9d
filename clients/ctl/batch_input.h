// The machines of a batch, from a CSV or a YAML file.

#ifndef LATCHKEY_CLIENTS_CTL_BATCH_INPUT_H_
#define LATCHKEY_CLIENTS_CTL_BATCH_INPUT_H_

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "latchkey/v1/token_broker.pb.h"

namespace latchkey {

struct BatchItem {
  // Where it stands, for people: "machines.csv:7".
  std::string where;
  // Without a request_id.
  v1::IssueTokenRequest request;
};

// CSV (RFC 4180): the first line names the columns, kIssueFieldNames of
// issue_request.h in any order, `node` among them. Empty lines are skipped.
//
// Every node name is one, and none comes twice: each will be the name of a
// file, and two tokens for one machine are a mistake. kInvalidArgument with all
// mistakes, a line each, up to 50.
absl::StatusOr<std::vector<BatchItem>> ParseBatchCsv(std::string_view name,
                                                     std::string_view text);

// YAML, up to ConfigDocument's limits: `tokens`, a list of mappings with the
// same names, in which group and label are lists. The same rules.
absl::StatusOr<std::vector<BatchItem>> ParseBatchYaml(std::string_view name,
                                                      std::string_view text);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_BATCH_INPUT_H_
