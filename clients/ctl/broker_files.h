// The PEM files that a context names, read and judged before anybody is called:
// TLS itself would only fail each handshake, and name no file.

#ifndef LATCHKEY_CLIENTS_CTL_BROKER_FILES_H_
#define LATCHKEY_CLIENTS_CTL_BROKER_FILES_H_

#include <string>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/ctl/ctl_config.h"
#include "core/secret_string.h"

namespace latchkey {

struct BrokerFiles {
  // PEM.
  std::string authorities;
  // Both empty if the context has a bearer token alone.
  std::string certificate;
  SecretString private_key;
};

// kInvalidArgument, naming the file: it cannot be read or is no such PEM, the
// key is not the certificate's, or the certificate, or each of the authorities,
// is not valid at `now`. Clocks may differ by five minutes.
absl::StatusOr<BrokerFiles> ReadBrokerFiles(const CtlConfig& config,
                                            absl::Time now);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_BROKER_FILES_H_
