#include "clients/ctl/watch_command.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "clients/broker/repeated_call.h"
#include "clients/ctl/arguments.h"
#include "clients/ctl/cures.h"
#include "clients/ctl/data_tree.h"
#include "clients/ctl/filter_flags.h"
#include "clients/ctl/output_flag.h"
#include "clients/ctl/token_text.h"
#include "clients/files/durable_file.h"
#include "clients/files/read_file.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "core/utf8.h"

namespace latchkey {
namespace {

// What nobody wonders about yet.
constexpr absl::Duration kQuiet = absl::Seconds(2);

struct WatchFlags {
  FilterFlags filter;
  std::string cursor_file;
  std::string output = "table";
};

std::string EventNote(const v1::TokenEvent& event) {
  const v1::Token& token = event.token();
  if (event.type() == v1::TokenEvent::REFUSED &&
      token.refused_attempts_size() > 0) {
    const v1::RefusedAttempt& last = *token.refused_attempts().rbegin();
    return fmt::format("{} by {}", last.reason(), last.by());
  }
  if (event.type() == v1::TokenEvent::REVOKED) {
    return fmt::format("by {}: {}", token.revocation().revoked_by(),
                       token.revocation().reason());
  }
  return LabelText(token);
}

// Writes news, and keeps the cursor behind what was written.
class NewsWriter {
 public:
  NewsWriter(const CommandContext& context, const WatchFlags& flags)
      : context_(context), flags_(flags) {}

  // The cursor to begin with; empty if there is none. kInvalidArgument.
  absl::StatusOr<std::string> SavedCursor() const {
    constexpr size_t kMaxBytes = 256;
    if (flags_.cursor_file.empty()) return "";
    const size_t slash = flags_.cursor_file.rfind('/');
    const std::string folder =
        slash == std::string::npos
            ? "."
            : flags_.cursor_file.substr(0, std::max<size_t>(1, slash));
    if (const absl::Status status = ProbeDirectory(folder); !status.ok()) {
      return WithCure(
          absl::InvalidArgumentError(
              fmt::format("--cursor-file: cannot write into {}: {}", folder,
                          std::string(status.message()))),
          "name a file in a folder that is there, and that you may write to");
    }
    absl::StatusOr<std::string> text =
        ReadFileBounded(flags_.cursor_file, kMaxBytes);
    if (absl::IsNotFound(text.status())) return "";
    if (!text.ok()) {
      return absl::InvalidArgumentError(std::string(text.status().message()));
    }
    if (text->ends_with('\n')) text->pop_back();
    if (!IsUtf8(*text)) return NoCursor();
    return text;
  }
  // What the file holds is not a cursor, or not this broker's.
  absl::Status NoCursor() const {
    return WithCure(
        absl::InvalidArgumentError(fmt::format(
            "{}: holds no cursor of this broker", flags_.cursor_file)),
        "name another --cursor-file, or remove this one: the watch then "
        "begins with what happens from now on");
  }

  // First what happened, then the cursor: whoever is killed in between is told
  // it once more, and misses nothing.
  absl::Status Write(const v1::WatchTokensResponse& news) {
    if (news.has_event()) {
      WriteEvent(news);
    } else if (news.has_gap()) {
      WriteGap(news);
    }
    LATCHKEY_RETURN_IF_ERROR(context_.Flush());
    if (flags_.cursor_file.empty() || news.cursor().empty()) {
      return absl::OkStatus();
    }
    return WriteFileDurably(flags_.cursor_file, news.cursor() + "\n", 0600);
  }

 private:
  void WriteEvent(const v1::WatchTokensResponse& news) {
    const v1::TokenEvent& event = news.event();
    const v1::Token& token = event.token();
    if (flags_.output == "json") {
      context_.out << JsonLine(news);
    } else if (flags_.output == "yaml") {
      context_.out << "---\n" << ToYaml(TreeOf(news));
    } else if (flags_.output == "name") {
      context_.out << Visible(token.id()) << "\n";
    } else {
      table_.Add({absl::FormatTime("%H:%M:%S", context_.clock.Now(),
                                   absl::LocalTimeZone()),
                  EventName(event.type()), token.id(), StateName(token.state()),
                  token.scope().node_name(), token.provisioner(),
                  EventNote(event)});
      context_.out << table_.Take();
    }
  }
  // A program that reads must see it too.
  void WriteGap(const v1::WatchTokensResponse& news) {
    if (flags_.output == "json") context_.out << JsonLine(news);
    if (flags_.output == "yaml")
      context_.out << "---\n" << ToYaml(TreeOf(news));
    context_.err << fmt::format(
        "events are missing here ({}); latchkeyctl list shows how the tokens "
        "stand now\n",
        Visible(news.gap().reason()));
  }

