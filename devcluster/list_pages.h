// Lists in pages, each of the state that the first page saw.

#ifndef LATCHKEY_DEVCLUSTER_LIST_PAGES_H_
#define LATCHKEY_DEVCLUSTER_LIST_PAGES_H_

#include <absl/status/statusor.h>

#include "devcluster/api_server.h"
#include "devcluster/object_store.h"
#include "devcluster/selectors.h"

namespace latchkey {

// The page that `query` asks for; `selectors` are its selectors. kOutOfRange:
// what the first page saw is forgotten. kInvalidArgument: not a continue token.
absl::StatusOr<ObjectPage> ListPage(const ObjectStore& store,
                                    const Resource& resource,
                                    const ListQuery& query,
                                    const Selectors& selectors);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_LIST_PAGES_H_
