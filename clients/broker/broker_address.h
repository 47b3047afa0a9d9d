// Where a broker is, as configurations name it.

#ifndef LATCHKEY_CLIENTS_BROKER_BROKER_ADDRESS_H_
#define LATCHKEY_CLIENTS_BROKER_BROKER_ADDRESS_H_

#include <string_view>

#include <absl/status/status.h>

namespace latchkey {

// kInvalidArgument unless `address` is host:port, an IPv6 host in brackets.
// gRPC would take a URL for a name to look up, and a missing port for port 0,
// and only fail to connect.
absl::Status CheckBrokerAddress(std::string_view address);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_BROKER_BROKER_ADDRESS_H_
