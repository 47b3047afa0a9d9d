#include "devcluster/csr_object_rules.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "clients/kubernetes/kube_time.h"
#include "core/status_macros.h"
#include "crypto/certificate.h"
#include "devcluster/kubelet_request.h"
#include "devcluster/name_grammar.h"

namespace latchkey {
namespace {

using kubernetes::CertificateSigningRequest;
using kubernetes::CertificateSigningRequestCondition;
using Conditions =
    google::protobuf::RepeatedPtrField<CertificateSigningRequestCondition>;

constexpr std::string_view kUsages[] = {"signing",
                                        "digital signature",
                                        "content commitment",
                                        "key encipherment",
                                        "key agreement",
                                        "data encipherment",
                                        "cert sign",
                                        "crl sign",
                                        "encipher only",
                                        "decipher only",
                                        "any",
                                        "server auth",
                                        "client auth",
                                        "code signing",
                                        "email protection",
                                        "s/mime",
                                        "ipsec end system",
                                        "ipsec tunnel",
                                        "ipsec user",
                                        "timestamping",
                                        "ocsp signing",
                                        "microsoft sgc",
                                        "netscape sgc"};
constexpr std::string_view kVerdicts[] = {"Approved", "Denied"};
// Once there, these stay.
constexpr std::string_view kLasting[] = {"Approved", "Denied", "Failed"};
constexpr char kConditionsField[] = "status.conditions";
constexpr char kCertificateField[] = "status.certificate";

template <typename Range>
bool Contains(const Range& range, std::string_view text) {
  return std::find(std::begin(range), std::end(range), text) != std::end(range);
}

const CertificateSigningRequestCondition* Find(const Conditions& conditions,
                                               std::string_view type) {
  for (const auto& condition : conditions) {
    if (condition.type() == type) return &condition;
  }
  return nullptr;
}

// The label and the extent of the PEM block that begins first in `text` at or
// after `from`.
struct BlockExtent {
  std::string_view label;
  std::string_view text;
  size_t end = 0;
};
absl::StatusOr<BlockExtent> FindBlock(std::string_view text, size_t from) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  constexpr std::string_view kDashes = "-----";
  size_t begin = text.find(kBegin, from);
  while (begin != std::string_view::npos && begin > 0 &&
         text[begin - 1] != '\n' && text[begin - 1] != '\r') {
    begin = text.find(kBegin, begin + 1);
  }
  if (begin == std::string_view::npos) {
    return absl::NotFoundError("there is no PEM block");
  }
  const size_t label_at = begin + kBegin.size();
  const size_t label_end = text.find(kDashes, label_at);
  if (label_end == std::string_view::npos) {
    return absl::InvalidArgumentError("a PEM block has no end");
  }
  const auto label = text.substr(label_at, label_end - label_at);
  const std::string end_line = fmt::format("-----END {}-----", label);
  const size_t end = text.find(end_line, label_end);
  if (end == std::string_view::npos) {
    return absl::InvalidArgumentError("a PEM block has no end");
  }
  return BlockExtent{label, text.substr(begin, end + end_line.size() - begin),
                     end + end_line.size()};
}

absl::Status CheckCertificate(std::string_view pem) {
  bool found = false;
  for (size_t at = 0;;) {
    const auto block = FindBlock(pem, at);
    if (absl::IsNotFound(block.status())) break;
    if (!block.ok()) return block.status();
    if (block->label != "CERTIFICATE") {
      return absl::InvalidArgumentError(
          fmt::format("only CERTIFICATE PEM blocks are allowed, found \"{}\"",
                      block->label));
    }
    found = true;
    at = block->end;
  }
  if (!found) {
    return absl::InvalidArgumentError(
        "must contain at least one CERTIFICATE PEM block");
  }
  return Certificate::ParseAll(pem).status();
}

FieldErrors CheckUsages(const kubernetes::CertificateSigningRequestSpec& spec) {
  constexpr std::string_view kField = "spec.usages";
  if (spec.usages().empty()) return {RequiredField(kField, "")};
  FieldErrors errors;
  std::set<std::string_view> seen;
  for (int i = 0; i < spec.usages_size() && !errors.full(); ++i) {
    const std::string field = fmt::format("{}[{}]", kField, i);
    const std::string& usage = spec.usages(i);
    if (!Contains(kUsages, usage)) {
      errors.push_back(UnsupportedField(
          field, usage, {std::begin(kUsages), std::end(kUsages)}));
    }
    if (!seen.insert(usage).second) {
      errors.push_back(DuplicateField(field, usage));
    }
  }
  return errors;
}

FieldErrors CheckSigner(std::string_view name) {
  constexpr std::string_view kField = "spec.signerName";
  if (name.empty()) return {RequiredField(kField, "")};
  if (name == "kubernetes.io/legacy-unknown") {
    return {InvalidField(
        kField, name,
        "the legacy signerName is not allowed via this API version")};
  }
  if (auto complaint = CheckSignerName(name)) {
    return {InvalidField(kField, name, *complaint)};
  }
  return {};
}

FieldErrors CheckCondition(const CertificateSigningRequestCondition& condition,
                           const std::string& field) {
  FieldErrors errors;
  if (condition.type().empty()) {
    errors.push_back(RequiredField(field + ".type", ""));
  }
  const std::string& status = condition.status();
  constexpr std::string_view kStatuses[] = {"True", "False", "Unknown"};
  if (status.empty()) {
    errors.push_back(RequiredField(field + ".status", ""));
  } else if (!Contains(kStatuses, status)) {
    errors.push_back(
        UnsupportedField(field + ".status", status,
                         {std::begin(kStatuses), std::end(kStatuses)}));
  } else if (Contains(kLasting, condition.type()) && status != "True") {
    errors.push_back(UnsupportedField(field + ".status", status, {"True"}));
  }
  return errors;
}

FieldErrors CheckConditions(const Conditions& conditions) {
  FieldErrors errors;
  std::set<std::string_view> seen;
  for (int i = 0; i < conditions.size() && !errors.full(); ++i) {
    const auto& condition = conditions[i];
    const std::string field = fmt::format("{}[{}]", kConditionsField, i);
    errors.Append(CheckCondition(condition, field));
    const std::string& type = condition.type();
    if (!seen.insert(type).second) {
      errors.push_back(DuplicateField(field + ".type", type));
    }
  }
  if (seen.contains("Approved") && seen.contains("Denied")) {
    errors.push_back(InvalidField(
        kConditionsField,
        R"({conditions[{\"type\": \"Approved\"}], )"
        R"(conditions[{\"type\": \"Denied\"}]})",
        R"(must specify at most one of: `conditions[{"type": "Approved"}]`, )"
        R"(`conditions[{"type": "Denied"}]`)"));
  }
  return errors;
}

// As many of each lasting type as there were, and no verdict but through
// /approval.
void CheckTransitions(const Conditions& before, const Conditions& after,
                      bool may_decide, FieldErrors& errors) {
  for (const std::string_view type : kLasting) {
    const bool was = Find(before, type) != nullptr;
    const bool is = Find(after, type) != nullptr;
    if (was && !is) {
      errors.push_back(ForbiddenField(
          kConditionsField,
          fmt::format("updates may not remove a condition of type \"{}\"",
                      type)));
    }
    if (!was && is && !may_decide && Contains(kVerdicts, type)) {
      errors.push_back(ForbiddenField(
          kConditionsField,
          fmt::format("updates may not add a condition of type \"{}\"", type)));
    }
  }
}

void FillInTimes(const Conditions& before, absl::Time now,
                 Conditions& conditions) {
  for (auto& condition : conditions) {
    if (!condition.last_update_time().has_seconds()) {
      *condition.mutable_last_update_time() = ToKubernetesTime(now);
    }
    if (condition.last_transition_time().has_seconds()) continue;
    const auto* old = Find(before, condition.type());
    const bool same = old != nullptr && old->status() == condition.status() &&
                      old->last_transition_time().has_seconds();
    *condition.mutable_last_transition_time() =
        same ? old->last_transition_time() : ToKubernetesTime(now);
  }
}

}  // namespace

