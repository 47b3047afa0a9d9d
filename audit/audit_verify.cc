#include "audit/audit_verify.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "core/status_macros.h"

namespace latchkey {
namespace {

struct Place {
  std::string file;
  size_t line = 0;
};

absl::Status At(const Place& place, absl::StatusCode code,
                std::string_view what) {
  return {code, fmt::format("{}:{}: {}", place.file, place.line, what)};
}

// The file is not as it was written.
absl::Status Damage(const Place& place, std::string_view what) {
  return At(place, absl::StatusCode::kDataLoss, what);
}

// The file is whole, and says what must not happen.
absl::Status Violation(const Place& place, std::string_view what) {
  return At(place, absl::StatusCode::kFailedPrecondition, what);
}

// One file, a record ahead.
class Reader {
 public:
  explicit Reader(const AuditSource& source)
      : stream_(*source.stream), place_{.file = source.name, .line = 0} {}

  // Reads the next record and checks that it follows the last.
  absl::Status Advance() {
    record_.reset();
    std::string line;
    if (!std::getline(stream_, line)) return absl::OkStatus();
    ++place_.line;
    if (stream_.eof()) return Damage(place_, "the line is torn");
    absl::StatusOr<AuditRecord> next = ParseAuditLine(line);
    if (!next.ok()) {
      return Damage(place_, std::string(next.status().message()));
    }
    if (place_.line == 1) {
      before_ = {.sequence = next->sequence - 1, .hash = next->prev};
      head_ = before_;
    }
    if (next->sequence != head_.sequence + 1 || next->prev != head_.hash) {
      return Damage(place_, "records are missing before it, or out of order");
    }
    head_ = {.sequence = next->sequence, .hash = next->hash};
    record_ = *std::move(next);
    return absl::OkStatus();
  }

  const std::optional<AuditRecord>& record() const { return record_; }
  const Place& place() const { return place_; }
  // A number that all files of a chain share.
  int chain() const { return chain_; }
  void set_chain(int chain) { chain_ = chain; }
  // Where the chain stood before the file, and at the last record read.
  const AuditHead& before() const { return before_; }
  const AuditHead& head() const { return head_; }

 private:
  std::istream& stream_;
  Place place_;
  int chain_ = 0;
  std::optional<AuditRecord> record_;
  AuditHead before_;
  AuditHead head_;
};

// A record, to be put before or after others.
struct Moment {
  int chain = 0;
  size_t order = 0;  // among all records as they were merged
  absl::Time time;
};

// What the records said of one token so far.
struct TokenHistory {
  struct Approval {
    std::string csr;
    Moment moment;
    Place place;
  };

  std::set<std::string> reserved;
  // The first of each CSR in each chain.
  std::vector<Approval> approvals;
  // CSRs that are dead for good: no certificate can come of them any more.
  std::map<std::string, std::vector<Moment>> releases;
  std::string spent_on;
  std::string spent_as;
};

// Applies the rules to all records, in order.
class Rules {
 public:
  explicit Rules(absl::Duration clock_skew) : clock_skew_(clock_skew) {}

  absl::Status Take(const AuditRecord& record, const Place& place, int chain) {
    const Moment moment{
        .chain = chain, .order = ++records_, .time = record.time};
    const AuditEvent& event = record.event;
    if (event.verdict != AuditVerdict::kAllowed) return absl::OkStatus();
    const bool concerns =
        event.action == "token.reserve" || event.action == "csr.approve" ||
        event.action == "token.release" || event.action == "token.spend";
    if (!concerns) return absl::OkStatus();
    const auto uid = event.facts.find("csr_uid");
    if (uid == event.facts.end() || event.token_id.empty()) {
      return Violation(place, "it does not say which token or CSR");
    }
    TokenHistory& token = tokens_[{event.token_id, event.token_uid}];
    const std::string& csr = uid->second;
    if (event.action == "token.reserve") {
      token.reserved.insert(csr);
    } else if (event.action == "csr.approve") {
      return Approve(token, csr, moment, place);
    } else if (event.action == "token.release") {
      return Release(token, csr, moment, place);
    } else {
      return Spend(token, csr, event, place);
    }
    return absl::OkStatus();
  }

