#include "devcluster/kubeconfig_text.h"

#include <absl/strings/escaping.h>
#include <fmt/format.h>

namespace latchkey {
namespace {

std::string Base64(std::string_view bytes) {
  return absl::Base64Escape(absl::string_view(bytes.data(), bytes.size()));
}

}  // namespace

SecretString ClientKubeconfig(std::string_view url, std::string_view ca_pem,
                              const IssuedIdentity& identity) {
  std::string key = Base64(identity.private_key_pem.Reveal());
  std::string text = fmt::format(
      R"(apiVersion: v1
kind: Config
clusters:
- name: latchkey-dev
  cluster:
    server: {}
    certificate-authority-data: {}
users:
- name: latchkey-dev
  user:
    client-certificate-data: {}
    client-key-data: {}
contexts:
- name: latchkey-dev
  context:
    cluster: latchkey-dev
    user: latchkey-dev
current-context: latchkey-dev
)",
      url, Base64(ca_pem), Base64(identity.certificate_pem), key);
  SecretString secret(text);
  Wipe(key);
  Wipe(text);
  return secret;
}

std::string ClusterInfoKubeconfig(std::string_view url,
                                  std::string_view ca_pem) {
  return fmt::format(R"(apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {}
    server: {}
  name: ""
contexts: null
current-context: ""
kind: Config
users: null
)",
                     Base64(ca_pem), url);
}

}  // namespace latchkey
