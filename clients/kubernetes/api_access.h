// How to reach the API server at this moment, and as whom.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_API_ACCESS_H_
#define LATCHKEY_CLIENTS_KUBERNETES_API_ACCESS_H_

#include <memory>
#include <utility>

#include "clients/http/http_client.h"
#include "core/secret_string.h"

namespace latchkey {

// A TLS identity is part of `http`; the token, if any, goes with each request.
struct ApiSession {
  std::shared_ptr<HttpClient> http;
  SecretString bearer_token;
};

// All implementations are safe for concurrent use.
class ApiAccess {
 public:
  ApiAccess() = default;
  ApiAccess(const ApiAccess&) = delete;
  ApiAccess& operator=(const ApiAccess&) = delete;
  virtual ~ApiAccess() = default;

  // Never null. Use it for one request and ask again for the next.
  virtual std::shared_ptr<const ApiSession> Current() = 0;

  // To be told of a 401 to a request of `rejected`. True if Current() answers
  // another session now, with which it is worth trying again.
  virtual bool Renew(const ApiSession& rejected) = 0;
};

// One session for ever.
class FixedApiAccess final : public ApiAccess {
 public:
  explicit FixedApiAccess(ApiSession session)
      : session_(std::make_shared<const ApiSession>(std::move(session))) {}

  std::shared_ptr<const ApiSession> Current() override { return session_; }
  bool Renew(const ApiSession& /*rejected*/) override { return false; }

 private:
  const std::shared_ptr<const ApiSession> session_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_API_ACCESS_H_
