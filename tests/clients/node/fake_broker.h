// A BrokerClient that answers what a test tells it to.

#ifndef LATCHKEY_TESTS_CLIENTS_NODE_FAKE_BROKER_H_
#define LATCHKEY_TESTS_CLIENTS_NODE_FAKE_BROKER_H_

#include <deque>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "clients/node/broker_client.h"

namespace latchkey_testing {

class FakeBroker final : public latchkey::BrokerClient {
 public:
  explicit FakeBroker(latchkey::BootstrapGrant answer)
      : grant(std::move(answer)) {}

  absl::StatusOr<latchkey::BootstrapGrant> Claim(
      const latchkey::NodeClaim& claim, absl::Duration /*timeout*/) override {
    claims.push_back(claim);
    if (!refusal.ok()) return refusal;
    if (!failures.empty()) {
      absl::Status failure = std::move(failures.front());
      failures.pop_front();
      return failure;
    }
    return grant;
  }

  latchkey::BootstrapGrant grant;
  // The answers to the next claims.
  std::deque<absl::Status> failures;
  // Unless OK, the answer to every claim.
  absl::Status refusal;
  std::vector<latchkey::NodeClaim> claims;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_CLIENTS_NODE_FAKE_BROKER_H_
