// What a machine needs to join, in the forms in which machines are told things:
// ready to be pasted.
//
// No value can leave its place, whatever it holds: each is quoted for the
// language around it. The ticket stands in files of mode 0600 and in no
// argument of a program.

#ifndef LATCHKEY_CLIENTS_CTL_MACHINE_FILES_H_
#define LATCHKEY_CLIENTS_CTL_MACHINE_FILES_H_

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "clients/ctl/ctl_config.h"
#include "latchkey/v1/token_broker.pb.h"

namespace latchkey {

// The broker, as machines reach it.
struct NodeBroker {
  std::string endpoint;  // host:port
  std::string ca_pem;
};

// What `config` says of it; empty if it does not say where it is.
// kInvalidArgument if its certificate authorities cannot be read.
absl::StatusOr<NodeBroker> ReadNodeBroker(const CtlConfig& config);

// The forms: of issue, and of batch.
//
//   text        the ticket, or the direct token, alone on a line
//   json, yaml  the whole answer
//   cloud-init  user-data: the files of latchkey-join, and its unit
//   ignition    the same as a configuration of version 3.3
//   systemd     the same as a shell script for root; with $DESTDIR, into an
//               image
//   kubeadm     (direct delivery) a shell script for root around
//               `kubeadm join --config`, v1beta4: kubeadm 1.31 or newer
//   env         assignments of a POSIX shell
bool IsMachineFormat(std::string_view format);

// kInvalidArgument if `format` cannot be made for this delivery, or needs a
// NodeBroker and `broker` is not complete. Asked before anything is minted.
absl::Status CheckMachineFormat(std::string_view format, v1::Delivery delivery,
                                const NodeBroker& broker);

// The answer of IssueToken in that form. The text is a secret. kInternal if the
// broker left out what the form needs.
absl::StatusOr<std::string> RenderIssued(const v1::IssueTokenResponse& response,
                                         std::string_view format,
                                         const NodeBroker& broker);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_MACHINE_FILES_H_
