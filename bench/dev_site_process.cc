#include "bench/dev_site_process.h"

#include <absl/time/clock.h>

#include "clients/broker/broker_channel.h"
#include "clients/kubernetes/file_api_access.h"
#include "clients/kubernetes/http_kubernetes_client.h"
#include "core/status_macros.h"
#include "tests/e2e/broker_process.h"

namespace latchkey_bench {

using latchkey_testing::ChildProcess;
using latchkey_testing::ReadFile;

absl::StatusOr<std::unique_ptr<DevSiteProcess>> DevSiteProcess::Start() {
  std::unique_ptr<DevSiteProcess> site(new DevSiteProcess());
  LATCHKEY_ASSIGN_OR_RETURN(
      site->process_,
      ChildProcess::Start({"setpriv", "--pdeathsig", "KILL",
                           latchkey_testing::BuiltProgram("latchkeyd"), "dev",
                           "--listen", "127.0.0.1:0"},
                          {.environment = {{"TMPDIR", site->dir_.path()}},
                           .stdout_path = site->dir_.File("guide"),
                           .stderr_path = site->dir_.File("log")}));
  LATCHKEY_RETURN_IF_ERROR(site->AwaitReady());
  return site;
}

absl::Status DevSiteProcess::AwaitReady() {
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (absl::Now() < deadline) {
    guide_ = ReadFile(dir_.File("guide"));
    if (guide_.find("\nReady") != std::string::npos) return absl::OkStatus();
    absl::SleepFor(absl::Milliseconds(2));
  }
  return absl::InternalError("latchkeyd dev did not come up: " +
                             ReadFile(dir_.File("log")));
}

std::string DevSiteProcess::Guided(const std::string& key) const {
  const size_t at = guide_.find("\n  " + key + " ");
  if (at == std::string::npos) return "";
  const size_t begin = guide_.find_first_not_of(' ', at + 3 + key.size());
  return guide_.substr(begin, guide_.find('\n', begin) - begin);
}

std::string DevSiteProcess::File(const std::string& name) const {
  const std::string kubeconfig = Guided("kubeconfig");
  return kubeconfig.substr(0, kubeconfig.rfind('/') + 1) + name;
}

absl::StatusOr<std::unique_ptr<latchkey::KubernetesClient>>
DevSiteProcess::Client() const {
  LATCHKEY_ASSIGN_OR_RETURN(
      std::unique_ptr<latchkey::FileApiAccess> access,
      latchkey::FileApiAccess::Create({.kubeconfig_path = Guided("kubeconfig")},
                                      clock_));
  return std::make_unique<latchkey::HttpKubernetesClient>(std::move(access));
}

std::shared_ptr<grpc::Channel> DevSiteProcess::ProvisionerChannel() const {
  return latchkey::OpenBrokerChannel(
      {.endpoint = Guided("provisioners"),
       .certificate_authorities = ReadFile(File("ca.crt")),
       .certificate_pem = ReadFile(File("provisioner.crt")),
       .private_key_pem =
           latchkey::SecretString(ReadFile(File("provisioner.key")))});
}

latchkey::BrokerEndpoint DevSiteProcess::NodeEndpoint() const {
  return {.address = Guided("machines"), .ca_pem = ReadFile(File("ca.crt"))};
}

}  // namespace latchkey_bench