absl::StatusOr<CertificateRequest> ParseFirstRequest(std::string_view pem) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::string_view block,
                            FirstRequestBlock(pem));
  return CertificateRequest::Parse(block);
}

void PrepareNewCsr(const User& user, CertificateSigningRequest& csr) {
  auto& spec = *csr.mutable_spec();
  spec.set_username(user.name);
  spec.set_uid(user.uid);
  spec.clear_groups();
  for (const std::string& group : user.groups) spec.add_groups(group);
  spec.clear_extra();
  for (const auto& [key, values] : user.extra) {
    auto& items = (*spec.mutable_extra())[key];
    for (const std::string& value : values) items.add_items(value);
  }
  csr.clear_status();
  csr.mutable_status();
}

FieldErrors CheckNewCsr(const CertificateSigningRequest& csr) {
  FieldErrors errors;
  if (const auto request = ParseFirstRequest(csr.spec().request());
      !request.ok()) {
    errors.push_back(InvalidLiteral(
        "spec.request",
        csr.spec().request().empty() ? "null" : "\"<request data>\"",
        std::string(request.status().message())));
  }
  errors.Append(CheckUsages(csr.spec()));
  errors.Append(CheckSigner(csr.spec().signer_name()));
  if (csr.spec().has_expiration_seconds() &&
      csr.spec().expiration_seconds() < 600) {
    errors.push_back(InvalidLiteral(
        "spec.expirationSeconds",
        std::to_string(csr.spec().expiration_seconds()),
        "may not specify a duration less than 600 seconds (10 minutes)"));
  }
  return errors;
}

void UpdateCsr(const CertificateSigningRequest& before,
               std::string_view subresource, absl::Time now,
               CertificateSigningRequest& updated) {
  *updated.mutable_spec() = before.spec();
  if (subresource.empty()) {
    *updated.mutable_status() = before.status();
    return;
  }
  auto& status = *updated.mutable_status();
  if (subresource == "approval") {
    status.clear_certificate();
    if (before.status().has_certificate()) {
      status.set_certificate(before.status().certificate());
    }
  } else {
    // The verdict stays as it was; whether it is still there is checked.
    for (auto& condition : *status.mutable_conditions()) {
      if (!Contains(kVerdicts, condition.type())) continue;
      const auto* old = Find(before.status().conditions(), condition.type());
      if (old != nullptr) condition = *old;
    }
  }
  FillInTimes(before.status().conditions(), now, *status.mutable_conditions());
}

FieldErrors CheckCsrUpdate(const CertificateSigningRequest& before,
                           const CertificateSigningRequest& after,
                           std::string_view subresource) {
  FieldErrors errors;
  if (subresource.empty()) return errors;
  errors = CheckConditions(after.status().conditions());
  CheckTransitions(before.status().conditions(), after.status().conditions(),
                   subresource == "approval", errors);
  const std::string& old = before.status().certificate();
  const std::string& certificate = after.status().certificate();
  if (certificate == old) return errors;
  if (!old.empty()) {
    errors.push_back(
        ForbiddenField(kCertificateField,
                       "updates may not modify existing certificate content"));
  }
  if (const absl::Status status = CheckCertificate(certificate);
      !certificate.empty() && !status.ok()) {
    errors.push_back(InvalidField(kCertificateField, "<certificate data>",
                                  std::string(status.message())));
  }
  return errors;
}

}  // namespace latchkey
