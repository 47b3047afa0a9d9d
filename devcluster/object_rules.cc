#include "devcluster/object_rules.h"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "clients/kubernetes/object_meta.h"
#include "devcluster/csr_object_rules.h"
#include "devcluster/meta_rules.h"
#include "devcluster/name_grammar.h"

namespace latchkey {
namespace {

using ::google::protobuf::Message;
using kubernetes::CertificateSigningRequest;
using kubernetes::ConfigMap;
using kubernetes::Lease;
using kubernetes::Secret;

constexpr size_t kMaxDataBytes = 1024 * 1024;
constexpr char kImmutable[] = "field is immutable when `immutable` is set";

template <typename Map>
size_t CheckDataKeys(const Map& data, std::string_view field,
                     FieldErrors& errors) {
  size_t bytes = 0;
  for (const auto& [key, value] : data) {
    bytes += value.size();
    if (errors.full()) break;
    if (auto complaint = CheckConfigKey(key)) {
      errors.push_back(
          InvalidField(fmt::format("{}[{}]", field, key), key, *complaint));
    }
  }
  return bytes;
}

FieldErrors CheckSecret(const Secret& secret) {
  FieldErrors errors;
  if (CheckDataKeys(secret.data(), "data", errors) > kMaxDataBytes) {
    errors.push_back(TooLongField("data", kMaxDataBytes));
  }
  if (secret.type().empty()) errors.push_back(RequiredField("type", ""));
  if (secret.type() != "kubernetes.io/tls") return errors;
  for (const char* key : {"tls.crt", "tls.key"}) {
    if (secret.data().contains(key)) continue;
    errors.push_back(RequiredField(fmt::format("data[{}]", key), ""));
  }
  return errors;
}

FieldErrors CheckConfigMap(const ConfigMap& map) {
  FieldErrors errors;
  const size_t bytes = CheckDataKeys(map.data(), "data", errors) +
                       CheckDataKeys(map.binary_data(), "binaryData", errors);
  for (const auto& [key, value] : map.binary_data()) {
    if (errors.full()) break;
    if (!map.data().contains(key)) continue;
    errors.push_back(InvalidField(fmt::format("data[{}]", key), key,
                                  "duplicate of key present in binaryData"));
  }
  if (bytes > kMaxDataBytes)
    errors.push_back(TooLongField("[]", kMaxDataBytes));
  return errors;
}

FieldErrors CheckLease(const Lease& lease) {
  const auto& spec = lease.spec();
  if (!spec.has_lease_duration_seconds() || spec.lease_duration_seconds() > 0) {
    return {};
  }
  return {InvalidLiteral("spec.leaseDurationSeconds",
                         std::to_string(spec.lease_duration_seconds()),
                         "must be greater than 0")};
}

FieldErrors CheckEvent(const kubernetes::Event& event) {
  const std::string& about = event.involved_object().namespace_();
  const std::string& in = event.metadata().namespace_();
  // What has no namespace is told of in "default".
  if (about == in || (about.empty() && in == "default")) return {};
  return {InvalidField("involvedObject.namespace", about,
                       "does not match event.namespace")};
}

template <typename Map>
bool SameEntries(const Map& a, const Map& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [key, value] : a) {
    const auto other = b.find(key);
    if (other == b.end() || other->second != value) return false;
  }
  return true;
}

FieldErrors CheckSecretUpdate(const Secret& before, const Secret& after) {
  FieldErrors errors;
  if (after.type() != before.type()) {
    errors.push_back(InvalidField("type", after.type(), "field is immutable"));
  }
  if (before.immutable()) {
    if (!after.immutable()) {
      errors.push_back(ForbiddenField("immutable", kImmutable));
    }
    if (!SameEntries(before.data(), after.data())) {
      errors.push_back(ForbiddenField("data", kImmutable));
    }
  }
  errors.Append(CheckSecret(after));
  return errors;
}

FieldErrors CheckConfigMapUpdate(const ConfigMap& before,
                                 const ConfigMap& after) {
  FieldErrors errors;
  if (before.immutable()) {
    if (!after.immutable()) {
      errors.push_back(ForbiddenField("immutable", kImmutable));
    }
    if (!SameEntries(before.data(), after.data())) {
      errors.push_back(ForbiddenField("data", kImmutable));
    }
    if (!SameEntries(before.binary_data(), after.binary_data())) {
      errors.push_back(ForbiddenField("binaryData", kImmutable));
    }
  }
  errors.Append(CheckConfigMap(after));
  return errors;
}

void MergeStringData(Secret& secret) {
  for (const auto& [key, value] : secret.string_data()) {
    (*secret.mutable_data())[key] = value;
  }
  secret.clear_string_data();
}

// The status of a Node has a subresource of its own.
void UpdateNode(const kubernetes::Node& before, std::string_view subresource,
                kubernetes::Node& updated) {
  if (subresource == "status") {
    kubernetes::Node merged = before;
    if (updated.has_status()) *merged.mutable_status() = updated.status();
    *merged.mutable_metadata() = updated.metadata();
    updated = std::move(merged);
    return;
  }
  updated.clear_status();
  if (before.has_status()) *updated.mutable_status() = before.status();
}

}  // namespace

