#include "devcluster/meta_rules.h"

#include <set>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "devcluster/name_grammar.h"

namespace latchkey {
namespace {

constexpr size_t kMaxAnnotationBytes = 256 * 1024;

Complaint CheckName(const Resource& resource, std::string_view name) {
  // A CSR may be named anything: kubelets put '_' and capitals in.
  return resource.plural == kCertificateSigningRequests.plural
             ? CheckPathSegment(name)
             : CheckDnsSubdomain(name);
}

std::string LowerCase(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

void CheckLabels(const kubernetes::ObjectMeta& metadata, FieldErrors& errors) {
  for (const auto& [key, value] : metadata.labels()) {
    if (errors.full()) return;
    if (auto complaint = CheckQualifiedName(key)) {
      errors.push_back(InvalidField("metadata.labels", key, *complaint));
    }
    if (auto complaint = CheckLabelValue(value)) {
      errors.push_back(InvalidField("metadata.labels", value, *complaint));
    }
  }
}

void CheckAnnotations(const kubernetes::ObjectMeta& metadata,
                      FieldErrors& errors) {
  size_t bytes = 0;
  for (const auto& [key, value] : metadata.annotations()) {
    bytes += key.size() + value.size();
    if (errors.full()) return;
    if (auto complaint = CheckQualifiedName(LowerCase(key))) {
      errors.push_back(InvalidField("metadata.annotations", key, *complaint));
    }
  }
  if (bytes > kMaxAnnotationBytes) {
    errors.push_back(TooLongField("metadata.annotations", kMaxAnnotationBytes));
  }
}

void CheckFinalizers(const kubernetes::ObjectMeta& metadata,
                     FieldErrors& errors) {
  for (int i = 0; i < metadata.finalizers_size() && !errors.full(); ++i) {
    const std::string& finalizer = metadata.finalizers(i);
    const std::string field = fmt::format("metadata.finalizers[{}]", i);
    if (auto complaint = CheckQualifiedName(finalizer)) {
      errors.push_back(InvalidField(field, finalizer, *complaint));
    } else if (finalizer.find('/') == std::string::npos &&
               finalizer != "orphan" && finalizer != "foregroundDeletion" &&
               finalizer != "kubernetes") {
      errors.push_back(
          InvalidField(field, finalizer,
                       "name is neither a standard finalizer name nor is it "
                       "fully qualified"));
    }
  }
}

void Keep(const kubernetes::ObjectMeta& before,
          kubernetes::ObjectMeta& updated) {
  if (before.has_deletion_timestamp()) {
    *updated.mutable_deletion_timestamp() = before.deletion_timestamp();
  } else {
    updated.clear_deletion_timestamp();
  }
  if (before.has_deletion_grace_period_seconds()) {
    updated.set_deletion_grace_period_seconds(
        before.deletion_grace_period_seconds());
  } else {
    updated.clear_deletion_grace_period_seconds();
  }
}

}  // namespace

FieldErrors CheckMeta(const Resource& resource,
                      const kubernetes::ObjectMeta& metadata) {
  FieldErrors errors;
  if (metadata.name().empty()) {
    errors.push_back(
        RequiredField("metadata.name", "name or generateName is required"));
  } else if (auto complaint = CheckName(resource, metadata.name())) {
    errors.push_back(
        InvalidField("metadata.name", metadata.name(), *complaint));
  }
  if (std::string prefix = metadata.generate_name(); !prefix.empty()) {
    // Something follows, so that it may end as a name may not.
    if (prefix.ends_with('-')) prefix.back() = 'a';
    if (auto complaint = CheckName(resource, prefix)) {
      errors.push_back(InvalidField("metadata.generateName",
                                    metadata.generate_name(), *complaint));
    }
  }
  CheckLabels(metadata, errors);
  CheckAnnotations(metadata, errors);
  CheckFinalizers(metadata, errors);
  return errors;
}

void KeepServersMeta(const kubernetes::ObjectMeta& before,
                     kubernetes::ObjectMeta& updated) {
  updated.set_namespace_(before.namespace_());
  updated.set_uid(before.uid());
  updated.set_resource_version(before.resource_version());
  *updated.mutable_creation_timestamp() = before.creation_timestamp();
  Keep(before, updated);
}

FieldErrors CheckMetaUpdate(const Resource& resource,
                            const kubernetes::ObjectMeta& before,
                            const kubernetes::ObjectMeta& sent) {
  FieldErrors errors = CheckMeta(resource, sent);
  if (before.has_deletion_timestamp()) {
    const std::set<std::string_view> old(before.finalizers().begin(),
                                         before.finalizers().end());
    for (const std::string& finalizer : sent.finalizers()) {
      if (errors.full()) break;
      if (old.contains(finalizer)) continue;
      errors.push_back(ForbiddenField(
          "metadata.finalizers",
          fmt::format("no new finalizers can be added if the object is being "
                      "deleted, found new finalizers []string{{\"{}\"}}",
                      finalizer)));
    }
  }
  return errors;
}

}  // namespace latchkey
