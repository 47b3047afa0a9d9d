// Any bytes as join.yaml, on a machine that has a ticket, a token and a
// cluster's authorities: refused with each mistake on a line of its own, or a
// plan that can be carried out.

#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "clients/node/join_config.h"
#include "core/node_name.h"
#include "crypto/certificate_authority.h"
#include "tests/fuzz/insist.h"

namespace {

using latchkey_testing::Insist;

// Files for the configuration to name, as /proc/self/fd/NUMBER: they are there
// in every process and leave nothing behind.
enum Files { kTicket = 200, kToken, kAuthorities, kLineBreak };

void Offer(Files number, std::string_view content) {
  const int file = memfd_create("fuzz", 0);
  Insist(write(file, content.data(), content.size()) ==
         static_cast<ssize_t>(content.size()));
  Insist(dup2(file, number) == number);
  close(file);
}

void CheckPlan(const latchkey::JoinConfig& config) {
  Insist(latchkey::ValidateNodeName(config.plan.node_name).ok());
  Insist(config.plan.timeout >= absl::Seconds(1) &&
         config.plan.timeout <= absl::Hours(24));
  for (const std::string& path :
       {config.output.cert_dir, config.output.kubeconfig,
        config.output.ca_file}) {
    Insist(path.starts_with('/') && path.find('\n') == std::string::npos);
  }
  const bool direct =
      std::holds_alternative<latchkey::BootstrapGrant>(config.plan.credential);
  Insist(direct || config.broker.has_value());
  // Nothing is spoken to without knowing whom.
  if (config.broker.has_value()) {
    Insist(!config.broker->address.empty() && !config.broker->ca_pem.empty());
  }
  if (!direct) return;
  const auto& grant =
      std::get<latchkey::BootstrapGrant>(config.plan.credential);
  Insist(!grant.ca_pem.empty() && grant.api_servers.size() == 1);
  Insist(grant.api_servers[0].starts_with("https://"));
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  const auto ticket = latchkey::Ticket::FromSecret(
      *latchkey::TokenId::Parse("abc123"),
      latchkey::SecretString(std::string(32, 'x')));
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  const auto authority =
      latchkey::CertificateAuthority::Create("fuzz", now, now + absl::Hours(1));
  Insist(ticket.ok() && authority.ok());
  Offer(kTicket, ticket->text().Reveal());
  Offer(kToken, "abc123.0123456789abcdef\n");
  Offer(kAuthorities, authority->certificate_pem());
  Offer(kLineBreak, "\n");
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = latchkey_testing::AsText(data, size);
  const auto config =
      latchkey::ParseJoinConfig("join.yaml", text, {.host_name = "Worker-1"});
  if (config.ok()) {
    CheckPlan(*config);
  } else {
    Insist(absl::IsInvalidArgument(config.status()));
    Insist(!config.status().message().empty());
  }
  return 0;
}
