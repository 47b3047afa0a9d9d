#include "devcluster/object_store.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "tests/devcluster/object_store_contract.h"
#include "tests/testing/temp_dir.h"

namespace latchkey_testing {
namespace {

using latchkey::ObjectName;
using latchkey::OpenObjectDatabase;

struct MemoryStore {
  static std::unique_ptr<latchkey::ObjectStore> Open(
      const latchkey::ObjectStore::Options& options) {
    return latchkey::MakeMemoryObjectStore(options);
  }
};

struct DatabaseStore {
  TempDir dir;
  std::unique_ptr<latchkey::ObjectStore> Open(
      const latchkey::ObjectStore::Options& options) const {
    return OpenObjectDatabase(dir.File("objects.db"), options).value();
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, ObjectStoreContract, MemoryStore);
INSTANTIATE_TYPED_TEST_SUITE_P(Database, ObjectStoreContract, DatabaseStore);

class ObjectDatabaseTest : public ::testing::Test {
 protected:
  std::string Path() const { return dir_.File("objects.db"); }
  std::unique_ptr<latchkey::ObjectStore> MustOpen() {
    auto store = OpenObjectDatabase(Path());
    EXPECT_THAT(store, IsOk());
    return store.ok() ? *std::move(store) : nullptr;
  }
  static latchkey::StoredObject Put(latchkey::ObjectStore& store,
                                    const ObjectName& name,
                                    const std::string& value) {
    const auto written = store.Write(latchkey::kSecrets, name,
                                     store.Find(latchkey::kSecrets, name),
                                     MakeStoredSecret(name, value));
    EXPECT_THAT(written, IsOk());
    return written.value_or(nullptr);
  }

