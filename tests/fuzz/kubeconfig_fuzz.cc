// Any bytes as a kubeconfig: refused with each mistake on a line of its own, or
// we know where the server is and who we are, and nothing was skipped that
// would have us do otherwise.

#include <string>
#include <string_view>

#include "clients/kubernetes/kubeconfig.h"
#include "tests/fuzz/insist.h"

namespace {

using latchkey_testing::Insist;

constexpr char kPath[] = "/etc/kubernetes/admin.conf";

// A path or bytes, not both; paths start from the kubeconfig's folder.
void CheckSource(const latchkey::ConfiguredBytes& source) {
  Insist(source.path.empty() || source.inline_bytes.empty());
  Insist(source.path.empty() || source.path.front() == '/');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = latchkey_testing::AsText(data, size);
  const auto config = latchkey::ParseKubeconfig(kPath, text);
  if (!config.ok()) {
    Insist(absl::IsInvalidArgument(config.status()));
    Insist(!config.status().message().empty());
    return 0;
  }
  Insist(config->server.starts_with("https://"));
  Insist(config->client_certificate.empty() == config->client_key.empty());
  CheckSource(config->certificate_authority);
  CheckSource(config->client_certificate);
  CheckSource(config->client_key);
  // What the file says of it is read the same way each time.
  const auto again = latchkey::ParseKubeconfig(kPath, text);
  Insist(again.ok() && again->server == config->server);
  Insist(again->token.inline_bytes.Reveal() ==
         config->token.inline_bytes.Reveal());
  return 0;
}
