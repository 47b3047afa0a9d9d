#include "devcluster/api_resources.h"

#include <vector>

namespace latchkey {
namespace {

using ::google::protobuf::Message;

constexpr std::string_view kCsrSubresources[] = {"approval", "status"};
constexpr std::string_view kStatusOnly[] = {"status"};

template <typename Object, typename List>
ApiResource Stored(std::string_view singular, std::string_view short_name,
                   std::span<const std::string_view> subresources = {}) {
  return {.resource = ResourceOf<Object>(),
          .singular = singular,
          .short_name = short_name,
          .subresources = subresources,
          .prototype = &Object::default_instance(),
          .list_prototype = &List::default_instance()};
}

template <typename Object>
ApiResource CreatedOnly(std::string_view singular,
                        std::string_view short_name = "") {
  return {.resource = ResourceOf<Object>(),
          .singular = singular,
          .short_name = short_name,
          .stored = false,
          .prototype = &Object::default_instance()};
}

std::vector<ApiResource> MakeApiResources() {
  namespace k = kubernetes;
  return {
      Stored<k::Secret, k::SecretList>("secret", ""),
      Stored<k::ConfigMap, k::ConfigMapList>("configmap", "cm"),
      Stored<k::Node, k::NodeList>("node", "no", kStatusOnly),
      CreatedOnly<k::Event>("event", "ev"),
      Stored<k::CertificateSigningRequest, k::CertificateSigningRequestList>(
          "certificatesigningrequest", "csr", kCsrSubresources),
      Stored<k::Lease, k::LeaseList>("lease", ""),
      CreatedOnly<k::TokenReview>("tokenreview"),
      CreatedOnly<k::SelfSubjectReview>("selfsubjectreview"),
      CreatedOnly<k::SubjectAccessReview>("subjectaccessreview"),
      CreatedOnly<k::SelfSubjectAccessReview>("selfsubjectaccessreview"),
  };
}

}  // namespace

std::span<const ApiResource> ApiResources() {
  static const std::vector<ApiResource> resources = MakeApiResources();
  return resources;
}

const ApiResource* FindApiResource(std::string_view plural) {
  for (const ApiResource& known : ApiResources()) {
    if (known.resource.plural == plural) return &known;
  }
  return nullptr;
}

const ApiResource* FindApiResource(std::string_view api_version,
                                   std::string_view plural) {
  const ApiResource* known = FindApiResource(plural);
  if (known == nullptr || known->resource.api_version != api_version) {
    return nullptr;
  }
  return known;
}

std::string_view ApiGroupOf(const Resource& resource) {
  const size_t slash = resource.api_version.find('/');
  return slash == std::string_view::npos
             ? std::string_view()
             : resource.api_version.substr(0, slash);
}

std::unique_ptr<Message> CopyAs(const ApiResource& resource,
                                const Message& object) {
  std::unique_ptr<Message> copy(resource.prototype->New());
  if (object.GetDescriptor() == copy->GetDescriptor()) {
    copy->CopyFrom(object);
  } else {
    // Another view of the same bytes; what it does not know it has kept.
    copy->ParseFromString(object.SerializeAsString());
  }
  return copy;
}

}  // namespace latchkey