  // Two CSRs of one token approved, and neither released before the other was:
  // the first of them, by the later approval. Asked at the end, since a release
  // may be recorded by a clock that is ahead.
  absl::Status Finish() const {
    std::optional<Conflict> first;
    std::string token_id;
    for (const auto& [name, token] : tokens_) {
      const auto conflict = FindConflict(token);
      if (conflict.has_value() &&
          (!first.has_value() ||
           conflict->later->moment.order < first->later->moment.order)) {
        first = conflict;
        token_id = name.first;
      }
    }
    if (!first.has_value()) return absl::OkStatus();
    return Violation(
        first->later->place,
        fmt::format("token {} has two approved CSRs, {} and {}", token_id,
                    first->earlier->csr, first->later->csr));
  }
  size_t approvals() const { return approved_csrs_.size(); }
  size_t tokens() const { return approved_tokens_.size(); }

 private:
  struct Conflict {
    const TokenHistory::Approval* earlier;
    const TokenHistory::Approval* later;
  };

  absl::Status Approve(TokenHistory& token, const std::string& csr,
                       const Moment& moment, const Place& place) {
    if (!token.reserved.contains(csr)) {
      return Violation(place, "a CSR was approved without token.reserve");
    }
    approved_csrs_.insert(csr);
    approved_tokens_.insert(&token);
    const bool known = std::any_of(
        token.approvals.begin(), token.approvals.end(),
        [&](const TokenHistory::Approval& each) {
          return each.csr == csr && each.moment.chain == moment.chain;
        });
    if (known) return absl::OkStatus();
    if (token.approvals.size() >= kMaxApprovals) {
      return Violation(place, "more CSRs of one token than can be proved");
    }
    token.approvals.push_back({csr, moment, place});
    return absl::OkStatus();
  }

  static absl::Status Release(TokenHistory& token, const std::string& csr,
                              const Moment& moment, const Place& place) {
    if (!token.spent_on.empty() && token.spent_on == csr) {
      return Violation(place,
                       "the token was spent on the CSR that it is "
                       "released from");
    }
    std::vector<Moment>& releases = token.releases[csr];
    const bool known = std::any_of(
        releases.begin(), releases.end(),
        [&](const Moment& each) { return each.chain == moment.chain; });
    if (!known) releases.push_back(moment);
    return absl::OkStatus();
  }

  static absl::Status Spend(TokenHistory& token, const std::string& csr,
                            const AuditEvent& event, const Place& place) {
    const auto certificate = event.facts.find("certificate");
    const std::string as =
        certificate == event.facts.end() ? "" : certificate->second;
    // Two replicas may both have seen to it, and both say so.
    if (!token.spent_on.empty() &&
        (token.spent_on != csr || token.spent_as != as)) {
      return Violation(place,
                       "the token was spent before, on another "
                       "certificate");
    }
    token.spent_on = csr;
    token.spent_as = as;
    return absl::OkStatus();
  }

  // A chain has its own order; two are ordered by their clocks, as far as these
  // may be trusted.
  bool MayPrecede(const Moment& one, const Moment& other) const {
    if (one.chain == other.chain) return one.order < other.order;
    return one.time <= other.time + clock_skew_;
  }

  bool ReleasedBefore(const TokenHistory& token, const std::string& csr,
                      const Moment& moment) const {
    const auto found = token.releases.find(csr);
    return found != token.releases.end() &&
           std::any_of(
               found->second.begin(), found->second.end(),
               [&](const Moment& each) { return MayPrecede(each, moment); });
  }

  std::optional<Conflict> FindConflict(const TokenHistory& token) const {
    for (size_t i = 1; i < token.approvals.size(); ++i) {
      const TokenHistory::Approval& later = token.approvals[i];
      for (size_t j = 0; j < i; ++j) {
        const TokenHistory::Approval& earlier = token.approvals[j];
        if (earlier.csr != later.csr &&
            !ReleasedBefore(token, earlier.csr, later.moment) &&
            !ReleasedBefore(token, later.csr, earlier.moment)) {
          return Conflict{.earlier = &earlier, .later = &later};
        }
      }
    }
    return std::nullopt;
  }

