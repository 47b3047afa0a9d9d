// `latchkeyctl doctor`: looks at a cluster, and says what would make Latchkey
// there fail or be in vain.

#ifndef LATCHKEY_CLIENTS_DOCTOR_DOCTOR_H_
#define LATCHKEY_CLIENTS_DOCTOR_DOCTOR_H_

#include <string>
#include <vector>

#include "clients/doctor/active_probes.h"
#include "clients/doctor/broker_file.h"
#include "clients/doctor/finding.h"
#include "clients/doctor/local_certificates.h"
#include "clients/http/http_client.h"
#include "clients/kubernetes/kubernetes_client.h"
#include "core/clock.h"
#include "core/secret_string.h"

namespace latchkey {

struct DoctorOptions {
  BrokerFile broker = {};
  // Whose rights are the broker's; empty: the caller's own.
  std::string broker_account;
  // Make things to look at, and remove them.
  bool active = false;
  std::vector<LocalCertificates> certificates = {};
};

// How to reach the cluster. All must outlive the call.
struct DoctorTools {
  KubernetesClient& client;
  // The same server, for what is no object; and the token to show there.
  HttpClient& http;
  const SecretString& bearer_token;
  const BearerLogin& login;
  const Pause& pause;
  const Clock& clock;
};

// Every check once, in an order that is always the same. Without `active`,
// nothing is written. If the API server cannot be reached, or does not accept
// the caller, that is one finding ("api-server-unreachable",
// "credentials-refused"), and only the certificates at hand are looked at.
Findings Examine(const DoctorOptions& options, const DoctorTools& tools);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_DOCTOR_DOCTOR_H_
