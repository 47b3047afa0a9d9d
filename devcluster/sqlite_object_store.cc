// The ObjectStore that lasts: a MemoryObjectStore whose journal is a table of
// the objects as they are now.

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "core/status_macros.h"
#include "devcluster/api_resources.h"
#include "devcluster/memory_object_store.h"

namespace latchkey {
namespace {

// In the file's header: whose file it is, and how it is laid out.
constexpr int kApplicationId = 0x4c6b6579;
constexpr int kLayout = 1;

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
using DatabasePtr = std::unique_ptr<sqlite3, CloseDatabase>;

struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const {
    sqlite3_finalize(statement);
  }
};

// One SQL statement, prepared once. Its errors name what SQLite says, which is
// never a value.
class Statement {
 public:
  using Value = std::variant<int64_t, std::string_view>;

  Statement(sqlite3* database, std::string_view sql) : database_(database) {
    sqlite3_stmt* statement = nullptr;
    prepared_ =
        sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()),
                           &statement, nullptr);
    statement_.reset(statement);
  }

  // Binds the values, from 1 on, and makes the first step. They must live until
  // the last one.
  absl::Status Begin(std::initializer_list<Value> values) {
    if (prepared_ != SQLITE_OK) return Failed(prepared_);
    sqlite3_reset(statement_.get());
    int index = 0;
    for (const Value& value : values) Bind(++index, value);
    return Step();
  }
  absl::Status Step() {
    const int code = sqlite3_step(statement_.get());
    has_row_ = code == SQLITE_ROW;
    if (has_row_) return absl::OkStatus();
    // Ends the statement's own transaction.
    sqlite3_reset(statement_.get());
    return code == SQLITE_DONE ? absl::OkStatus() : Failed(code);
  }
  bool has_row() const { return has_row_; }
  int64_t Integer(int column) const {
    return sqlite3_column_int64(statement_.get(), column);
  }
  std::string Bytes(int column) const {
    const void* bytes = sqlite3_column_blob(statement_.get(), column);
    const int size = sqlite3_column_bytes(statement_.get(), column);
    if (size <= 0) return {};
    return {static_cast<const char*>(bytes), static_cast<size_t>(size)};
  }

 private:
  void Bind(int index, const Value& value) {
    if (const auto* integer = std::get_if<int64_t>(&value)) {
      sqlite3_bind_int64(statement_.get(), index, *integer);
      return;
    }
    const std::string_view bytes = std::get<std::string_view>(value);
    // Not null, or an empty name would be NULL.
    sqlite3_bind_blob64(statement_.get(), index,
                        bytes.empty() ? "" : bytes.data(), bytes.size(),
                        SQLITE_STATIC);
  }
  absl::Status Failed(int code) const {
    const bool taken = code == SQLITE_BUSY || code == SQLITE_LOCKED;
    const bool foreign = code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
    const std::string why = taken     ? "somebody else has it open"
                            : foreign ? "it is not a database, or damaged"
                                      : sqlite3_errmsg(database_);
    return taken || foreign ? absl::FailedPreconditionError(why)
                            : absl::InternalError(why);
  }

  sqlite3* const database_;
  std::unique_ptr<sqlite3_stmt, FinalizeStatement> statement_;
  int prepared_ = SQLITE_OK;
  bool has_row_ = false;
};

absl::Status Run(sqlite3* database, std::string_view sql) {
  return Statement(database, sql).Begin({});
}

absl::StatusOr<int64_t> IntegerOf(sqlite3* database, std::string_view sql) {
  Statement statement(database, sql);
  LATCHKEY_RETURN_IF_ERROR(statement.Begin({}));
  return statement.has_row() ? statement.Integer(0) : 0;
}

