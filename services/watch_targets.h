// What Latchkey watches: one place for the selectors.

#ifndef LATCHKEY_SERVICES_WATCH_TARGETS_H_
#define LATCHKEY_SERVICES_WATCH_TARGETS_H_

#include <string>

#include "clients/kubernetes/resource.h"
#include "services/csr_rules.h"
#include "storage/token_secret.h"

namespace latchkey {

struct WatchTarget {
  Resource resource;
  std::string name_space;
  std::string label_selector;
  std::string field_selector;
};

inline WatchTarget WatchedRecords() {
  return {.resource = kSecrets,
          .name_space = std::string(kTokenNamespace),
          .label_selector = std::string(kTokenLabelSelector),
          .field_selector = std::string(kTokenFieldSelector)};
}

inline WatchTarget WatchedCsrs() {
  return {
      .resource = kCertificateSigningRequests,
      .name_space = {},
      .label_selector = {},
      .field_selector = "spec.signerName=" + std::string(kKubeletClientSigner)};
}

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_WATCH_TARGETS_H_
