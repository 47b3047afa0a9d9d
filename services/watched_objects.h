// What Latchkey watches: one place for the selectors.

#ifndef LATCHKEY_SERVICES_WATCHED_OBJECTS_H_
#define LATCHKEY_SERVICES_WATCHED_OBJECTS_H_

#include <string>

#include "clients/kubernetes/resource.h"
#include "services/csr_rules.h"
#include "storage/token_secret.h"

namespace latchkey {

struct WatchedObjects {
  Resource resource;
  std::string name_space;
  std::string label_selector;
  std::string field_selector;
};

inline WatchedObjects WatchedRecords() {
  return {.resource = kSecrets,
          .name_space = std::string(kTokenNamespace),
          .label_selector = std::string(kTokenLabelSelector),
          .field_selector = std::string(kTokenFieldSelector)};
}

inline WatchedObjects WatchedCsrs() {
  return {
      .resource = kCertificateSigningRequests,
      .name_space = {},
      .label_selector = {},
      .field_selector = "spec.signerName=" + std::string(kKubeletClientSigner)};
}

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_WATCHED_OBJECTS_H_
