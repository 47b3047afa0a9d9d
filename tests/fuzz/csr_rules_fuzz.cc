// Any bytes as a CSR in Kubernetes' protobuf, judged against a record. What is
// approved would be approved by whoever reads the rules anew.

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "clients/kubernetes/envelope.h"
#include "core/refusal.h"
#include "services/csr_rules.h"
#include "tests/fuzz/insist.h"

namespace {

using latchkey::kubernetes::CertificateSigningRequest;
using latchkey_testing::Insist;

latchkey::TokenRecord Record() {
  latchkey::TokenRecord record{.id = *latchkey::TokenId::Parse("abc123")};
  record.scope.node_name = "node-1";
  record.scope.max_certificate_lifetime = absl::Hours(24);
  record.groups = {"system:bootstrappers:latchkey"};
  record.create_time = absl::FromUnixSeconds(1'800'000'000);
  return record;
}

void CheckApproved(const CertificateSigningRequest& csr,
                   const latchkey::KeyDigest& digest) {
  const auto& spec = csr.spec();
  const auto request = latchkey::CertificateRequest::Parse(spec.request());
  Insist(request.ok() && request->key_digest == digest);
  Insist(request->common_names ==
         std::vector<std::string>{"system:node:node-1"});
  Insist(request->organizations == std::vector<std::string>{"system:nodes"});
  Insist(!request->has_subject_alt_name && !request->has_other_extensions &&
         !request->has_other_subject_attributes);
  Insist(request->HasAcceptableKey());
  Insist(spec.expiration_seconds() <= 24 * 3600);
  Insist(std::set<std::string>(spec.groups().begin(), spec.groups().end()) ==
         std::set<std::string>{"system:authenticated", "system:bootstrappers",
                               "system:bootstrappers:latchkey"});
  for (const std::string& usage : spec.usages()) {
    Insist(usage == "digital signature" || usage == "client auth" ||
           usage == "key encipherment");
  }
  Insist(csr.metadata().creation_timestamp().seconds() >= 1'799'999'998);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto envelope =
      latchkey::OpenEnvelope(latchkey_testing::AsText(data, size));
  if (!envelope.ok()) return 0;
  CertificateSigningRequest csr;
  if (!csr.ParseFromArray(envelope->raw.data(),
                          static_cast<int>(envelope->raw.size()))) {
    return 0;
  }
  static_cast<void>(latchkey::StateOf(csr));
  const auto digest = latchkey::CheckCsr(csr, Record());
  if (digest.ok()) {
    CheckApproved(csr, *digest);
  } else {
    Insist(!latchkey::ReasonOf(digest.status()).empty());
  }
  return 0;
}