void PrepareNewObject(const User& user, Message& object) {
  kubernetes::ObjectMeta& metadata = MutableObjectMetaOf(object);
  metadata.clear_deletion_timestamp();
  metadata.clear_deletion_grace_period_seconds();
  metadata.clear_self_link();
  if (auto* secret = dynamic_cast<Secret*>(&object)) {
    if (secret->type().empty()) secret->set_type("Opaque");
    MergeStringData(*secret);
  }
  if (auto* csr = dynamic_cast<CertificateSigningRequest*>(&object)) {
    PrepareNewCsr(user, *csr);
  }
}

FieldErrors CheckNewObject(const Resource& resource, const Message& object) {
  FieldErrors errors = CheckMeta(resource, ObjectMetaOf(object));
  if (const auto* secret = dynamic_cast<const Secret*>(&object)) {
    errors.Append(CheckSecret(*secret));
  }
  if (const auto* map = dynamic_cast<const ConfigMap*>(&object)) {
    errors.Append(CheckConfigMap(*map));
  }
  if (const auto* lease = dynamic_cast<const Lease*>(&object)) {
    errors.Append(CheckLease(*lease));
  }
  if (const auto* event = dynamic_cast<const kubernetes::Event*>(&object)) {
    errors.Append(CheckEvent(*event));
  }
  if (const auto* csr =
          dynamic_cast<const CertificateSigningRequest*>(&object)) {
    errors.Append(CheckNewCsr(*csr));
  }
  return errors;
}

std::unique_ptr<Message> UpdatedObject(const Message& before,
                                       const Message& sent,
                                       std::string_view subresource,
                                       absl::Time now) {
  std::unique_ptr<Message> updated(before.New());
  updated->CopyFrom(sent);
  KeepServersMeta(ObjectMetaOf(before), MutableObjectMetaOf(*updated));
  if (auto* secret = dynamic_cast<Secret*>(updated.get())) {
    if (secret->type().empty()) secret->set_type("Opaque");
    MergeStringData(*secret);
  }
  if (auto* node = dynamic_cast<kubernetes::Node*>(updated.get())) {
    UpdateNode(static_cast<const kubernetes::Node&>(before), subresource,
               *node);
  }
  if (auto* csr = dynamic_cast<CertificateSigningRequest*>(updated.get())) {
    UpdateCsr(static_cast<const CertificateSigningRequest&>(before),
              subresource, now, *csr);
  }
  return updated;
}

FieldErrors CheckUpdate(const Resource& resource, const Message& before,
                        const Message& after, std::string_view subresource) {
  FieldErrors errors =
      CheckMetaUpdate(resource, ObjectMetaOf(before), ObjectMetaOf(after));
  if (const auto* lease = dynamic_cast<const Lease*>(&after)) {
    errors.Append(CheckLease(*lease));
  }
  if (const auto* secret = dynamic_cast<const Secret*>(&after)) {
    errors.Append(
        CheckSecretUpdate(static_cast<const Secret&>(before), *secret));
  }
  if (const auto* map = dynamic_cast<const ConfigMap*>(&after)) {
    errors.Append(
        CheckConfigMapUpdate(static_cast<const ConfigMap&>(before), *map));
  }
  if (const auto* csr =
          dynamic_cast<const CertificateSigningRequest*>(&after)) {
    errors.Append(
        CheckCsrUpdate(static_cast<const CertificateSigningRequest&>(before),
                       *csr, subresource));
  }
  return errors;
}

}  // namespace latchkey
