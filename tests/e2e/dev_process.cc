#include "tests/e2e/dev_process.h"

#include <signal.h>

#include <cstdio>
#include <stdexcept>
#include <utility>

#include "storage/kubernetes_token_store.h"
#include "tests/e2e/broker_process.h"
#include "tests/e2e/cluster_client.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

// What follows `key` in the first line that has it, as far as the line's end.
std::string ValueOf(const std::string& text, const std::string& key) {
  const size_t at = text.find(key);
  if (at == std::string::npos) return "";
  const size_t begin = at + key.size();
  return text.substr(begin, text.find('\n', begin) - begin);
}

}  // namespace

DevProcess::DevProcess() {
  auto started = ChildProcess::Start(
      {"setpriv", "--pdeathsig", "KILL", BuiltProgram("latchkeyd"), "dev",
       "--data-dir", dir_.File("site"), "--listen", "127.0.0.1:0"},
      {.environment = {},
       .stdout_path = dir_.File("guide"),
       .stderr_path = dir_.File("log")});
  if (!started.ok()) throw std::runtime_error(started.status().ToString());
  process_ = *std::move(started);
  bool ready = false;
  WaitUntil([&] {
    ready = ReadFile(dir_.File("guide")).find("\nReady") != std::string::npos;
    return ready || process_->AwaitExit(absl::ZeroDuration()).has_value();
  });
  if (ready) admin_ = ClientOfKubeconfig(Path("admin.kubeconfig"));
  if (admin_ == nullptr) {
    throw std::runtime_error("latchkeyd dev did not come up:\n" +
                             ReadFile(dir_.File("log")));
  }
  node_endpoint_ = ValueOf(ReadFile(dir_.File("guide")), "machines      ");
}

DevProcess::~DevProcess() {
  process_->Signal(SIGKILL);
  process_->AwaitExit(absl::Seconds(20));
}

std::string DevProcess::Ticket(const std::string& node_name) const {
  const ProgramResult issued =
      RunProgram({BuiltProgram("latchkeyctl"), "--config",
                  Path("latchkeyctl.yaml"), "issue", "--node", node_name},
                 {});
  if (issued.exit_code != 0) {
    std::fprintf(stderr, "no ticket: %s\n", issued.err.c_str());
    return "";
  }
  return issued.out.substr(0, issued.out.find('\n'));
}

absl::StatusOr<latchkey::StoredToken> DevProcess::Record(
    const std::string& token_id) {
  latchkey::KubernetesTokenStore store(*admin_);
  return store.Find(latchkey::TokenId::Parse(token_id).value());
}

std::vector<latchkey::kubernetes::CertificateSigningRequest>
DevProcess::RequestsOf(const std::string& token_id) {
  std::vector<latchkey::kubernetes::CertificateSigningRequest> requests;
  auto all =
      admin_->List<latchkey::kubernetes::CertificateSigningRequestList>({});
  if (!all.ok()) throw std::runtime_error(all.status().ToString());
  for (auto& request : *all->mutable_items()) {
    if (request.spec().username() == "system:bootstrap:" + token_id) {
      requests.push_back(std::move(request));
    }
  }
  return requests;
}

}  // namespace latchkey_testing
