#include "clients/ctl/audit_command.h"

#include <errno.h>

#include <fstream>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "audit/audit_verify.h"
#include "clients/ctl/arguments.h"
#include "clients/ctl/cures.h"
#include "clients/ctl/data_tree.h"
#include "clients/ctl/output_flag.h"
#include "core/text_time.h"

namespace latchkey {
namespace {

struct AuditFlags {
  std::vector<std::string> files;
  bool allow_missing_start = false;
  std::string clock_skew = "5s";
  std::string output = "text";
};

std::string TextOf(const AuditSummary& summary) {
  std::string text = fmt::format(
      "proven: {} records; {} CSRs of {} tokens approved, at most one "
      "certificate for each token\n",
      summary.records, summary.approvals, summary.tokens);
  for (const AuditSummary::Chain& chain : summary.chains) {
    text += fmt::format("{} ends with record {}, hash {}\n", chain.file,
                        chain.head.sequence, chain.head.hash);
  }
  return text;
}

DataTree TreeOf(const AuditSummary& summary) {
  DataList chains;
  for (const AuditSummary::Chain& chain : summary.chains) {
    chains.emplace_back(DataFields{{"file", chain.file},
                                   {"sequence", chain.head.sequence},
                                   {"hash", chain.head.hash}});
  }
  return DataFields{{"proven", true},
                    {"records", summary.records},
                    {"approvals", summary.approvals},
                    {"tokens", summary.tokens},
                    {"chains", std::move(chains)}};
}

// By the codes of VerifyAudit().
std::string_view CureOfVerdict(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kNotFound:
      return "name the files of all replicas together, older ones too; if "
             "those were thrown away, --allow-missing-start proves the others";
    case absl::StatusCode::kAlreadyExists:
      return "name each file once";
    case absl::StatusCode::kFailedPrecondition:
      return "if the replicas' clocks were further apart than --clock-skew, "
             "say how far. If not, what was never to happen has happened: keep "
             "the files, look at the CSRs and the token that these lines name "
             "(latchkeyctl explain), and take their machines out of the "
             "cluster";
    default:
      return "if the file was copied while a broker wrote it, copy it again. "
             "If not, somebody altered it: keep it, compare it with a copy, "
             "and find out who can write there; docs/audit.md says what a "
             "chain proves";
  }
}

// Proves what the flags name.
absl::StatusOr<int> Verify(const AuditFlags& flags, std::ostream& out) {
  const auto skew = ParsePositiveDuration(flags.clock_skew);
  if (!skew.ok()) {
    return absl::InvalidArgumentError("--clock-skew: " +
                                      std::string(skew.status().message()));
  }
  std::vector<std::unique_ptr<std::ifstream>> streams;
  std::vector<AuditSource> sources;
  for (const std::string& file : flags.files) {
    streams.push_back(std::make_unique<std::ifstream>(file, std::ios::binary));
    // A folder opens, and then cannot be read.
    if (!*streams.back() || streams.back()->peek() == EOF) {
      if (!streams.back()->eof()) {
        return WithCure(absl::UnavailableError(fmt::format(
                            "{}: cannot read: {}", file,
                            std::generic_category().message(errno))),
                        "name files that are there and that you may read; "
                        "audit.file in broker.yaml says where a broker writes");
      }
      streams.back()->clear();
    }
    sources.push_back({.name = file, .stream = streams.back().get()});
  }
  const auto summary = VerifyAudit(
      sources,
      {.allow_missing_start = flags.allow_missing_start, .clock_skew = *skew});
  const bool is_text = flags.output == "text";
  if (!summary.ok()) {
    const std::string violation(summary.status().message());
    if (!is_text) {
      out << ToText(DataFields{{"proven", false}, {"violation", violation}},
                    flags.output);
    }
    return WithCure(absl::PermissionDeniedError("NOT PROVEN: " + violation),
                    CureOfVerdict(summary.status().code()));
  }
  out << (is_text ? TextOf(*summary) : ToText(TreeOf(*summary), flags.output));
  return kDone;
}

}  // namespace

void AddAuditCommand(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<AuditFlags>();
  CLI::App* audit = app.add_subcommand("audit", "read audit logs");
  audit->require_subcommand(1);
  audit->footer("Example:\n  latchkeyctl audit verify audit.log*");
  CLI::App* verify = audit->add_subcommand(
      "verify",
      "prove that nothing was taken out of audit files, and that no "
      "token bought two certificates");
  verify->footer(
      "Name the files of all replicas together, older ones too:\n"
      "  latchkeyctl audit verify /var/log/latchkey/audit.log*\n"
      "  latchkeyctl audit verify --allow-missing-start replica-*/audit.log\n"
      "Output; of what is not proven, proven is false and violation says "
      "what:\n"
      "  latchkeyctl audit verify audit.log -o json | jq .proven\n"
      "Exit codes: 0 proven, 1 a file cannot be read, 2 wrong arguments, "
      "3 not proven.");
  AsPath(verify->add_option("FILE", flags->files, "audit files, in any order"))
      ->required();
  verify->add_flag("--allow-missing-start", flags->allow_missing_start,
                   "older files were thrown away: prove what is there");
  verify->add_option("--clock-skew", flags->clock_skew,
                     "how far the replicas' clocks may be apart (default 5s)");
  AddTextOutputFlag(*verify, flags->output);
  verify->callback([&context, flags] {
    context.run = [&context, flags] { return Verify(*flags, context.out); };
  });
}

}  // namespace latchkey
