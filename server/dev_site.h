// `latchkeyd dev` as a part: an embedded control plane, a broker of it, and a
// folder with what the other programs need to use both. For development, tests
// and demonstrations: the folder holds the keys to everything.

#ifndef LATCHKEY_SERVER_DEV_SITE_H_
#define LATCHKEY_SERVER_DEV_SITE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "core/clock.h"
#include "server/broker.h"

namespace latchkey {

struct DevSiteOptions {
  // The folder, an absolute path: made with mode 0700 if it is missing; one
  // that is there must be the user's, and nobody else's to enter.
  std::string dir;
  // Keep the cluster's objects in the folder as well, over restarts.
  bool durable = false;
  // An IP address that clients can call.
  std::string address = "127.0.0.1";
  // Of the API server; provisioners call the port after it, and machines the
  // one after that. 0: three that are free.
  uint16_t port = 9443;
  // The approver that kubeadm clusters have, beside Latchkey's: to see what it
  // lets through.
  bool stock_approver = false;
};

// "127.0.0.1:9443", "[::1]:0" or an address alone, put into `options`.
// kInvalidArgument for what is no IP address, or is one that nobody can call,
// such as 0.0.0.0.
absl::Status ParseListen(std::string_view listen, DevSiteOptions& options);

// Runs from Start() until it is destroyed. The files stay.
class DevSite {
 public:
  // kUnavailable: a port is taken. kInvalidArgument: the folder cannot be used.
  // `clock` must outlive this.
  static absl::StatusOr<std::unique_ptr<DevSite>> Start(
      const DevSiteOptions& options, const Clock& clock);
  ~DevSite();

  Broker& broker();
  // What there is and what to do with it, for a person to read and paste.
  std::string Guide() const;

 private:
  struct Parts;
  explicit DevSite(std::unique_ptr<Parts> parts);
  const std::unique_ptr<Parts> parts_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_DEV_SITE_H_
