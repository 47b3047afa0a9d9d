// The objects of the embedded control plane, under one revision counter, as
// etcd keeps them: every write is the next revision, and is remembered for a
// while, for watches that resume and pages that continue.

#ifndef LATCHKEY_DEVCLUSTER_OBJECT_STORE_H_
#define LATCHKEY_DEVCLUSTER_OBJECT_STORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey {

// One object at one revision: immutable, shared by the store, its history and
// whoever reads it.
class StoredObjectData {
 public:
  StoredObjectData(std::unique_ptr<const google::protobuf::Message> message,
                   int64_t revision);

  const google::protobuf::Message& message() const { return *message_; }
  // The message in bytes, as kube-apiserver would write them, without an
  // envelope.
  const std::string& encoded() const { return encoded_; }
  int64_t revision() const { return revision_; }

 private:
  const std::unique_ptr<const google::protobuf::Message> message_;
  const std::string encoded_;
  const int64_t revision_;
};
using StoredObject = std::shared_ptr<const StoredObjectData>;

struct StoreChange {
  int64_t revision = 0;
  std::string plural;  // of the resource
  ObjectName name;
  StoredObject before;  // null: created
  StoredObject after;   // null: deleted
};

// Safe for concurrent use. Memory, or SQLite where OpenObjectDatabase() made
// it.
class ObjectStore {
 public:
  struct Options {
    // How many changes are remembered; a watch from before is too old.
    size_t history = 10'000;
    // The bytes of the objects that only the history still holds; more, and it
    // is shorter than that.
    size_t history_bytes = size_t{64} << 20;
    // Of one encoded object; etcd's limit of a request.
    size_t object_bytes = 3 * (size_t{1} << 19);
    // Of all encoded objects together, each with some bytes for what it costs
    // to keep one at all.
    size_t total_bytes = size_t{512} << 20;
  };

  ObjectStore() = default;
  ObjectStore(const ObjectStore&) = delete;
  ObjectStore& operator=(const ObjectStore&) = delete;
  virtual ~ObjectStore() = default;

  virtual int64_t Revision() const = 0;
  // Null if there is none.
  virtual StoredObject Find(const Resource& resource,
                            const ObjectName& name) const = 0;

  // Replaces, creates (`expected` null) or deletes (`object` null) the object,
  // if it is still `expected`; if it is another, kAborted and nothing changes.
  // The object's metadata.resourceVersion becomes the revision of the write,
  // which is the answer; of a delete, the answer is the object as it was, at
  // the revision of the delete. Once it has answered, the write is durable,
  // where the store is. kInvalidArgument: the object is too large.
  // kResourceExhausted: the store is full, and takes only what does not grow
  // it. kUnavailable: nothing was written; another time, perhaps. kInternal: it
  // is not known whether it was written, and the store takes no more writes.
  virtual absl::StatusOr<StoredObject> Write(
      const Resource& resource, const ObjectName& name,
      const StoredObject& expected,
      std::unique_ptr<google::protobuf::Message> object) = 0;

  // All objects of the resource, of one namespace unless that is empty, in the
  // order of their names, as they were at `revision` (0: now; the revision is
  // set). kOutOfRange if that is no longer known, or not reached yet.
  virtual absl::StatusOr<std::vector<StoredObject>> Snapshot(
      const Resource& resource, std::string_view name_space,
      int64_t& revision) const = 0;

  // The changes after `revision`, at most `limit`, in their order. kOutOfRange
  // if some of them are forgotten.
  virtual absl::StatusOr<std::vector<StoreChange>> ChangesAfter(
      int64_t revision, size_t limit) const = 0;

  // Calls `listener` after each write, under no lock, on the thread of the
  // writer, until the handle is destroyed; that waits for a call in hand.
  virtual std::shared_ptr<void> Listen(std::function<void()> listener) = 0;

  // Not OK once the store takes no more writes: only opening it again tells
  // what is in it.
  virtual absl::Status Health() const = 0;

  // Forgets the history: what is watched from a revision so far is too old, the
  // latest one included.
  virtual void ForgetHistory() = 0;
};

std::unique_ptr<ObjectStore> MakeMemoryObjectStore(
    const ObjectStore::Options& options = {});

// The same, and every write is durable in the SQLite file `path` before it
// answers (WAL, synchronous=FULL): kill -9 at any moment loses no acknowledged
// write. The file is made, 0600, if it is not there. The history is of this
// process only: of what was before, only the latest revision can be watched.
// kFailedPrecondition if somebody else has it open, or it is not such a file.
absl::StatusOr<std::unique_ptr<ObjectStore>> OpenObjectDatabase(
    const std::string& path, const ObjectStore::Options& options = {});

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_OBJECT_STORE_H_
