#include "clients/ctl/batch_command.h"

#include <errno.h>
#include <sys/stat.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "clients/ctl/arguments.h"
#include "clients/ctl/batch_id.h"
#include "clients/ctl/batch_input.h"
#include "clients/ctl/batch_run.h"
#include "clients/ctl/cures.h"
#include "clients/ctl/data_tree.h"
#include "clients/ctl/field_flags.h"
#include "clients/ctl/machine_files.h"
#include "clients/ctl/token_text.h"
#include "clients/files/durable_file.h"
#include "clients/files/read_file.h"
#include "core/refusal.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

constexpr size_t kMaxInputBytes = size_t{256} << 20;
// For a call of 1,000.
constexpr absl::Duration kTimeout = absl::Minutes(5);

struct BatchFlags {
  std::string file;
  std::string format;
  std::string batch_id_file;
  std::string out_dir;
  std::string content = "text";
  std::string output = "table";
};

absl::StatusOr<std::vector<BatchItem>> ReadItems(const CommandContext& context,
                                                 const BatchFlags& flags) {
  const bool is_stream = flags.file == "-";
  const std::string name = is_stream ? "standard input" : flags.file;
  const absl::StatusOr<std::string> text =
      is_stream ? ReadStreamBounded(context.in, name, kMaxInputBytes)
                : ReadFileBounded(flags.file, kMaxInputBytes);
  if (!text.ok()) {
    return WithCure(
        absl::InvalidArgumentError(std::string(text.status().message())),
        "name a file that is there and that you may read; one of more than "
        "256 MiB has to be cut into several batches");
  }
  const bool is_yaml = flags.format.empty() ? flags.file.ends_with(".yaml") ||
                                                  flags.file.ends_with(".yml")
                                            : flags.format == "yaml";
  return is_yaml ? ParseBatchYaml(name, *text) : ParseBatchCsv(name, *text);
}

absl::StatusOr<BatchId> IdOf(const BatchFlags& flags) {
  if (!flags.batch_id_file.empty()) return BatchId::Load(flags.batch_id_file);
  if (!flags.out_dir.empty())
    return BatchId::Load(flags.out_dir + "/.batch-id");
  return BatchId::Fresh();
}

// Nobody typed the flags that the fields of the protocol are called by: the
// item's columns, or fields, have their names.
absl::Status Placed(const BatchItem& item, const absl::Status& error) {
  const std::string_view flag = FlagOf(error);
  if (!flag.starts_with("--")) return error;
  return WithCure(error, fmt::format("correct {} in {}, and run it again",
                                     flag.substr(2), item.where));
}

// Writes what becomes of each item: to files, and to standard output.
class BatchOutput {
 public:
  BatchOutput(const CommandContext& context, const BatchFlags& flags,
              NodeBroker broker, size_t items)
      : context_(context),
        flags_(flags),
        broker_(std::move(broker)),
        items_(items) {}

  // A node name is no path: ParseBatch saw to that.
  std::string FileOf(const BatchItem& item) const {
    return flags_.out_dir.empty()
               ? ""
               : flags_.out_dir + "/" + item.request.scope().node_name();
  }
  bool IsThere(const BatchItem& item) const {
    struct stat found = {};
    return !flags_.out_dir.empty() && stat(FileOf(item).c_str(), &found) == 0;
  }

  void Kept(const BatchItem& item) {
    ++done_;
    ++kept_;
    Print(item, "kept", nullptr, absl::OkStatus());
  }
  absl::Status Report(const BatchItem& item,
                      const absl::StatusOr<v1::IssueTokenResponse>& issued) {
    if (!issued.ok()) {
      if (first_error_.ok()) first_error_ = Placed(item, issued.status());
      ++failed_;
      Print(item, "failed", nullptr, issued.status());
      return EndOfItem();
    }
    if (!flags_.out_dir.empty()) {
      LATCHKEY_ASSIGN_OR_RETURN(std::string text,
                                RenderIssued(*issued, flags_.content, broker_));
      const absl::Status written = WriteFileDurably(FileOf(item), text, 0600);
      Wipe(text);
      LATCHKEY_RETURN_IF_ERROR(written);
    }
    ++done_;
    if (flags_.out_dir.empty()) {
      unwritten_.push_back(issued->token().id());
    }
    Print(item, "issued", &*issued, absl::OkStatus());
    return EndOfItem();
  }

  // After each call's worth of items: how far it is, and what was issued, which
  // whoever is killed later has seen.
  absl::Status EndOfItem() {
    if ((done_ + failed_) % kMaxBatchCall != 0) return absl::OkStatus();
    if (done_ + failed_ < items_) {
      context_.err << fmt::format("{} of {} so far\n", done_ + failed_, items_);
    }
    return Flush();
  }

  absl::Status Flush() {
    if (flags_.output == "table") context_.out << table_.Take();
    const absl::Status status = context_.Flush();
    if (!status.ok() && !unwritten_.empty()) return Lost(status);
    unwritten_.clear();
    return status;
  }
  size_t done() const { return done_; }
  size_t kept() const { return kept_; }
  size_t failed() const { return failed_; }
  const absl::Status& first_error() const { return first_error_; }

