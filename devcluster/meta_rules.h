// The rules of object_rules.h for an object's metadata, of whatever kind.

#ifndef LATCHKEY_DEVCLUSTER_META_RULES_H_
#define LATCHKEY_DEVCLUSTER_META_RULES_H_

#include "devcluster/api_error.h"
#include "kubernetes/meta.pb.h"

namespace latchkey {

// Of a new object and of an updated one.
FieldErrors CheckMeta(const Resource& resource,
                      const kubernetes::ObjectMeta& metadata);

// Puts what belongs to the server into `updated`, which was sent, as it is in
// `before`.
void KeepServersMeta(const kubernetes::ObjectMeta& before,
                     kubernetes::ObjectMeta& updated);
FieldErrors CheckMetaUpdate(const Resource& resource,
                            const kubernetes::ObjectMeta& before,
                            const kubernetes::ObjectMeta& sent);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_META_RULES_H_
