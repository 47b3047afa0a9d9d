// The TLS side of the HTTP face. For http_face*.cc only: Asio and OpenSSL stay
// behind that name.

#ifndef LATCHKEY_DEVCLUSTER_HTTP_FACE_TLS_H_
#define LATCHKEY_DEVCLUSTER_HTTP_FACE_TLS_H_

#include <memory>

#include <absl/status/statusor.h>
#include <boost/asio/ssl/context.hpp>

#include "devcluster/caller.h"
#include "devcluster/http_face.h"

namespace latchkey {

// TLS 1.2 or newer, without resumption. Asks for a client certificate of the
// authority, and takes a handshake without one. kInvalidArgument names the PEM
// that is none.
absl::StatusOr<std::unique_ptr<boost::asio::ssl::context>> MakeTlsContext(
    const HttpFaceOptions& options);

// Of a connection after its handshake, whose verification said no if
// `rejected`: the common name is the user, the organizations its groups.
ClientCertificate ClientCertificateOf(SSL* connection, bool rejected);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_HTTP_FACE_TLS_H_
