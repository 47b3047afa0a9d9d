#include "clients/ctl/issue_command.h"

#include <memory>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "clients/ctl/arguments.h"
#include "clients/ctl/cures.h"
#include "clients/ctl/data_tree.h"
#include "clients/ctl/issue_request.h"
#include "clients/ctl/machine_files.h"
#include "clients/ctl/token_text.h"
#include "clients/files/durable_file.h"
#include "core/secret_string.h"
#include "core/status_macros.h"
#include "crypto/random.h"

namespace latchkey {
namespace {

constexpr size_t kRequestIdLength = 32;

struct IssueFlags {
  IssueFields fields;
  std::string request_id;
  bool validate_only = false;
  std::string output = "text";
  std::string out_file;
};

// The answer's secrets, wiped at the end.
class IssuedSecrets {
 public:
  explicit IssuedSecrets(v1::IssueTokenResponse& response)
      : response_(response) {}
  IssuedSecrets(const IssuedSecrets&) = delete;
  IssuedSecrets& operator=(const IssuedSecrets&) = delete;
  ~IssuedSecrets() {
    Wipe(*response_.mutable_ticket());
    Wipe(*response_.mutable_bootstrap_token());
  }

 private:
  v1::IssueTokenResponse& response_;
};

absl::StatusOr<v1::IssueTokenRequest> RequestOf(const IssueFlags& flags) {
  LATCHKEY_ASSIGN_OR_RETURN(v1::IssueTokenRequest request,
                            IssueRequestOf(flags.fields));
  // One of our own makes the repetitions idempotent.
  request.set_request_id(
      flags.request_id.empty()
          ? std::string(RandomBase36(kRequestIdLength).Reveal())
          : flags.request_id);
  request.set_validate_only(flags.validate_only);
  return request;
}

// Of what was only asked about: text says it on standard error.
bool ShowsPreview(std::string_view output) {
  return output == "text" || output == "json" || output == "yaml";
}

// The broker for a machine, if the output needs it and can be made.
absl::StatusOr<NodeBroker> BrokerFor(const CommandContext& context,
                                     const IssueFlags& flags,
                                     v1::Delivery delivery) {
  NodeBroker broker;
  if (IsMachineFormat(flags.output)) {
    LATCHKEY_ASSIGN_OR_RETURN(const CtlConfig config, context.Config());
    LATCHKEY_ASSIGN_OR_RETURN(broker, ReadNodeBroker(config));
  }
  LATCHKEY_RETURN_IF_ERROR(CheckMachineFormat(flags.output, delivery, broker));
  return broker;
}

// Before anything is minted, so that a ticket is not lost for want of a place.
absl::Status CheckPlace(const std::string& out_file) {
  if (out_file.empty()) return absl::OkStatus();
  const absl::Status place = ProbeNewFile(out_file);
  if (place.ok()) return place;
  return WithCure(absl::InvalidArgumentError(std::string(place.message())),
                  "name a new file with --out, in a folder that is there and "
                  "that you may write to");
}

// What was minted and reaches nobody: named, so that it can be cut off.
absl::Status Lost(const v1::Token& token, const absl::Status& why) {
  const std::string id = Visible(token.id());
  return WithCure(
      absl::InternalError(fmt::format(
          "{}; token {} for {} was minted, and nobody has what it is claimed "
          "or used with",
          std::string(why.message()), id, token.scope().node_name())),
      fmt::format("latchkeyctl revoke {} --reason 'never delivered'; then "
                  "issue again",
                  id));
}

absl::Status Write(const CommandContext& context, const std::string& out_file,
                   const std::string& text, const v1::Token& token) {
  if (out_file.empty()) {
    context.out << text;
    const absl::Status written = context.Flush();
    return written.ok() ? written : Lost(token, written);
  }
  const absl::Status written = WriteNewFileDurably(out_file, text, 0600);
  if (written.ok()) return written;
  // Whatever it was, the same command may do next time.
  return WithCure(absl::InternalError(std::string(written.message())),
                  fmt::format("its token {} is minted, and useless without "
                              "this file: make room for the file and run it "
                              "again; latchkeyctl revoke {} ends the token",
                              Visible(token.id()), Visible(token.id())));
}

// Each run is a request of its own, unless its --request-id was given: run
// again, it would mint a second token beside one whose ticket nobody has.
absl::Status NotIssued(const absl::Status& error, const IssueFlags& flags) {
  if (flags.validate_only || !MayBeDone(error)) return error;
  if (!flags.request_id.empty()) {
    return WithCure(error, CureOf(error) +
                               "; a token may have been minted: with the same "
                               "--request-id the same command gets that one");
  }
  return WithCure(
      error,
      fmt::format("{}; a token may have been minted whose ticket nobody has: "
                  "latchkeyctl list --node {} shows it, latchkeyctl revoke ID "
                  "ends it",
                  CureOf(error), Visible(flags.fields.node_name)));
}

absl::StatusOr<int> Issue(const CommandContext& context,
                          const IssueFlags& flags) {
  LATCHKEY_ASSIGN_OR_RETURN(const v1::IssueTokenRequest request,
                            RequestOf(flags));
  if (flags.output == "name" && flags.out_file.empty() &&
      !flags.validate_only) {
    return absl::InvalidArgumentError(
        "-o name shows the id alone, and the ticket would be lost: name a file "
        "for it with --out");
  }
  if (flags.validate_only && !ShowsPreview(flags.output)) {
    return absl::InvalidArgumentError(fmt::format(
        "--validate-only mints nothing that -o {} could show: it has text, "
        "json and yaml",
        flags.output));
  }
  LATCHKEY_ASSIGN_OR_RETURN(const NodeBroker broker,
                            BrokerFor(context, flags, request.delivery()));
  LATCHKEY_ASSIGN_OR_RETURN(const auto api, context.Connect());
  LATCHKEY_RETURN_IF_ERROR(CheckPlace(flags.out_file));
  absl::StatusOr<v1::IssueTokenResponse> answer = api->IssueToken(request);
  if (!answer.ok()) return NotIssued(answer.status(), flags);
  v1::IssueTokenResponse& response = *answer;
  const IssuedSecrets secrets(response);
  const v1::Token& token = response.token();
  const std::string node = Visible(token.scope().node_name());
  if (flags.validate_only) {
    context.err << fmt::format("allowed: a token for {} until {}\n", node,
                               TimeText(token.expire_time()));
    if (flags.output == "json") context.out << JsonText(response);
    if (flags.output == "yaml") context.out << ToYaml(TreeOf(response));
    return kDone;
  }
  absl::StatusOr<std::string> text =
      RenderIssued(response, flags.output, broker);
  if (!text.ok()) return Lost(token, text.status());
  const absl::Status written = Write(context, flags.out_file, *text, token);
  Wipe(*text);
  LATCHKEY_RETURN_IF_ERROR(written);
  if (flags.output == "name") {
    context.out << Visible(token.id()) << "\n";
    LATCHKEY_RETURN_IF_ERROR(context.Flush());
  }
  context.err << fmt::format(
      "token {} for {}, {} before {}\n", Visible(token.id()), node,
      response.ticket().empty() ? "to be used" : "to be claimed",
      TimeText(token.expire_time()));
  return kDone;
}

void AddScopeFlags(CLI::App& command, IssueFields& fields) {
  constexpr char kGroup[] = "What the token may buy";
  command
      .add_option("--node", fields.node_name, "the Node name of the machine")
      ->required()
      ->group(kGroup);
  command
      .add_option("--delivery", fields.delivery,
                  "ticket (default): exchanged by latchkey-join; direct: "
                  "the bootstrap token itself")
      ->check(CLI::IsMember({"ticket", "direct"}))
      ->group(kGroup);
  command
      .add_option("--lifetime", fields.lifetime,
                  "how long the machine has, such as 30m")
      ->group(kGroup);
  command
      .add_option("--group", fields.groups,
                  "a further group of the token; may be repeated")
      ->allow_extra_args(false)
      ->group(kGroup);
  command
      .add_option("--max-certificate-lifetime", fields.max_certificate_lifetime,
                  "the longest certificate it may buy, such as 24h")
      ->group(kGroup);
  command
      .add_option("--public-key-sha256", fields.public_key_sha256,
                  "the one key that may use it: SHA-256 of its "
                  "SubjectPublicKeyInfo in hexadecimal")
      ->group(kGroup);
  command
      .add_flag("--allow-node-replacement", fields.allow_node_replacement,
                "the machine may take the name of a Node that exists")
      ->group(kGroup);
  command
      .add_option("--label", fields.labels,
                  "key=value, to find it by; may be repeated")
      ->allow_extra_args(false)
      ->group(kGroup);
}

void AddOutputFlags(CLI::App& command, IssueFlags& flags) {
  command
      .add_option("-o,--output", flags.output,
                  "text (default): the ticket alone; json, yaml: the whole "
                  "answer; name: the token's id, and the ticket to --out; or "
                  "what a machine is told: cloud-init, ignition, systemd, "
                  "kubeadm (direct delivery), env")
      ->check(CLI::IsMember({"text", "json", "yaml", "name", "cloud-init",
                             "ignition", "systemd", "kubeadm", "env"}))
      ->group("Output");
  AsPath(command.add_option("--out", flags.out_file,
                            "write to this new file, mode 0600, instead"))
      ->group("Output")
      ->excludes(command.get_option("--validate-only"));
}

}  // namespace

void AddIssueCommand(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<IssueFlags>();
  CLI::App& command =
      *app.add_subcommand("issue", "mint one token for one machine");
  command.footer(
      "What the token may buy:\n"
      "  latchkeyctl issue --node worker-1 --lifetime 20m --label pool=gpu\n"
      "  latchkeyctl issue --node worker-1 --delivery direct\n"
      "Output; the ticket is printed alone on standard output:\n"
      "  latchkeyctl issue --node worker-1 --out /run/latchkey/ticket\n"
      "  latchkeyctl issue --node worker-1 -o cloud-init --out user-data\n"
      "  id=$(latchkeyctl issue --node worker-1 --out ticket -o name)\n"
      "Asking:\n"
      "  latchkeyctl issue --node worker-1 --validate-only");
  AddScopeFlags(command, flags->fields);
  command
      .add_flag("--validate-only", flags->validate_only,
                "ask whether it would be allowed; mint nothing. With -o json "
                "or yaml, show what would be minted")
      ->group("Asking");
  AddOutputFlags(command, *flags);
  command
      .add_option("--request-id", flags->request_id,
                  "makes repeating this command harmless: 8 to 64 printable "
                  "characters, such as a UUID. Whoever knows it and can read "
                  "the token's Secret can make the "
                  "ticket, and others on this machine see it: prefer batch "
                  "with --batch-id-file")
      ->group("Asking");
  command.callback([&context, flags] {
    context.run = [&context, flags] { return Issue(context, *flags); };
  });
}

}  // namespace latchkey
