#include "clients/node/node_certificate.h"

#include <vector>

#include <fmt/format.h>

#include "core/text_time.h"

namespace latchkey {
namespace {

constexpr absl::Duration kSkew = absl::Minutes(5);

}  // namespace

std::string NodeUserName(std::string_view node_name) {
  return fmt::format("system:node:{}", node_name);
}

absl::Status CheckNodeCertificate(const Certificate& certificate,
                                  std::string_view key_digest,
                                  std::string_view node_name, absl::Time now) {
  const auto unfit = [](const std::string& why) {
    return absl::FailedPreconditionError(why);
  };
  if (certificate.key_digest != key_digest) {
    return unfit("the certificate is of another key");
  }
  if (certificate.common_names !=
      std::vector<std::string>{NodeUserName(node_name)}) {
    return unfit(
        fmt::format("the certificate is not for the node {}", node_name));
  }
  if (certificate.organizations !=
      std::vector<std::string>{std::string(kNodesGroup)}) {
    return unfit("the certificate is not of the group system:nodes alone");
  }
  if (!certificate.allows_client_auth) {
    return unfit("the certificate is not for client authentication");
  }
  if (certificate.not_before > now + kSkew) {
    return absl::UnavailableError(fmt::format(
        "the certificate is not valid before {}, and this machine's clock says "
        "{}: it seems to be behind; set it, and run this again",
        FormatRfc3339(certificate.not_before), FormatRfc3339(now)));
  }
  if (certificate.not_after <= now) {
    return absl::OutOfRangeError(fmt::format(
        "the certificate expired at {}, and this machine's clock says {}",
        FormatRfc3339(certificate.not_after), FormatRfc3339(now)));
  }
  return absl::OkStatus();
}

}  // namespace latchkey