  const CommandContext& context_;
  const WatchFlags& flags_;
  // Least widths, since the lines to come are not known.
  TextTable table_{
      {"SEEN", "EVENT", "ID", "STATE", "NODE", "PROVISIONER", "NOTE"},
      {8, 8, 6, 8, 20, 20}};
};

// True if the stream is worth another try: what CallRepeatedly() would repeat,
// and a broker that stops in the middle.
bool IsBroken(const absl::Status& status) {
  return IsWorthRepeating(status) || absl::IsInternal(status) ||
         absl::IsUnknown(status) || absl::IsCancelled(status) ||
         absl::IsDeadlineExceeded(status);
}

// One stream after the other, each after the cursor of the one before.
class Watcher {
 public:
  // `patience`: how long a broker that was never reached is tried for.
  Watcher(const CommandContext& context, BrokerApi& api, NewsWriter& writer,
          absl::Duration patience)
      : context_(context),
        api_(api),
        writer_(writer),
        backoff_(context.pace),
        begin_(context.pace.Elapsed()),
        end_(begin_ + patience) {}

  // Ends with what cannot be repeated, or written.
  absl::Status Run(v1::WatchTokensRequest request) {
    while (true) {
      absl::Status written;
      told_ = false;
      const absl::Status status =
          api_.WatchTokens(request, [&](const v1::WatchTokensResponse& news) {
            NoteConnected();
            if (!news.cursor().empty()) request.set_cursor(news.cursor());
            written = writer_.Write(news);
            return written.ok();
          });
      LATCHKEY_RETURN_IF_ERROR(written);
      if (!IsBroken(status) && !MayHaveAnother(status)) return status;
      const absl::Duration wait =
          backoff_.Next(RetryAfterOf(status).value_or(absl::ZeroDuration()));
      if (!was_connected_ && context_.pace.Elapsed() + wait >= end_) {
        return status;
      }
      NoteBroken(status);
      context_.pace.Sleep(wait);
    }
  }

 private:
  // The broker ends a stream when its credential has expired: by then the token
  // file, which is read for each stream, may have a new one. One that is
  // refused before it is told anything is not tried again.
  bool MayHaveAnother(const absl::Status& status) const {
    return absl::IsUnauthenticated(status) && told_;
  }
  void NoteConnected() {
    if (said_broken_) {
      context_.err << (was_connected_ ? "connected again\n" : "connected\n");
    }
    said_broken_ = false;
    was_connected_ = true;
    told_ = true;
    backoff_.Reset();
  }
  void NoteBroken(const absl::Status& status) {
    if (said_broken_) return;
    if (!was_connected_ && context_.pace.Elapsed() - begin_ < kQuiet) return;
    context_.err << fmt::format(
        "{} ({}); trying again\n",
        was_connected_ ? "the connection broke" : "no connection yet",
        Visible(std::string(status.message())));
    said_broken_ = true;
  }

  const CommandContext& context_;
  BrokerApi& api_;
  NewsWriter& writer_;
  Backoff backoff_;
  const absl::Duration begin_;
  const absl::Duration end_;
  bool was_connected_ = false;
  bool told_ = false;  // on this stream
  bool said_broken_ = false;
};

absl::StatusOr<int> Watch(const CommandContext& context,
                          const WatchFlags& flags) {
  v1::WatchTokensRequest request;
  LATCHKEY_ASSIGN_OR_RETURN(*request.mutable_filter(),
                            FilterOf(flags.filter, context.clock.Now()));
  LATCHKEY_ASSIGN_OR_RETURN(const absl::Duration patience,
                            context.Timeout(absl::Seconds(30)));
  NewsWriter writer(context, flags);
  LATCHKEY_ASSIGN_OR_RETURN(std::string cursor, writer.SavedCursor());
  request.set_cursor(std::move(cursor));
  LATCHKEY_ASSIGN_OR_RETURN(const auto api, context.Connect());
  const absl::Status ended =
      Watcher(context, *api, writer, patience).Run(std::move(request));
  if (!flags.cursor_file.empty() && ReasonOf(ended) == reason::kInvalidField &&
      MetadataOf(ended)["field"] == "cursor") {
    return writer.NoCursor();
  }
  LATCHKEY_RETURN_IF_ERROR(ended);
  return kDone;
}

}  // namespace

void AddWatchCommand(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<WatchFlags>();
  CLI::App& command = *app.add_subcommand(
      "watch",
      "show what happens to tokens, as it happens; goes on where it was after "
      "a broken connection");
  command.footer(
      "Which tokens (as they are after the event):\n"
      "  latchkeyctl watch --node 'worker-*'\n"
      "Output (json is an object a line):\n"
      "  latchkeyctl watch -o json | jq -c .event.type\n"
      "Where to begin; with a file, every run goes on where the last one was:\n"
      "  latchkeyctl watch --cursor-file /var/lib/me/latchkey.cursor");
  AddFilterFlags(command, flags->filter);
  AsPath(command.add_option(
             "--cursor-file", flags->cursor_file,
             "keep the cursor in this file, and begin after it. An event may "
             "be told twice if this program is killed, never missed"))
      ->group("Where to begin");
  AddOutputFlag(command, flags->output);
  command.callback([&context, flags] {
    context.run = [&context, flags] { return Watch(context, *flags); };
  });
}

}  // namespace latchkey
