#include "clients/ctl/batch_id.h"

#include <sys/stat.h>

#include <utility>

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "clients/files/read_file.h"
#include "core/base36.h"
#include "core/status_macros.h"
#include "crypto/random.h"

namespace latchkey {
namespace {

// As many random bits as a ticket has.
constexpr size_t kKeyLength = 32;
constexpr size_t kRequestIdLength = 32;

absl::Status Usage(const absl::Status& status) {
  return absl::InvalidArgumentError(std::string(status.message()));
}

absl::Status CheckMode(const std::string& path) {
  struct stat found = {};
  if (stat(path.c_str(), &found) == 0 && (found.st_mode & 077) == 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(fmt::format(
      "{}: others may read it: chmod 600. Who knows it is half way to the "
      "tickets of the batch",
      path));
}

absl::StatusOr<SecretString> ReadKey(const std::string& path) {
  constexpr size_t kMaxBytes = 256;
  absl::StatusOr<std::string> text = ReadFileBounded(path, kMaxBytes);
  if (!text.ok()) return text.status();
  LATCHKEY_RETURN_IF_ERROR(CheckMode(path));
  if (text->ends_with('\n')) text->pop_back();
  SecretString key(*text);
  Wipe(*text);
  if (key.size() == kKeyLength && IsBase36(key.Reveal())) return key;
  return absl::InvalidArgumentError(
      fmt::format("{}: is no batch id; name a file of its own for one", path));
}

// In a form that depends on nothing but its fields.
std::string CanonicalBytes(const v1::IssueTokenRequest& request) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  request.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

}  // namespace

BatchId::BatchId(SecretString key, std::optional<FileLock> lock)
    : key_(std::move(key)), lock_(std::move(lock)) {}

BatchId BatchId::Fresh() { return {RandomBase36(kKeyLength), std::nullopt}; }

absl::StatusOr<BatchId> BatchId::Load(const std::string& path) {
  absl::StatusOr<FileLock> lock = FileLock::TryAcquire(path + ".lock");
  if (absl::IsUnavailable(lock.status())) {
    return absl::UnavailableError(
        fmt::format("another run of this batch has {}", path));
  }
  if (!lock.ok()) return Usage(lock.status());
  absl::StatusOr<SecretString> key = ReadKey(path);
  if (absl::IsNotFound(key.status())) {
    key = RandomBase36(kKeyLength);
    std::string line = std::string(key->Reveal()) + "\n";
    const absl::Status written = WriteFileDurably(path, line, 0600);
    Wipe(line);
    if (!written.ok()) return Usage(written);
  }
  if (!key.ok()) return Usage(key.status());
  return BatchId(*std::move(key), *std::move(lock));
}

SecretString BatchId::RequestIdOf(const v1::IssueTokenRequest& request) const {
  return DeriveBase36("latchkeyctl batch",
                      {key_.Reveal(), CanonicalBytes(request)},
                      kRequestIdLength);
}

}  // namespace latchkey
