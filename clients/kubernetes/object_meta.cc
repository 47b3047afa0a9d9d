#include "clients/kubernetes/object_meta.h"

#include <cstdlib>

#include <google/protobuf/descriptor.h>

namespace latchkey {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;

const FieldDescriptor* MetadataField(const Message& object,
                                     const Descriptor* type) {
  // Field 1 of every kind; by its number it is found without a search.
  const FieldDescriptor* field = object.GetDescriptor()->FindFieldByNumber(1);
  if (field == nullptr || field->message_type() != type) std::abort();
  return field;
}

}  // namespace

const kubernetes::ObjectMeta& ObjectMetaOf(const Message& object) {
  const FieldDescriptor* field =
      MetadataField(object, kubernetes::ObjectMeta::descriptor());
  return static_cast<const kubernetes::ObjectMeta&>(
      object.GetReflection()->GetMessage(object, field));
}

kubernetes::ObjectMeta& MutableObjectMetaOf(Message& object) {
  const FieldDescriptor* field =
      MetadataField(object, kubernetes::ObjectMeta::descriptor());
  return static_cast<kubernetes::ObjectMeta&>(
      *object.GetReflection()->MutableMessage(&object, field));
}

const kubernetes::ListMeta& ListMetaOf(const Message& list) {
  const FieldDescriptor* field =
      MetadataField(list, kubernetes::ListMeta::descriptor());
  return static_cast<const kubernetes::ListMeta&>(
      list.GetReflection()->GetMessage(list, field));
}

}  // namespace latchkey