 private:
  // Tickets that were to be printed, and may not have been.
  absl::Status Lost(const absl::Status& why) const {
    if (!flags_.batch_id_file.empty()) {
      return WithCure(absl::InternalError(std::string(why.message())),
                      "run the same command again: it mints nothing twice, "
                      "and prints the tickets again");
    }
    return WithCure(
        absl::InternalError(fmt::format(
            "{}; these tokens were minted, and their tickets are "
            "lost: {}",
            std::string(why.message()), fmt::join(unwritten_, " "))),
        "latchkeyctl revoke each of them with --reason 'never delivered'; and "
        "use --out-dir or --batch-id-file, with which a second run mints "
        "nothing twice");
  }

  void Print(const BatchItem& item, const char* outcome,
             const v1::IssueTokenResponse* issued, const absl::Status& error) {
    const std::string& node = item.request.scope().node_name();
    const std::string id = issued == nullptr ? "" : issued->token().id();
    const std::string expires =
        issued == nullptr ? "" : TimeText(issued->token().expire_time());
    // Either in a file or here, not both.
    std::string place = FileOf(item);
    if (place.empty() && issued != nullptr) {
      place = issued->ticket().empty() ? issued->bootstrap_token()
                                       : issued->ticket();
    }
    const std::string reason = error.ok()
                                   ? ""
                                   : fmt::format("{} {}", ReasonOf(error),
                                                 std::string(error.message()));
    if (flags_.output == "name") {
      if (!id.empty()) context_.out << Visible(id) << "\n";
    } else if (flags_.output != "table") {
      DataFields fields = {
          {"where", item.where}, {"node", node}, {"outcome", outcome}};
      const auto add = [&fields](const char* name, const std::string& value) {
        if (!value.empty()) fields.emplace_back(name, value);
      };
      add("id", id);
      add("expireTime", expires);
      if (error.ok()) add(flags_.out_dir.empty() ? "ticket" : "file", place);
      add("reason", ReasonOf(error));
      add("message", std::string(error.message()));
      if (flags_.output == "yaml") context_.out << "---\n";
      context_.out << ToText(fields, flags_.output);
    } else {
      table_.Add({node, outcome, id, expires, error.ok() ? place : reason});
    }
  }

  const CommandContext& context_;
  const BatchFlags& flags_;
  const NodeBroker broker_;
  TextTable table_{{"NODE", "OUTCOME", "ID", "EXPIRES",
                    flags_.out_dir.empty() ? "TICKET" : "FILE"}};
  // The ids of the tokens whose tickets were printed since the last Flush().
  std::vector<std::string> unwritten_;
  const size_t items_;
  size_t done_ = 0;
  size_t kept_ = 0;  // of those done
  size_t failed_ = 0;
  absl::Status first_error_;
};

absl::StatusOr<NodeBroker> BrokerFor(const CommandContext& context,
                                     const BatchFlags& flags,
                                     const std::vector<BatchItem>& items) {
  if (flags.content != "text" && flags.out_dir.empty()) {
    return absl::InvalidArgumentError(
        "--content is for files: name a folder with --out-dir");
  }
  if (flags.output == "name" && flags.out_dir.empty()) {
    return absl::InvalidArgumentError(
        "-o name shows the ids alone, and the tickets would be lost: name a "
        "folder for them with --out-dir");
  }
  NodeBroker broker;
  if (IsMachineFormat(flags.content)) {
    LATCHKEY_ASSIGN_OR_RETURN(const CtlConfig config, context.Config());
    LATCHKEY_ASSIGN_OR_RETURN(broker, ReadNodeBroker(config));
  }
  for (const BatchItem& item : items) {
    const absl::Status status =
        CheckMachineFormat(flags.content, item.request.delivery(), broker);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          fmt::format("{}: {}", item.where, std::string(status.message())));
    }
  }
  return broker;
}

// What to say, and the exit code, when the run has ended with `ended`.
int Conclude(const CommandContext& context, const BatchFlags& flags,
             const BatchOutput& output, size_t items,
             const absl::Status& ended) {
  const size_t unknown = items - output.done() - output.failed();
  context.err << fmt::format("{} done, {} failed{}\n", output.done(),
                             output.failed(),
                             unknown == 0 ? std::string()
                                          : fmt::format(", {} not known or not "
                                                        "asked for",
                                                        unknown));
  if (output.kept() > 0) {
    context.err << fmt::format(
        "{} of them had a file in {} already, which is as it was: a changed "
        "line or --content changes no file; remove a file to get another\n",
        output.kept(), Visible(flags.out_dir));
  }
  if (output.failed() == 0 && unknown == 0) return kDone;
  const absl::Status& error = ended.ok() ? output.first_error() : ended;
  context.err << ErrorText(error);
  // An error of ours, such as a full disk, has no reason.
  if (MayBeDone(error) &&
      (!absl::IsInternal(error) || !ReasonOf(error).empty())) {
    context.err << "tokens may have been minted whose answers did not come: "
                   "latchkeyctl list --state issued --node NAME shows one\n";
  }
  const bool has_id = !flags.batch_id_file.empty() || !flags.out_dir.empty();
  context.err << (has_id ? "then run the same command again: it asks for what "
                           "is missing, and mints nothing twice\n"
                         : "then run it again for the machines that failed: "
                           "without --batch-id-file or --out-dir, those that "
                           "are done would get a second token\n");
  return output.done() > 0 ? kPartlyDone : ExitCodeOf(error);
}

