#include "tests/fakes/object_rules.h"

#include <utility>

#include "clients/kubernetes/object_meta.h"
#include "core/node_name.h"
#include "kubernetes/certificates.pb.h"
#include "kubernetes/core.pb.h"

namespace latchkey_testing {
namespace {

using ::google::protobuf::Message;
using ::latchkey::MutableObjectMetaOf;
using ::latchkey::ObjectMetaOf;
namespace kubernetes = ::latchkey::kubernetes;
using kubernetes::CertificateSigningRequest;

bool IsApproval(std::string_view type) {
  return type == "Approved" || type == "Denied";
}

// The conditions of one kind from `source`, those of the other from `target`.
void ReplaceConditions(const CertificateSigningRequest& source, bool approvals,
                       CertificateSigningRequest& target) {
  kubernetes::CertificateSigningRequestStatus merged;
  for (const auto& condition : target.status().conditions()) {
    if (IsApproval(condition.type()) != approvals) {
      *merged.add_conditions() = condition;
    }
  }
  for (const auto& condition : source.status().conditions()) {
    if (IsApproval(condition.type()) == approvals) {
      *merged.add_conditions() = condition;
    }
  }
  *target.mutable_status()->mutable_conditions() = merged.conditions();
}

// approval writes the verdict, status the outcome, and neither anything else.
absl::Status UpdateCsr(const CertificateSigningRequest& sent,
                       std::string_view subresource,
                       CertificateSigningRequest& updated) {
  if (subresource.empty()) {
    kubernetes::ObjectMeta metadata = sent.metadata();
    *updated.mutable_metadata() = std::move(metadata);
    return absl::OkStatus();
  }
  if (subresource == "approval") {
    ReplaceConditions(sent, true, updated);
    return absl::OkStatus();
  }
  if (subresource == "status") {
    ReplaceConditions(sent, false, updated);
    if (sent.status().has_certificate()) {
      updated.mutable_status()->set_certificate(sent.status().certificate());
    }
    return absl::OkStatus();
  }
  return absl::NotFoundError("no such subresource");
}

void MergeStringData(kubernetes::Secret& secret) {
  for (const auto& [key, value] : secret.string_data()) {
    (*secret.mutable_data())[key] = value;
  }
  secret.clear_string_data();
}

absl::Status UpdateOther(const Message& before, const Message& sent,
                         Message& updated) {
  updated.CopyFrom(sent);
  auto* secret = dynamic_cast<kubernetes::Secret*>(&updated);
  if (secret == nullptr) return absl::OkStatus();
  const auto& old = static_cast<const kubernetes::Secret&>(before);
  if (secret->type().empty()) secret->set_type(old.type());
  if (secret->type() != old.type()) {
    return absl::InvalidArgumentError("type: field is immutable");
  }
  if (old.immutable()) {
    return absl::InvalidArgumentError("the secret is immutable");
  }
  MergeStringData(*secret);
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckNewObject(const latchkey::Resource& resource,
                            const latchkey::ObjectName& name,
                            const Message& object) {
  const kubernetes::ObjectMeta& metadata = ObjectMetaOf(object);
  if (!metadata.namespace_().empty() &&
      metadata.namespace_() != name.name_space) {
    return absl::InvalidArgumentError("the object is of another namespace");
  }
  if (!metadata.resource_version().empty()) {
    // The real server's own choice: it has no better code for it.
    return absl::InternalError("a new object has no resourceVersion");
  }
  if (resource.kind == latchkey::kCertificateSigningRequests.kind) {
    return absl::OkStatus();  // may be named anything
  }
  return latchkey::ValidateNodeName(name.name);  // the same rule: a subdomain
}

void PrepareNewObject(Message& object) {
  kubernetes::ObjectMeta& metadata = MutableObjectMetaOf(object);
  metadata.clear_deletion_timestamp();
  if (auto* secret = dynamic_cast<kubernetes::Secret*>(&object)) {
    if (secret->type().empty()) secret->set_type("Opaque");
    MergeStringData(*secret);
  }
  if (auto* csr = dynamic_cast<CertificateSigningRequest*>(&object)) {
    csr->clear_status();
  }
}

absl::StatusOr<std::unique_ptr<Message>> UpdatedObject(
    const Message& before, const Message& sent, std::string_view subresource) {
  std::unique_ptr<Message> updated(before.New());
  updated->CopyFrom(before);
  absl::Status status;
  if (auto* csr = dynamic_cast<CertificateSigningRequest*>(updated.get())) {
    status = UpdateCsr(static_cast<const CertificateSigningRequest&>(sent),
                       subresource, *csr);
  } else if (subresource.empty()) {
    status = UpdateOther(before, sent, *updated);
  } else {
    status = absl::NotFoundError("no such subresource");
  }
  if (!status.ok()) return status;
  // What belongs to the server.
  const kubernetes::ObjectMeta& old = ObjectMetaOf(before);
  kubernetes::ObjectMeta& metadata = MutableObjectMetaOf(*updated);
  metadata.set_namespace_(old.namespace_());
  metadata.set_uid(old.uid());
  metadata.set_resource_version(old.resource_version());
  *metadata.mutable_creation_timestamp() = old.creation_timestamp();
  return updated;
}

}  // namespace latchkey_testing
