// Every write that the simulated API server did, in its order, and what must be
// true of it: the invariants of the token's life, read from the server's own
// objects and from nothing that a broker says. What callers were told is held
// against it: Call, RevocationAnswered(), AllRevoked().
//
// Of a call's writes it knows those that its own fiber makes. Missing are what
// arrives late, and the items of a batch: what they may do is said of every
// write.

#ifndef LATCHKEY_TESTS_SIMULATION_WRITE_LOG_H_
#define LATCHKEY_TESTS_SIMULATION_WRITE_LOG_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "devcluster/object_store.h"
#include "kubernetes/certificates.pb.h"
#include "kubernetes/core.pb.h"
#include "storage/token_record.h"
#include "tests/simulation/audit_book.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/violation.h"

namespace latchkey_testing {

// What a call to a broker may do.
enum class CallKind {
  kWrites,
  kReads,  // also what only shows what would be: it writes nothing
};

class WriteLog {
 public:
  // `audit`, which must have said of each write that it would be, before.
  WriteLog(const Scheduler& scheduler, const AuditBook& audit,
           Violations& violations)
      : scheduler_(scheduler), audit_(audit), violations_(violations) {}

  // A call that a broker serves, on the fiber that made this: what the fiber
  // writes meanwhile is the call's.
  class Call {
   public:
    Call(WriteLog& log, CallKind kind, std::string verb);
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call();
    // It ends so. One that is refused must have changed nothing.
    void End(const absl::Status& answer);

   private:
    WriteLog& log_;
    const CallKind kind_;
    const std::string verb_;
    const void* const fiber_;
  };

  // Takes in the next write, at this true time.
  void Record(const latchkey::StoreChange& change, absl::Time now);

  // Brokers' clocks were wrong: no deadline that they keep is to be relied on.
  void DoubtClocks() { clocks_are_right_ = false; }
  // How long a certificate must be left to its machine, unless its Node is
  // there.
  void SetFetchGrace(absl::Duration grace) { fetch_grace_ = grace; }
  // How long a token may last, from its creation, by the policy.
  void SetMaxLifetime(absl::Duration most) { max_lifetime_ = most; }
  // Who may revoke.
  void SetManagers(std::set<std::string> names) {
    managers_ = std::move(names);
  }
  // Whether the policy has a token revoked that is misused.
  void SetFreezes(bool freezes) { freezes_ = freezes; }
  // Somebody may delete tokens of this id, whatever their time, from now on.
  void AllowDeletion(const std::string& id) { deletable_.insert(id); }
  bool MayBeDeleted(const std::string& id) const {
    return deletable_.contains(id);
  }
  // Keeps what everybody may read of objects, for PublicTexts().
  void KeepTexts() { keep_texts_ = true; }

  // Why a revocation that is not in earnest would be done, and the beginning of
  // the names of Nodes that tokens are asked for but not in earnest.
  static constexpr std::string_view kTrial = "only a trial";
  static constexpr std::string_view kTrialNode = "trial-";

  // A caller was told that this token is revoked.
  void RevocationAnswered(const latchkey::StoredToken& answer);
  // The same of all for this Node that there were at revision `since`.
  void AllRevoked(const std::string& node_name, int64_t since);
  // Whether a token of this id was ever there, and then spent, or removed.
  bool WasSpent(const std::string& id) const;
  bool WasRemoved(const std::string& id) const;
  // When the last token of this id was written first; by the true time.
  std::optional<absl::Time> CreateTime(const std::string& id) const;

  int64_t revision() const { return revision_; }
  // The record of a token id as it was last, whether it is still there or not.
  const latchkey::TokenRecord* LastRecord(const std::string& id) const;
  // The same of the token for a Node; null: there never was one.
  const latchkey::TokenRecord* LastRecordOfNode(
      const std::string& node_name) const;
  // Since when the certificate that a token is spent on was to be fetched, and
  // until when.
  struct FetchTime {
    absl::Time from;
    absl::Time to;
  };
  std::optional<FetchTime> FetchTimeOf(const std::string& id) const;
  // Whether another key has had it at some time.
  bool WasBoundToAnother(const std::string& id,
                         const latchkey::KeyDigest& key) const;
  int approvals() const { return approvals_; }
  int certificates() const { return certificates_; }
  // Whether a token has bought its certificate and is not over yet.
  bool HasUnspentCertificate() const;
  // Secret halves of all tokens there were, and the salts of their tickets.
  std::vector<std::string> Secrets() const;
  // What was written where many may read it: labels, annotations, conditions.
  const std::vector<std::string>& PublicTexts() const { return texts_; }

 private:
  using Csr = latchkey::kubernetes::CertificateSigningRequest;

