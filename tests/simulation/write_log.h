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

namespace latchkey_testing {

class WriteLog {
 public:
  // Takes in the next write.
  void Record(const latchkey::StoreChange& change);

  // What is wrong with what was written, a sentence each; empty: nothing.
  const std::vector<std::string>& violations() const { return violations_; }

  // The record of a token id as it was last, whether it is still there or not.
  const latchkey::TokenRecord* LastRecord(const std::string& id) const;
  int approvals() const { return approvals_; }
  int certificates() const { return certificates_; }

 private:
  using Csr = latchkey::kubernetes::CertificateSigningRequest;

  // One token's life: that of one Secret, by its UID.
  struct Life {
    latchkey::TokenRecord record;
    std::set<std::string> approved;   // UIDs of its CSRs
    std::set<std::string> certified;  // the same
  };
  struct CsrLife {
    std::string token_id;
    bool approved = false;
    bool certified = false;
    bool dead = false;  // certain never to be certified
  };

  void OnSecret(const latchkey::StoreChange& change);
  void OnCsr(const latchkey::StoreChange& change);
  void CheckStep(const Life& life, const latchkey::TokenRecord& next);
  void CheckApproval(const Csr& csr, const CsrLife& life);
  void Violation(std::string what);

  int64_t revision_ = 0;
  std::map<std::string, Life> lives_;               // by UID
  std::map<std::string, std::string> uid_of_id_;    // of the latest Secret
  std::map<std::string, std::string> request_uid_;  // request key: live Secret
  std::map<std::string, CsrLife> csrs_;             // by UID
  int approvals_ = 0;
  int certificates_ = 0;
  std::vector<std::string> violations_;
};

// A store whose every write is recorded in `log`. Both must outlive it.
class LoggedStore final : public latchkey::ObjectStore {
 public:
  LoggedStore(latchkey::ObjectStore& inner, WriteLog& log)
      : inner_(inner), log_(log) {}

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
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_WRITE_LOG_H_
