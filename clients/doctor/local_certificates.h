// Certificates of files at hand, which the doctor judges without asking
// anybody.

#ifndef LATCHKEY_CLIENTS_DOCTOR_LOCAL_CERTIFICATES_H_
#define LATCHKEY_CLIENTS_DOCTOR_LOCAL_CERTIFICATES_H_

#include <string>
#include <vector>

namespace latchkey {

// Certificates that are at hand, and where from.
struct LocalCertificates {
  std::string where;
  // Empty: they cannot be read.
  std::string pem;
  std::string advice;
};

// Those of a file that broker.yaml names.
LocalCertificates CertificatesOfFile(const std::string& path,
                                     std::string advice);

// The authority and the client certificate of the broker's kubeconfig, as far
// as it has them. Its key and token are not read: whoever runs the doctor may
// not be allowed to.
std::vector<LocalCertificates> CertificatesOfBrokersKubeconfig(
    const std::string& path);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_DOCTOR_LOCAL_CERTIFICATES_H_