class SqliteJournal final : public ObjectJournal {
 public:
  explicit SqliteJournal(DatabasePtr database)
      : database_(std::move(database)),
        begin_(database_.get(), "BEGIN IMMEDIATE"),
        commit_(database_.get(), "COMMIT"),
        rollback_(database_.get(), "ROLLBACK"),
        put_(database_.get(),
             "INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, ?4, ?5)"),
        remove_(database_.get(),
                "DELETE FROM objects WHERE resource = ?1 AND namespace = ?2 "
                "AND name = ?3"),
        revision_(database_.get(), "UPDATE store SET revision = ?1") {}

  absl::Status Record(const StoreChange& change) override {
    LATCHKEY_RETURN_IF_ERROR(Health());
    if (const absl::Status staged = Stage(change); !staged.ok()) {
      // SQLite has rolled back already after some errors, a full disk's among
      // them.
      const bool open = sqlite3_get_autocommit(database_.get()) == 0;
      if (open && !rollback_.Begin({}).ok()) failed_ = true;
      return absl::UnavailableError(Describe(staged));
    }
    const absl::Status committed = commit_.Begin({});
    if (committed.ok()) return committed;
    failed_ = true;
    return absl::InternalError(Describe(committed));
  }

  absl::Status Health() const override {
    // Whether the last commit is on the disk is not known, so what comes next
    // cannot be either.
    if (!failed_) return absl::OkStatus();
    return absl::InternalError("the database failed before");
  }

 private:
  static std::string Describe(const absl::Status& status) {
    return fmt::format("cannot write to the database: {}",
                       std::string(status.message()));
  }

  // All of the transaction but its commit.
  absl::Status Stage(const StoreChange& change) {
    LATCHKEY_RETURN_IF_ERROR(begin_.Begin({}));
    const auto& [name_space, name] = change.name;
    if (change.after != nullptr) {
      LATCHKEY_RETURN_IF_ERROR(
          put_.Begin({change.plural, name_space, name, change.revision,
                      change.after->encoded()}));
    } else {
      LATCHKEY_RETURN_IF_ERROR(
          remove_.Begin({change.plural, name_space, name}));
    }
    return revision_.Begin({change.revision});
  }

  const DatabasePtr database_;
  Statement begin_;
  Statement commit_;
  Statement rollback_;
  Statement put_;
  Statement remove_;
  Statement revision_;
  std::atomic<bool> failed_ = false;
};

// Makes the file, for its owner alone, unless it is there. A file that is there
// is not touched: to close any descriptor of it would drop SQLite's lock, if
// this process has the database open already (fcntl(2)).
absl::Status MakeFile(const std::string& path) {
  const int fd =
      open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) {
    close(fd);
    return absl::OkStatus();
  }
  if (errno != EEXIST) {
    return absl::FailedPreconditionError(std::strerror(errno));
  }
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) {
    return absl::FailedPreconditionError(std::strerror(errno));
  }
  // SQLite takes what is shorter than its smallest page for empty, and would
  // write over it.
  if (status.st_size > 0 && status.st_size < 512) {
    return absl::FailedPreconditionError("it is not a database, or damaged");
  }
  return absl::OkStatus();
}

// Takes the lock for as long as the database is open.
absl::Status Lock(sqlite3* database) {
  for (const char* sql :
       {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
        "BEGIN IMMEDIATE", "COMMIT"}) {
    LATCHKEY_RETURN_IF_ERROR(Run(database, sql));
  }
  return absl::OkStatus();
}

absl::Status MakeTables(sqlite3* database) {
  const std::string id =
      fmt::format("PRAGMA application_id = {}", kApplicationId);
  const std::string layout = fmt::format("PRAGMA user_version = {}", kLayout);
  for (const std::string_view sql : std::initializer_list<std::string_view>{
           "BEGIN IMMEDIATE",
           "CREATE TABLE objects (resource BLOB, namespace BLOB, name BLOB, "
           "revision INTEGER NOT NULL, message BLOB NOT NULL, "
           "PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID",
           "CREATE TABLE store (revision INTEGER NOT NULL)",
           "INSERT INTO store VALUES (1)", id, layout, "COMMIT"}) {
    LATCHKEY_RETURN_IF_ERROR(Run(database, sql));
  }
  return absl::OkStatus();
}