  // One token's life: that of one Secret, by its UID.
  struct Life {
    latchkey::TokenRecord record;
    latchkey::SecretString first_secret;
    latchkey::SecretString first_salt;
    std::set<std::string> approved;   // UIDs of its CSRs
    std::set<std::string> certified;  // the same
    std::set<latchkey::KeyDigest> bound;
    int64_t created_at = 0;  // revision
    absl::Time create_time;  // true
    absl::Time spent_at = absl::InfiniteFuture();
    int64_t written_at = 0;  // revision of the last write
    bool removed = false;
    bool ran_out = false;  // and was given more time
    // Somebody was told that it is revoked.
    bool cut_off = false;
  };
  // A write of a token by a call.
  struct CallWrite {
    std::string uid;
    int64_t revision;
    bool notes_refusal;  // or revokes for it: that a refusal may do
  };
  struct CsrLife {
    std::string name;
    std::string token_id;
    bool approved = false;
    bool denied = false;
    bool certified = false;
    bool dead = false;  // certain never to be certified
    bool deleted = false;
    absl::Time certified_at = absl::InfiniteFuture();
  };

  void OnSecret(const latchkey::StoreChange& change);
  void OnCsr(const latchkey::StoreChange& change);
  void CheckStep(const std::string& uid, const Life& life,
                 const latchkey::TokenRecord& next);
  // A step does what its arrow is for, and nothing else.
  void CheckTerms(const latchkey::TokenRecord& before,
                  const latchkey::TokenRecord& next);
  void CheckDeadline(const Life& life, const latchkey::TokenRecord& next);
  void CheckNotes(const latchkey::TokenRecord& before,
                  const latchkey::TokenRecord& next);
  void CheckRevocation(const latchkey::TokenRecord& before,
                       const latchkey::TokenRecord& next);
  // By some broker's clock.
  bool HasRunOut(const latchkey::TokenRecord& record) const;
  void CheckRemoval(const Life& life);
  void CheckMint(const std::string& uid, const Life& life);
  void NoteWrite(const std::string& uid, const latchkey::TokenRecord* before,
                 const latchkey::TokenRecord& next);
  const Life* LastLife(const std::string& id) const;
  // The UID of the token that a CSR is asked for with.
  std::optional<std::string> TokenOf(const Csr& csr, const CsrLife& life) const;
  void CheckReservation(const latchkey::TokenRecord& before,
                        const latchkey::TokenRecord& next);
  void CheckRelease(const std::string& uid,
                    const latchkey::TokenRecord& before);
  void CheckSpending(const std::string& uid,
                     const latchkey::TokenRecord& before,
                     const latchkey::TokenRecord& next);
  void OnVerdict(const Csr& csr, CsrLife& life);
  void CheckApproval(const Csr& csr, const CsrLife& life);
  void CheckDenial(const Csr& csr, const CsrLife& life);
  void Complain(std::string_view promise, std::string_view whose);

  const Scheduler& scheduler_;
  const AuditBook& audit_;
  Violations& violations_;
  bool clocks_are_right_ = true;
  absl::Duration fetch_grace_;
  absl::Duration max_lifetime_ = absl::InfiniteDuration();
  std::set<std::string> managers_;
  bool freezes_ = false;
  std::set<std::string> deletable_;  // ids
  bool keep_texts_ = false;
  std::vector<std::string> texts_;
  // By the fiber. Never walked: addresses are not the same each time.
  std::map<const void*, std::vector<CallWrite>> calls_;
  int64_t revision_ = 0;
  absl::Time now_;
  std::set<std::string> nodes_;
  std::map<std::string, Life> lives_;               // by UID
  std::map<std::string, std::string> uid_of_id_;    // of the latest Secret
  std::map<std::string, std::string> request_uid_;  // request key: live Secret
  std::map<std::string, CsrLife> csrs_;             // by UID
  int approvals_ = 0;
  int certificates_ = 0;
};

// A store whose every write is recorded in `log`. Both must outlive it.
class LoggedStore final : public latchkey::ObjectStore {
 public:
  // `on_write` is told of the resource.
  LoggedStore(latchkey::ObjectStore& inner, WriteLog& log,
              const latchkey::Clock& clock,
              std::function<void(std::string_view plural)> on_write)
      : inner_(inner),
        log_(log),
        clock_(clock),
        on_write_(std::move(on_write)) {}

  int64_t Revision() const override { return inner_.Revision(); }
  latchkey::StoredObject Find(const latchkey::Resource& resource,
                              const latchkey::ObjectName& name) const override {
    return inner_.Find(resource, name);
  }
  absl::StatusOr<latchkey::StoredObject> Write(
      const latchkey::Resource& resource, const latchkey::ObjectName& name,
      const latchkey::StoredObject& expected,
      std::unique_ptr<google::protobuf::Message> object) override;
  absl::StatusOr<std::vector<latchkey::StoredObject>> Snapshot(
      const latchkey::Resource& resource, std::string_view name_space,
      int64_t& revision) const override {
    return inner_.Snapshot(resource, name_space, revision);
  }
  absl::StatusOr<std::vector<latchkey::StoreChange>> ChangesAfter(
      int64_t revision, size_t limit) const override {
    return inner_.ChangesAfter(revision, limit);
  }
  std::shared_ptr<void> Listen(std::function<void()> listener) override {
    return inner_.Listen(std::move(listener));
  }
  absl::Status Health() const override { return inner_.Health(); }
  void ForgetHistory() override { inner_.ForgetHistory(); }

 private:
  latchkey::ObjectStore& inner_;
  WriteLog& log_;
  const latchkey::Clock& clock_;
  const std::function<void(std::string_view)> on_write_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_WRITE_LOG_H_