absl::StatusOr<int> Batch(const CommandContext& context,
                          const BatchFlags& flags) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::vector<BatchItem> items,
                            ReadItems(context, flags));
  LATCHKEY_ASSIGN_OR_RETURN(const absl::Duration timeout,
                            context.Timeout(kTimeout));
  LATCHKEY_ASSIGN_OR_RETURN(NodeBroker broker,
                            BrokerFor(context, flags, items));
  LATCHKEY_ASSIGN_OR_RETURN(const auto api, context.Connect(kTimeout));
  if (!flags.out_dir.empty() && mkdir(flags.out_dir.c_str(), 0700) != 0 &&
      errno != EEXIST) {
    return absl::InvalidArgumentError(
        fmt::format("cannot make the folder {}", flags.out_dir));
  }
  LATCHKEY_ASSIGN_OR_RETURN(const BatchId id, IdOf(flags));
  BatchOutput output(context, flags, std::move(broker), items.size());
  std::vector<BatchItem> wanted;
  for (const BatchItem& item : items) {
    if (output.IsThere(item)) {
      output.Kept(item);
    } else {
      wanted.push_back(item);
    }
  }
  absl::Status ended =
      RunBatch(*api, context.pace, id, wanted, timeout,
               [&](const BatchItem& item,
                   const absl::StatusOr<v1::IssueTokenResponse>& issued) {
                 return output.Report(item, issued);
               });
  LATCHKEY_RETURN_IF_ERROR(output.Flush());
  return Conclude(context, flags, output, items.size(), ended);
}

void AddFlags(CLI::App& command, BatchFlags& flags) {
  AsPath(command.add_option("file", flags.file,
                            "a CSV or a YAML file; - is standard input"))
      ->required();
  command
      .add_option("--format", flags.format,
                  "csv or yaml; default: by the file's name, else csv")
      ->check(CLI::IsMember({"csv", "yaml"}))
      ->group("Input");
  AsPath(command.add_option(
             "--batch-id-file", flags.batch_id_file,
             "what makes this the same batch when it is run again; made if it "
             "is missing, mode 0600. A secret: with read access to the tokens' "
             "Secrets it gives the tickets away. Default: .batch-id in "
             "--out-dir"))
      ->group("Running it again");
  AsPath(command.add_option(
             "--out-dir", flags.out_dir,
             "write a file for each machine, mode 0600, named after its node; "
             "a machine whose file is there is left alone"))
      ->group("Output");
  command
      .add_option("--content", flags.content,
                  "of these files: text (default), json, yaml, cloud-init, "
                  "ignition, systemd, kubeadm, env")
      ->check(CLI::IsMember({"text", "json", "yaml", "cloud-init", "ignition",
                             "systemd", "kubeadm", "env"}))
      ->group("Output");
  command
      .add_option("-o,--output", flags.output,
                  "what became of each machine, with its ticket if there is "
                  "no --out-dir: table (default), json, yaml; name: the ids of "
                  "the tokens that were minted, and the tickets to --out-dir")
      ->check(CLI::IsMember({"table", "json", "yaml", "name"}))
      ->group("Output");
}

}  // namespace

void AddBatchCommand(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<BatchFlags>();
  CLI::App& command = *app.add_subcommand(
      "batch", "mint tokens for many machines, from a CSV or a YAML file");
  command.footer(
      "Input; the columns, or fields, are the flags of issue:\n"
      "  node,lifetime,label\n"
      "  worker-1,30m,pool=gpu zone=a\n"
      "  worker-2,,\n"
      "or:\n"
      "  tokens:\n"
      "    - {node: worker-1, lifetime: 30m, label: [pool=gpu, zone=a]}\n"
      "    - {node: worker-2}\n"
      "  generate | latchkeyctl batch - --format yaml --out-dir seeds\n"
      "Output:\n"
      "  latchkeyctl batch machines.csv --out-dir seeds --content cloud-init\n"
      "  latchkeyctl batch machines.csv --out-dir seeds -o name > ids\n"
      "Running it again: the same command asks for what is missing, and mints\n"
      "nothing twice:\n"
      "  latchkeyctl batch - --batch-id-file night.id -o json < machines.csv\n"
      "Exit code 4: some machines got theirs, and some did not.");
  AddFlags(command, *flags);
  command.callback([&context, flags] {
    context.run = [&context, flags] { return Batch(context, *flags); };
  });
}

}  // namespace latchkey
