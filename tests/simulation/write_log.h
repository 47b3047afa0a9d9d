// Every write that the simulated API server did, in its order, and what must be
// true of it: the invariants of the token's life, read from the server's own
// objects and from nothing that a broker says.

#ifndef LATCHKEY_TESTS_SIMULATION_WRITE_LOG_H_
#define LATCHKEY_TESTS_SIMULATION_WRITE_LOG_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
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
#include "tests/simulation/violation.h"

namespace latchkey_testing {

class WriteLog {
 public:
  // `audit`, which must have said of each write that it would be, before.
  WriteLog(const AuditBook& audit, Violations& violations)
      : audit_(audit), violations_(violations) {}

  // Takes in the next write, at this true time.
  void Record(const latchkey::StoreChange& change, absl::Time now);

  // Brokers' clocks were wrong: no deadline that they keep is to be relied on.
  void DoubtClocks() { clocks_are_right_ = false; }
  // How long a certificate must be left to its machine, unless its Node is
  // there.
  void SetFetchGrace(absl::Duration grace) { fetch_grace_ = grace; }

  // The record of a token id as it was last, whether it is still there or not.
  const latchkey::TokenRecord* LastRecord(const std::string& id) const;
  // Whether another key has had it at some time.
  bool WasBoundToAnother(const std::string& id,
                         const latchkey::KeyDigest& key) const;
  int approvals() const { return approvals_; }
  int certificates() const { return certificates_; }
  // Whether a token has bought its certificate and is not over yet.
  bool HasUnspentCertificate() const;
  // Secret halves of all tokens there were.
  std::vector<std::string> Secrets() const;

 private:
  using Csr = latchkey::kubernetes::CertificateSigningRequest;

  // One token's life: that of one Secret, by its UID.
  struct Life {
    latchkey::TokenRecord record;
    latchkey::SecretString first_secret;
    std::set<std::string> approved;   // UIDs of its CSRs
    std::set<std::string> certified;  // the same
    std::set<latchkey::KeyDigest> bound;
    bool removed = false;
  };
  struct CsrLife {
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
  void CheckReservation(const latchkey::TokenRecord& before,
                        const latchkey::TokenRecord& next);
  void CheckRelease(const std::string& uid,
                    const latchkey::TokenRecord& before);
  void CheckSpending(const std::string& uid,
                     const latchkey::TokenRecord& before,
                     const latchkey::TokenRecord& next);
  void OnVerdict(const Csr& csr, CsrLife& life);
  void CheckApproval(const Csr& csr, const CsrLife& life);
  void Complain(std::string_view promise, std::string_view whose);

  const AuditBook& audit_;
  Violations& violations_;
  bool clocks_are_right_ = true;
  absl::Duration fetch_grace_;
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
