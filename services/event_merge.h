// Two watches become one order of events: each source's in its own order, and
// an approval between the reservation that it completes and the join that it
// makes possible.
//
// What comes out can be cut anywhere: the versions of both sources up to a cut
// are all that was told. So whatever has to wait holds up its whole source.

#ifndef LATCHKEY_SERVICES_EVENT_MERGE_H_
#define LATCHKEY_SERVICES_EVENT_MERGE_H_

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <absl/time/time.h>

#include "kubernetes/certificates.pb.h"
#include "services/token_event.h"

namespace latchkey {

// By the UID of the CSR that it is for: a record that has, or had, it.
using Reservations = std::map<std::string, std::shared_ptr<const TokenEvent>>;

// Not for concurrent use.
class EventMerge {
 public:
  // How long a source may be held up. The approval of a CSR by a stranger to
  // our rules, or a watch that is much behind the other, must not stop news.
  explicit EventMerge(absl::Duration patience) : patience_(patience) {}

  // A record's event at `version`, or only that the watch has come so far.
  void AddRecord(uint64_t version, std::shared_ptr<const TokenEvent> event);
  // A CSR as written at `version`, or only that the watch has come so far.
  void AddCsr(uint64_t version,
              const kubernetes::CertificateSigningRequest& csr);
  void AddCsrVersion(uint64_t version);

  // A list begins its source anew: what waited of it is forgotten. Approvals
  // that the lists show are no news.
  void RecordsListed(const std::vector<StoredToken>& tokens);
  void CsrsListed(
      const std::vector<kubernetes::CertificateSigningRequest>& csrs);

  // Appends to `out` what can be told at `now`, and moves `told` on to where
  // both sources have been told of.
  void Drain(absl::Time now, std::vector<VersionedEvent>& out, EventCut& told);
  // The same when nothing more will come: holds nothing back. Approvals whose
  // reservation did not come either are looked up in `known`.
  void Finish(const Reservations& known, std::vector<VersionedEvent>& out,
              EventCut& told);

  // True while something is held up: Drain() again before long.
  bool holding() const { return !records_.empty() || !csrs_.empty(); }
  // The tokens that CSRs are known to hold or to have held.
  Reservations Known() const;

 private:
  struct RecordItem {
    uint64_t version;
    std::shared_ptr<const TokenEvent> event;  // may be null
  };
  struct CsrItem {
    uint64_t version;
    std::string approved_uid;  // empty: nothing about an approval
    // By our approver, and so with a reservation written before; not signed
    // yet, and so approved just now.
    bool ours = false;
    bool unsigned_yet = false;
  };
  // Whether the approval of a CSR has been told. kMaybe: we were not there when
  // its reservation was written, and so may not have been when it was approved.
  enum class Approval { kToCome, kMaybe, kTold };
  struct Held {
    std::shared_ptr<const TokenEvent> event;
    Approval approval = Approval::kMaybe;
  };
  enum class Patience { kWait, kOver };

  // Each tells the first item of its source, unless that has to wait.
  bool TellRecord(Patience patience, std::vector<VersionedEvent>& out,
                  EventCut& told);
  bool TellCsr(Patience patience, const Reservations& known,
               std::vector<VersionedEvent>& out, EventCut& told);
  void Learn(const std::shared_ptr<const TokenEvent>& event);
  // The token is held by no CSR any more.
  void LetGo(const TokenId& id);
  // What the CSR held is over; it is remembered for a while.
  void Outlive(std::string uid);
  // The record that the CSR holds, as far as is known by now.
  std::shared_ptr<const TokenEvent> Find(const std::string& uid,
                                         const Reservations& known) const;

  const absl::Duration patience_;
  std::deque<RecordItem> records_;
  std::deque<CsrItem> csrs_;
  // UIDs of the approvals in csrs_.
  std::multiset<std::string> approvals_waiting_;
  // Since when each source has been held up.
  absl::Time records_held_since_ = absl::InfiniteFuture();
  absl::Time csrs_held_since_ = absl::InfiniteFuture();
  // Each is in holders_ or in over_, so that this is bounded.
  std::map<std::string, Held> held_;
  // Which CSR holds each reserved token.
  std::map<TokenId, std::string> holders_;
  // Those in held_ that are over, oldest first: an approval may still come.
  std::deque<std::string> over_;
  // CSRs that a list showed approved, until records are listed.
  std::set<std::string> listed_approved_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_EVENT_MERGE_H_
