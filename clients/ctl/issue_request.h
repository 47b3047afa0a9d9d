// What one machine's token is asked for, as typed: in flags, a line of a CSV
// file or an item of a YAML file.

#ifndef LATCHKEY_CLIENTS_CTL_ISSUE_REQUEST_H_
#define LATCHKEY_CLIENTS_CTL_ISSUE_REQUEST_H_

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "latchkey/v1/token_broker.pb.h"

namespace latchkey {

struct IssueFields {
  std::string node_name;
  std::string delivery = "ticket";  // or direct
  std::string lifetime;
  std::vector<std::string> groups;
  std::string max_certificate_lifetime;
  std::string public_key_sha256;  // hexadecimal
  bool allow_node_replacement = false;
  std::vector<std::string> labels;  // key=value
};

// The names of the fields: flags without their dashes, columns of a CSV file.
inline constexpr std::array<std::string_view, 8> kIssueFieldNames = {
    "node",
    "delivery",
    "lifetime",
    "group",
    "max-certificate-lifetime",
    "public-key-sha256",
    "allow-node-replacement",
    "label"};

// Sets the field of that name from one text: several groups or labels are
// separated by spaces, allow-node-replacement is true, false or empty. An empty
// text leaves the field as it is. kInvalidArgument, also for a name that is
// none, and for a text other than a node name that is not UTF-8.
absl::Status SetIssueField(IssueFields& fields, std::string_view name,
                           const std::string& text);

// The request, without a request_id. What the broker judges, such as names and
// limits, is left to it. kInvalidArgument for what cannot be read: all of it, a
// line each, which names the field.
absl::StatusOr<v1::IssueTokenRequest> IssueRequestOf(const IssueFields& fields);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_ISSUE_REQUEST_H_