// Before anything is written to it: the file is ours, or empty.
absl::StatusOr<bool> IsOurs(sqlite3* database) {
  LATCHKEY_ASSIGN_OR_RETURN(
      const int64_t tables,
      IntegerOf(database, "SELECT count(*) FROM sqlite_schema"));
  LATCHKEY_ASSIGN_OR_RETURN(const int64_t id,
                            IntegerOf(database, "PRAGMA application_id"));
  LATCHKEY_ASSIGN_OR_RETURN(const int64_t layout,
                            IntegerOf(database, "PRAGMA user_version"));
  if (tables == 0 && id == 0) return false;
  if (id != kApplicationId) {
    return absl::FailedPreconditionError("it is another program's database");
  }
  if (layout != kLayout) {
    return absl::FailedPreconditionError("it is of another version");
  }
  return true;
}

absl::StatusOr<MemoryObjectStore::Content> ReadAll(sqlite3* database) {
  const absl::Status damaged =
      absl::FailedPreconditionError("it holds what is no object");
  MemoryObjectStore::Content content;
  LATCHKEY_ASSIGN_OR_RETURN(content.revision,
                            IntegerOf(database, "SELECT revision FROM store"));
  Statement rows(database,
                 "SELECT resource, namespace, name, revision, message "
                 "FROM objects ORDER BY resource, namespace, name");
  LATCHKEY_RETURN_IF_ERROR(rows.Begin({}));
  while (rows.has_row()) {
    MemoryObjectStore::Key key{rows.Bytes(0), rows.Bytes(1), rows.Bytes(2)};
    const ApiResource* resource = FindApiResource(key.plural);
    const int64_t revision = rows.Integer(3);
    if (resource == nullptr || revision > content.revision) return damaged;
    std::unique_ptr<google::protobuf::Message> message(
        resource->prototype->New());
    if (!message->ParseFromString(rows.Bytes(4))) return damaged;
    content.objects[std::move(key)] =
        std::make_shared<const StoredObjectData>(std::move(message), revision);
    LATCHKEY_RETURN_IF_ERROR(rows.Step());
  }
  return content;
}

absl::StatusOr<std::unique_ptr<ObjectStore>> Open(
    const std::string& path, const ObjectStore::Options& options) {
  LATCHKEY_RETURN_IF_ERROR(MakeFile(path));
  sqlite3* opened = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &opened,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  DatabasePtr database(opened);
  if (code != SQLITE_OK) {
    return absl::FailedPreconditionError(sqlite3_errstr(code));
  }
  // Before the first read: then the lock is on the file itself, with no memory
  // shared with other processes (sqlite.org/wal.html, 8).
  LATCHKEY_RETURN_IF_ERROR(
      Run(database.get(), "PRAGMA locking_mode = EXCLUSIVE"));
  LATCHKEY_ASSIGN_OR_RETURN(bool ours, IsOurs(database.get()));
  LATCHKEY_RETURN_IF_ERROR(Lock(database.get()));
  // Once more, under the lock: another may have made it ours meanwhile.
  LATCHKEY_ASSIGN_OR_RETURN(ours, IsOurs(database.get()));
  if (!ours) LATCHKEY_RETURN_IF_ERROR(MakeTables(database.get()));
  LATCHKEY_ASSIGN_OR_RETURN(MemoryObjectStore::Content content,
                            ReadAll(database.get()));
  return std::make_unique<MemoryObjectStore>(
      options, std::move(content),
      std::make_unique<SqliteJournal>(std::move(database)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ObjectStore>> OpenObjectDatabase(
    const std::string& path, const ObjectStore::Options& options) {
  auto store = Open(path, options);
  if (store.ok()) return store;
  return absl::Status(
      store.status().code(),
      fmt::format("{}: {}", path, std::string(store.status().message())));
}

}  // namespace latchkey
