// What went wrong with one item of a call that did others.

#ifndef LATCHKEY_CLIENTS_CTL_ITEM_ERROR_H_
#define LATCHKEY_CLIENTS_CTL_ITEM_ERROR_H_

#include <absl/status/status.h>

#include "latchkey/v1/token_broker.pb.h"

namespace latchkey {

// The item's error as the status of a call of its own; never OK.
absl::Status StatusOf(const v1::ItemError& error);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_ITEM_ERROR_H_
