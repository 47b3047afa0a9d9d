// The checks of what the API server is and shows: version, clock, certificates,
// and whether somebody signs. All are pure.

#ifndef LATCHKEY_CLIENTS_DOCTOR_SERVER_CHECKS_H_
#define LATCHKEY_CLIENTS_DOCTOR_SERVER_CHECKS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/doctor/finding.h"
#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey {

// "api-server-version", of the answer to GET /version.
Finding JudgeVersion(std::string_view body);

// One request, by this machine's clock, and the header Date of its answer.
struct ClockSample {
  absl::Time sent;
  absl::Time received;
  std::string date;
};

// How far the server's clock is ahead of this machine's. The answer was made at
// some moment of the round trip, and Date has whole seconds: `error` is half of
// both.
struct ClockOffset {
  absl::Duration ahead;
  absl::Duration error;
};

// From the sample with the shortest round trip; nullopt if none has a date.
std::optional<ClockOffset> OffsetOf(const std::vector<ClockSample>& samples);

// "clock-skew": more than 5 s, or 60 s, beyond doubt.
Finding JudgeClock(const std::optional<ClockOffset>& offset);

// "certificate-expiry" of the certificate among `pem` that ends first. `where`
// it is, for people; `advice` renews it.
//
// A certificate for longer than 30 days is a warning in its last 30 days and an
// error in its last 7. One for a shorter time is renewed by some program: a
// warning in the last third of its time, an error in the last tenth.
Finding JudgeCertificates(std::string_view where, std::string_view pem,
                          std::string_view advice, absl::Time now);

// A CSR for a Node's client certificate.
struct SigningView {
  std::string name;
  // Nullopt: not approved, or denied, or failed.
  std::optional<absl::Time> approved;
  bool has_certificate = false;
};

SigningView ViewSigning(const kubernetes::CertificateSigningRequest& csr);
// Those for Nodes' client certificates. Errors are the client's.
absl::StatusOr<std::vector<SigningView>> ReadSignings(KubernetesClient& client);

// "signer": an error if one was approved 30 s ago and has no certificate.
Finding JudgeSigner(const std::vector<SigningView>& signings, absl::Time now);

// What to do where nobody signs.
extern const char kSignerAdvice[];

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_DOCTOR_SERVER_CHECKS_H_
