// The metadata of an object, or of a list, of any kind.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_OBJECT_META_H_
#define LATCHKEY_CLIENTS_KUBERNETES_OBJECT_META_H_

#include <google/protobuf/message.h>

#include "kubernetes/meta.pb.h"

namespace latchkey {

// `object` must be a message of proto/kubernetes with an ObjectMeta (a ListMeta
// for the last): anything else ends the program, since it is our own mistake.
const kubernetes::ObjectMeta& ObjectMetaOf(
    const google::protobuf::Message& object);
kubernetes::ObjectMeta& MutableObjectMetaOf(google::protobuf::Message& object);
const kubernetes::ListMeta& ListMetaOf(const google::protobuf::Message& list);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_OBJECT_META_H_
