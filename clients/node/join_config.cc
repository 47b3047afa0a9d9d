#include "clients/node/join_config.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "clients/broker/broker_address.h"
#include "clients/files/read_file.h"
#include "core/config_reader.h"
#include "core/node_name.h"
#include "core/secret_string.h"
#include "core/status_macros.h"
#include "core/token_scope.h"

namespace latchkey {
namespace {

constexpr std::string_view kCredentialName = "latchkey-ticket";

std::string LowerCase(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

absl::Status CheckPath(std::string_view path) {
  const bool plain = std::ranges::none_of(
      path, [](char c) { return c >= 0 && (c < ' ' || c == '\x7f'); });
  if (!path.empty() && path.front() == '/' && path.back() != '/' && plain) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("must be an absolute path of a file");
}

// The content of the file that `field` names, for Parse to judge; empty, and
// the mistake noted, if that fails.
SecretString ReadNamedFile(const ConfigReader& section, std::string_view field,
                           const std::string& path, size_t max_bytes) {
  if (const absl::Status status = CheckPath(path); !status.ok()) {
    section.Check(field, status);
    return {};
  }
  absl::StatusOr<std::string> content = ReadFileBounded(path, max_bytes);
  if (!content.ok()) {
    section.Check(field, content.status());
    return {};
  }
  if (content->empty()) {
    section.Mistake(field, fmt::format("{}: is empty", path));
    return {};
  }
  SecretString secret(*content);
  Wipe(*content);
  return secret;
}

// The same for a secret in one line, with the line's end that editors add.
SecretString ReadSecretLine(const ConfigReader& section, std::string_view field,
                            const std::string& path) {
  constexpr size_t kMaxBytes = 4096;
  const SecretString line = ReadNamedFile(section, field, path, kMaxBytes);
  std::string_view text = line.Reveal();
  // Empty stands for a mistake that was noted.
  if (text == "\n") section.Mistake(field, fmt::format("{}: is empty", path));
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  return SecretString(text);
}

std::string ReadAuthorities(const ConfigReader& section) {
  constexpr std::string_view kField = "ca_file";
  const std::string path = section.RequiredString(kField);
  if (path.empty()) return "";
  std::string pem(
      ReadNamedFile(section, kField, path, Certificate::kMaxPemBytes).Reveal());
  if (!pem.empty()) {
    section.Check(kField, Certificate::ParseAll(pem).status());
  }
  return pem;
}

BrokerEndpoint ReadBroker(const ConfigReader& section) {
  BrokerEndpoint broker;
  broker.address = section.RequiredString("endpoint");
  if (!broker.address.empty()) {
    section.Check("endpoint", CheckBrokerAddress(broker.address));
  }
  broker.ca_pem = ReadAuthorities(section);
  broker.server_name = section.String("server_name", "");
  return broker;
}

std::optional<Ticket> ReadTicket(const ConfigReader& root,
                                 const JoinEnvironment& environment) {
  constexpr std::string_view kField = "ticket_file";
  std::string path;
  if (root.Has(kField)) {
    path = root.RequiredString(kField);
    if (path.empty()) return std::nullopt;
  } else if (!environment.credentials_dir.empty()) {
    path = fmt::format("{}/{}", environment.credentials_dir, kCredentialName);
  } else {
    root.Mistake(kField,
                 "is missing; name the file of the ticket, or load it as the "
                 "systemd credential latchkey-ticket, or use direct");
    return std::nullopt;
  }
  const SecretString text = ReadSecretLine(root, kField, path);
  if (text.empty()) return std::nullopt;
  absl::StatusOr<Ticket> ticket = Ticket::Parse(text.Reveal());
  root.Check(kField, ticket.status());
  if (!ticket.ok()) return std::nullopt;
  return *std::move(ticket);
}

std::optional<BootstrapGrant> ReadDirect(const ConfigReader& section) {
  const std::string api_server = section.RequiredString("api_server");
  if (!api_server.empty()) {
    section.Check("api_server", CheckApiServerUrl(api_server));
  }
  std::string ca_pem = ReadAuthorities(section);
  const absl::Duration lifetime =
      section.Duration("certificate_lifetime", absl::ZeroDuration(),
                       kMinCertificateLifetime, kMaxCertificateLifetime);
  const std::string path = section.RequiredString("token_file");
  if (path.empty()) return std::nullopt;
  const SecretString text = ReadSecretLine(section, "token_file", path);
  if (text.empty()) return std::nullopt;
  absl::StatusOr<BootstrapToken> token = BootstrapToken::Parse(text.Reveal());
  section.Check("token_file", token.status());
  if (!token.ok()) return std::nullopt;
  return BootstrapGrant{.token = *std::move(token),
                        .api_servers = {api_server},
                        .ca_pem = std::move(ca_pem),
                        .certificate_expiration_seconds =
                            static_cast<int>(absl::ToInt64Seconds(lifetime))};
}

KeyType ReadKeyType(const ConfigReader& root) {
  const std::string name =
      root.Choice("key_type", "p256", {"p256", "p384", "ed25519", "rsa2048"});
  if (name == "p384") return KeyType::kP384;
  if (name == "ed25519") return KeyType::kEd25519;
  if (name == "rsa2048") return KeyType::kRsa2048;
  return KeyType::kP256;
}

NodeFilePaths ReadOutput(const ConfigReader& section) {
  NodeFilePaths paths;
  const auto read = [&section](std::string_view field, std::string& path) {
    path = section.String(field, path);
    section.Check(field, CheckPath(path));
  };
  read("cert_dir", paths.cert_dir);
  read("kubeconfig", paths.kubeconfig);
  read("ca_file", paths.ca_file);
  return paths;
}

}  // namespace

absl::StatusOr<JoinConfig> ParseJoinConfig(std::string_view name,
                                           std::string_view text,
                                           const JoinEnvironment& environment) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::unique_ptr<ConfigDocument> document,
                            ConfigDocument::Parse(name, text));
  const ConfigReader root = document->root();

  const std::string node_name =
      root.String("node_name", LowerCase(environment.host_name));
  root.Check("node_name", ValidateNodeName(node_name));
  const KeyType key_type = ReadKeyType(root);
  const absl::Duration timeout = root.Duration(
      "timeout", absl::Minutes(10), absl::Seconds(1), absl::Hours(24));
  const bool prove = root.Bool("prove", false);
  NodeFilePaths output = ReadOutput(root.Section("output"));

  const bool is_direct = root.Has("direct");
  std::optional<BrokerEndpoint> broker;
  if (!is_direct || root.Has("broker")) {
    broker = ReadBroker(root.Section("broker"));
  }
  std::optional<std::variant<Ticket, BootstrapGrant>> credential;
  if (is_direct) {
    credential = ReadDirect(root.Section("direct"));
    if (root.Has("ticket_file")) {
      root.Mistake("direct", "ticket_file is given too; leave one of them out");
    }
  } else {
    credential = ReadTicket(root, environment);
  }
  LATCHKEY_RETURN_IF_ERROR(document->Finish());

  return JoinConfig{.plan = {.node_name = node_name,
                             .key_type = key_type,
                             .credential = *std::move(credential),
                             .timeout = timeout,
                             .prove = prove},
                    .broker = std::move(broker),
                    .output = std::move(output)};
}

}  // namespace latchkey