  TempDir dir_;
  const ObjectName name_{"kube-system", "a"};
};

TEST_F(ObjectDatabaseTest, IsAsItWasWhenOpenedAgain) {
  int64_t revision = 0;
  std::string kept;
  {
    const auto store = MustOpen();
    kept = Put(*store, name_, std::string("\0\xff", 2))->encoded();
    const auto gone = Put(*store, {"default", "gone"}, "x");
    ASSERT_THAT(
        store->Write(latchkey::kSecrets, {"default", "gone"}, gone, nullptr),
        IsOk());
    latchkey::kubernetes::Node node;
    node.mutable_metadata()->set_name("worker-1");
    ASSERT_THAT(
        store->Write(latchkey::kNodes, {"", "worker-1"}, nullptr,
                     std::make_unique<latchkey::kubernetes::Node>(node)),
        IsOk());
    revision = store->Revision();
  }

  const auto store = MustOpen();

  EXPECT_EQ(store->Revision(), revision);
  ASSERT_NE(store->Find(latchkey::kSecrets, name_), nullptr);
  EXPECT_EQ(store->Find(latchkey::kSecrets, name_)->encoded(), kept);
  EXPECT_EQ(store->Find(latchkey::kSecrets, {"default", "gone"}), nullptr);
  EXPECT_NE(store->Find(latchkey::kNodes, {"", "worker-1"}), nullptr);
  EXPECT_THAT(store->ChangesAfter(revision, 1), IsOk());
  EXPECT_THAT(store->ChangesAfter(revision - 1, 1),
              StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_F(ObjectDatabaseTest, WhatIsThereCountsWhenOpenedAgain) {
  Put(*MustOpen(), name_, std::string(4000, 'x'));

  const auto store = OpenObjectDatabase(Path(), {.total_bytes = 5000}).value();

  EXPECT_THAT(store->Write(latchkey::kSecrets, {"default", "b"}, nullptr,
                           MakeStoredSecret({"default", "b"}, "x")),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

// The database refuses to store objects of this name.
void Jinx(const std::string& path, const std::string& name) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  const std::string sql =
      "CREATE TRIGGER jinx BEFORE INSERT ON objects WHEN "
      "CAST(new.name AS TEXT) = '" +
      name + "' BEGIN SELECT RAISE(ABORT, 'jinxed'); END";
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(database);
}

TEST_F(ObjectDatabaseTest, AWriteThatFailedBeforeItsCommitIsAsIfItNeverWas) {
  MustOpen();
  Jinx(Path(), "jinxed");
  auto store = MustOpen();
  const int64_t revision = store->Revision();
  const ObjectName jinxed{"default", "jinxed"};

  EXPECT_THAT(store->Write(latchkey::kSecrets, jinxed, nullptr,
                           MakeStoredSecret(jinxed, "x")),
              StatusIs(absl::StatusCode::kUnavailable));

  EXPECT_THAT(store->Health(), IsOk());
  EXPECT_EQ(store->Revision(), revision);
  EXPECT_EQ(store->Find(latchkey::kSecrets, jinxed), nullptr);
  Put(*store, name_, "1");
  store.reset();
  store = MustOpen();
  EXPECT_EQ(store->Revision(), revision + 1);
  EXPECT_NE(store->Find(latchkey::kSecrets, name_), nullptr);
}

// While it lives, no file grows.
class NoSpace {
 public:
  NoSpace() {
    signal(SIGXFSZ, SIG_IGN);
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &before_), 0);
    const rlimit none = {.rlim_cur = 0, .rlim_max = before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  }
  ~NoSpace() { setrlimit(RLIMIT_FSIZE, &before_); }
  NoSpace(const NoSpace&) = delete;
  NoSpace& operator=(const NoSpace&) = delete;

 private:
  rlimit before_ = {};
};

TEST_F(ObjectDatabaseTest, AfterACommitThatFailedItTakesNoMoreWrites) {
  const auto store = MustOpen();
  Put(*store, name_, "1");
  const auto write = [&] {
    return store
        ->Write(latchkey::kSecrets, name_,
                store->Find(latchkey::kSecrets, name_),
                MakeStoredSecret(name_, "2"))
        .status();
  };
  ASSERT_THAT(store->Health(), IsOk());
  absl::Status failed;
  {
    const NoSpace no_space;
    failed = write();
  }

  EXPECT_THAT(failed, StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(store->Health(), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(write(), StatusIs(absl::StatusCode::kInternal));
  EXPECT_EQ(ValueOf(store->Find(latchkey::kSecrets, name_)), "1");
}

TEST_F(ObjectDatabaseTest, IsForItsOwnerOnly) {
  const auto store = MustOpen();
  Put(*store, name_, "secret");

  for (const auto& file : std::filesystem::directory_iterator(dir_.path())) {
    struct stat status = {};
    ASSERT_EQ(stat(file.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U) << file.path();
  }
}

TEST_F(ObjectDatabaseTest, IsForOneAtATime) {
  auto store = MustOpen();

  EXPECT_THAT(OpenObjectDatabase(Path()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       ::testing::AllOf(::testing::HasSubstr(Path()),
                                        ::testing::HasSubstr("open"))));

  Put(*store, name_, "1");
  store.reset();
  EXPECT_NE(MustOpen()->Find(latchkey::kSecrets, name_), nullptr);
}

TEST_F(ObjectDatabaseTest, AFileThatIsNoDatabaseIsRefusedAndLeftAlone) {
  for (const std::string& content :
       {std::string("x"), std::string("not a database\n"),
        std::string(10'000, 'x')}) {
    const std::string path = dir_.Write("foreign", content);

    EXPECT_THAT(OpenObjectDatabase(path),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         ::testing::HasSubstr(path)));
    EXPECT_TRUE(ReadFile(path) == content);
  }
}

TEST_F(ObjectDatabaseTest, ADamagedDatabaseIsRefused) {
  {
    const auto store = MustOpen();
    for (int i = 0; i < 100; ++i) {
      Put(*store, {"default", std::to_string(i)}, std::string(1000, 'x'));
    }
  }
  std::string content = ReadFile(Path());
  ASSERT_GT(content.size(), 20'000U);
  // Past the first page, so that it still looks like ours.
  content.replace(4096, content.size() - 4096, content.size() - 4096, '\x5a');
  dir_.Write("objects.db", content);

  EXPECT_THAT(OpenObjectDatabase(Path()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       ::testing::HasSubstr(Path())));
}

TEST_F(ObjectDatabaseTest, AFolderThatIsNotThereIsNamed) {
  EXPECT_THAT(OpenObjectDatabase(dir_.File("no/objects.db")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       ::testing::HasSubstr("no/objects.db")));
}

struct Acknowledged {
  int64_t write = -1;
  int64_t revision = 0;
};

bool ReadOne(int pipe, Acknowledged& told) {
  return read(pipe, &told, sizeof(told)) == ssize_t{sizeof(told)};
}

// Writes until it is killed, and tells through the pipe what was acknowledged.
[[noreturn]] void WriteForEver(const std::string& path, int pipe) {
  const auto store = OpenObjectDatabase(path);
  if (!store.ok()) _exit(1);
  for (int64_t i = 0;; ++i) {
    const ObjectName name{"default", std::to_string(i % 7)};
    auto written = (*store)->Write(
        latchkey::kSecrets, name, (*store)->Find(latchkey::kSecrets, name),
        i % 5 == 4 ? nullptr : MakeStoredSecret(name, std::to_string(i)));
    if (!written.ok()) _exit(1);
    const Acknowledged told{i, (*store)->Revision()};
    if (write(pipe, &told, sizeof(told)) != ssize_t{sizeof(told)}) _exit(1);
  }
}

// What write `i` left of its object is there, unless a later one wrote that.
void ExpectAcknowledged(latchkey::ObjectStore& store, int64_t last) {
  for (int64_t i = std::max<int64_t>(last - 6, 0); i <= last; ++i) {
    // The write after the last acknowledged one may have been done too.
    if ((last + 1) % 7 == i % 7) continue;
    const auto found =
        store.Find(latchkey::kSecrets, {"default", std::to_string(i % 7)});
    if (i % 5 == 4) {
      EXPECT_EQ(found, nullptr) << i;
    } else {
      ASSERT_NE(found, nullptr) << i;
      EXPECT_EQ(ValueOf(found), std::to_string(i));
    }
  }
}

TEST_F(ObjectDatabaseTest, AKillLosesNoAcknowledgedWrite) {
  for (int round = 0; round < 5; ++round) {
    SCOPED_TRACE(round);
    std::filesystem::remove_all(dir_.path() / "objects.db");
    std::filesystem::remove_all(dir_.path() / "objects.db-wal");
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(ends[0]);
      WriteForEver(Path(), ends[1]);
    }
    close(ends[1]);
    Acknowledged last;
    // The child runs ahead of the reading, so each round ends at another point
    // of a write.
    for (int i = 0; i < 50 + 13 * round; ++i) {
      ASSERT_TRUE(ReadOne(ends[0], last));
    }
    ASSERT_EQ(kill(child, SIGKILL), 0);
    for (Acknowledged told; ReadOne(ends[0], told);) last = told;
    close(ends[0]);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);

    const auto store = MustOpen();
    ASSERT_NE(store, nullptr);
    EXPECT_GE(store->Revision(), last.revision);
    ExpectAcknowledged(*store, last.write);
  }
}

}  // namespace
}  // namespace latchkey_testing
