// Whose request it is: authentication and impersonation.

#ifndef LATCHKEY_DEVCLUSTER_CALLER_H_
#define LATCHKEY_DEVCLUSTER_CALLER_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "devcluster/api_server.h"
#include "devcluster/user.h"

namespace latchkey {

// What the client showed in the TLS handshake.
struct ClientCertificate {
  // It showed one that we do not believe.
  bool rejected = false;
  // Whom it names, if we do.
  std::optional<User> user;
  // Until then: a connection may outlive it.
  absl::Time not_after = absl::InfiniteFuture();
};

// The headers Impersonate-...
struct Impersonation {
  std::string_view user;
  std::vector<std::string_view> groups;
  // Any other of them: a uid, or extra attributes.
  bool more = false;
};

// The user that `server` is to see. A good certificate, not past its time, goes
// before a token; of no good one and no good token it is kUnauthenticated, and
// of neither it is the anonymous user.
//
// Who may impersonate users and groups is then whom he names, without his own
// groups; who may not is kPermissionDenied. Uids and extra attributes are
// refused, kInvalidArgument, as nobody here would heed them.
absl::StatusOr<User> CallerOf(const ApiServer& server,
                              const ClientCertificate& certificate,
                              std::string_view authorization,
                              const Impersonation& impersonation);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_CALLER_H_