  // Each but the last is of a request that came to nothing: far more than any
  // machine makes. All of them are compared with each other.
  static constexpr size_t kMaxApprovals = 1000;

  const absl::Duration clock_skew_;
  size_t records_ = 0;
  std::map<std::pair<std::string, std::string>, TokenHistory> tokens_;
  std::set<std::string> approved_csrs_;
  std::set<const TokenHistory*> approved_tokens_;
};

// Merges the files: each in its order, those of one chain one after the other,
// and else by the time of their records.
class Merge {
 public:
  Merge(const std::vector<AuditSource>& files,
        const AuditVerifyOptions& options)
      : options_(options) {
    for (const AuditSource& source : files) readers_.emplace_back(source);
  }

  absl::Status Open() {
    std::set<std::string> first_records;
    for (Reader& reader : readers_) {
      LATCHKEY_RETURN_IF_ERROR(reader.Advance());
      if (!reader.record().has_value()) continue;  // an empty file
      if (!first_records.insert(reader.record()->hash).second) {
        return At(reader.place(), absl::StatusCode::kAlreadyExists,
                  "this file was given twice");
      }
      waiting_.push_back(&reader);
    }
    return BeginWhatFollows();
  }

  // The reader whose record is next; nullptr at the end.
  Reader* Next() const {
    Reader* next = nullptr;
    for (Reader* reader : open_) {
      if (next == nullptr || reader->record()->time < next->record()->time) {
        next = reader;
      }
    }
    return next;
  }

  absl::Status Advance(Reader& reader) {
    LATCHKEY_RETURN_IF_ERROR(reader.Advance());
    if (reader.record().has_value()) return absl::OkStatus();
    std::erase(open_, &reader);
    ends_[reader.head().hash] = &reader;
    return BeginWhatFollows();
  }

  // Files that ended, by the hash of their last record, that no other follows.
  const std::map<std::string, Reader*>& ends() const { return ends_; }

 private:
  // Opens the files that begin where another one has ended, or with a chain.
  absl::Status BeginWhatFollows() {
    std::vector<Reader*> still;
    for (Reader* reader : waiting_) {
      const auto end = ends_.find(reader->before().hash);
      const bool first = reader->before() == AuditHead{};
      if (!first && end == ends_.end()) {
        still.push_back(reader);
        continue;
      }
      if (first) {
        reader->set_chain(++chains_);
      } else {
        reader->set_chain(end->second->chain());
        ends_.erase(end);
      }
      open_.push_back(reader);
    }
    waiting_ = std::move(still);
    if (!open_.empty() || waiting_.empty()) return absl::OkStatus();
    if (!options_.allow_missing_start) {
      return At(waiting_.front()->place(), absl::StatusCode::kNotFound,
                "the records before it are not here");
    }
    open_ = std::exchange(waiting_, {});
    for (Reader* reader : open_) reader->set_chain(++chains_);
    return absl::OkStatus();
  }

  const AuditVerifyOptions& options_;
  std::vector<Reader> readers_;
  std::vector<Reader*> waiting_;
  std::vector<Reader*> open_;
  std::map<std::string, Reader*> ends_;
  int chains_ = 0;
};

}  // namespace

absl::StatusOr<AuditSummary> VerifyAudit(const std::vector<AuditSource>& files,
                                         const AuditVerifyOptions& options) {
  Merge merge(files, options);
  Rules rules(options.clock_skew);
  AuditSummary summary;
  LATCHKEY_RETURN_IF_ERROR(merge.Open());
  while (Reader* reader = merge.Next()) {
    LATCHKEY_RETURN_IF_ERROR(
        rules.Take(*reader->record(), reader->place(), reader->chain()));
    ++summary.records;
    LATCHKEY_RETURN_IF_ERROR(merge.Advance(*reader));
  }
  LATCHKEY_RETURN_IF_ERROR(rules.Finish());
  if (summary.records == 0) {
    return absl::DataLossError(
        "no record in any of the files; a broker writes one when it starts");
  }
  summary.approvals = rules.approvals();
  summary.tokens = rules.tokens();
  for (const auto& [hash, reader] : merge.ends()) {
    summary.chains.push_back(
        {.file = reader->place().file, .head = reader->head()});
  }
  return summary;
}

}  // namespace latchkey
