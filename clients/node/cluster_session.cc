#include "clients/node/cluster_session.h"

#include <utility>

#include <fmt/format.h>

#include "clients/kubernetes/kubernetes_status.h"
#include "core/refusal.h"

namespace latchkey {

ClusterSession::ClusterSession(const BootstrapGrant& grant,
                               const KubernetesClientFactory& factory,
                               Pace& pace)
    : grant_(grant), factory_(factory), pace_(pace), backoff_(pace) {}

const std::string& ClusterSession::api_server() const {
  return grant_.api_servers[server_];
}

absl::StatusOr<KubernetesClient*> ClusterSession::Client() {
  if (client_ == nullptr) {
    auto client = factory_({.url = api_server(),
                            .ca_pem = grant_.ca_pem,
                            .credential = grant_.token});
    // A machine that has run out of something is not refused.
    if (!client.ok() && !absl::IsInvalidArgument(client.status())) {
      return client.status();
    }
    if (!client.ok()) {
      return absl::PermissionDeniedError(
          fmt::format("the API server that was named cannot be used: {}",
                      std::string(client.status().message())));
    }
    client_ = *std::move(client);
  }
  asked_at_ = pace_.Elapsed();
  return client_.get();
}

void ClusterSession::Succeeded() {
  turned_away_since_.reset();
  backoff_.Reset();
}

absl::StatusOr<absl::Duration> ClusterSession::Failed(
    const absl::Status& error) {
  const auto hopeless = [&](std::string_view what) {
    return absl::PermissionDeniedError(fmt::format(
        "{} {}: {}", api_server(), what, std::string(error.message())));
  };
  // What no API server has said is no verdict, but overload it refuses so too.
  const bool is_anybodys =
      IsWithoutKubernetesStatus(error) && !absl::IsResourceExhausted(error);
  switch (is_anybodys ? absl::StatusCode::kUnavailable : error.code()) {
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied: {
      if (!turned_away_since_) turned_away_since_ = pace_.Elapsed();
      if (asked_at_ - *turned_away_since_ >= kPatience) {
        return hopeless(absl::IsUnauthenticated(error)
                            ? "does not accept the bootstrap token"
                            : "does not let the bootstrap token do this");
      }
      break;
    }
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      // Nobody there, as far as can be told from here: ask the next.
      turned_away_since_.reset();
      server_ = (server_ + 1) % grant_.api_servers.size();
      client_.reset();
      break;
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kResourceExhausted:
      turned_away_since_.reset();
      break;
    default:
      return hopeless("refuses");
  }
  return backoff_.Next(RetryAfterOf(error).value_or(absl::ZeroDuration()));
}

}  // namespace latchkey
