#include "devcluster/kubelet_request.h"

#include <set>
#include <string>
#include <vector>

namespace latchkey {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kBeginRequest =
    "-----BEGIN CERTIFICATE REQUEST-----";
constexpr std::string_view kEndRequest = "-----END CERTIFICATE REQUEST-----";

// Where the first line that begins with `prefix` does; npos if none does.
size_t FindLine(std::string_view text, std::string_view prefix) {
  size_t at = text.find(prefix);
  while (at != std::string_view::npos && at != 0 && text[at - 1] != '\n') {
    at = text.find(prefix, at + 1);
  }
  return at;
}

bool HasKubeletUsages(const kubernetes::CertificateSigningRequestSpec& spec) {
  std::set<std::string> usages(spec.usages().begin(), spec.usages().end());
  usages.erase("key encipherment");
  return usages == std::set<std::string>{"client auth", "digital signature"};
}

}  // namespace

absl::StatusOr<std::string_view> FirstRequestBlock(std::string_view text) {
  const size_t begin = FindLine(text, kBegin);
  if (begin == std::string_view::npos ||
      !text.substr(begin).starts_with(kBeginRequest)) {
    return absl::InvalidArgumentError(
        "PEM block type must be CERTIFICATE REQUEST");
  }
  const size_t end = text.find(kEndRequest, begin);
  if (end == std::string_view::npos) {
    return absl::InvalidArgumentError("the PEM block has no end");
  }
  return text.substr(begin, end + kEndRequest.size() - begin);
}

absl::Status CheckKubeletRequest(
    const kubernetes::CertificateSigningRequestSpec& spec,
    const CertificateRequest& request) {
  if (spec.signer_name() != kKubeletSignerName) {
    return absl::InvalidArgumentError("the signer is another");
  }
  if (request.organizations != std::vector<std::string>{"system:nodes"}) {
    return absl::InvalidArgumentError(
        "subject organization is not system:nodes");
  }
  // Of several, the last is the one.
  if (request.common_names.empty() ||
      !request.common_names.back().starts_with("system:node:")) {
    return absl::InvalidArgumentError(
        "subject common name does not begin with system:node:");
  }
  if (request.has_subject_alt_name) {
    return absl::InvalidArgumentError("subjectAltNames are not allowed");
  }
  if (!HasKubeletUsages(spec)) {
    return absl::InvalidArgumentError(
        "usages must be client auth and digital signature, and may have key "
        "encipherment besides");
  }
  return absl::OkStatus();
}

}  // namespace latchkey
