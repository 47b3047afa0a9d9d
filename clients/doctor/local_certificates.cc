#include "clients/doctor/local_certificates.h"

#include <cstddef>
#include <utility>

#include <absl/status/statusor.h>
#include <fmt/format.h>

#include "clients/doctor/shown_text.h"
#include "clients/files/read_file.h"
#include "clients/kubernetes/kubeconfig.h"

namespace latchkey {
namespace {

constexpr size_t kMaxPemBytes = 1 << 20;

// What cannot be read has no certificates, and is told of as such.
std::string PemOf(const std::string& path) {
  absl::StatusOr<std::string> pem = ReadFileBounded(path, kMaxPemBytes);
  return pem.ok() ? *std::move(pem) : "";
}

std::string PemOf(const ConfiguredBytes& configured) {
  return configured.path.empty() ? std::string(configured.inline_bytes.Reveal())
                                 : PemOf(configured.path);
}

}  // namespace

LocalCertificates CertificatesOfFile(const std::string& path,
                                     std::string advice) {
  return {
      .where = Shown(path), .pem = PemOf(path), .advice = std::move(advice)};
}

std::vector<LocalCertificates> CertificatesOfBrokersKubeconfig(
    const std::string& path) {
  const std::string name = "the broker's kubeconfig " + Shown(path);
  const absl::StatusOr<ApiServerConfig> config = LoadKubeconfig(path);
  if (!config.ok()) {
    return {{.where = name,
             .pem = "",
             .advice = "run the doctor as a user who can read it"}};
  }
  std::vector<LocalCertificates> all;
  if (!config->certificate_authority.empty()) {
    all.push_back({.where = "the authority of " + name,
                   .pem = PemOf(config->certificate_authority),
                   .advice = "renew the cluster's authority, and hand it to "
                             "all who trust the old one"});
  }
  if (!config->client_certificate.empty()) {
    all.push_back({.where = "the client certificate of " + name,
                   .pem = PemOf(config->client_certificate),
                   .advice = "give the broker a new kubeconfig; latchkeyd "
                             "reads it again by itself"});
  }
  return all;
}

}  // namespace latchkey
