#include "clients/kubernetes/credential_files.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <absl/strings/str_join.h>
#include <fmt/format.h>

#include "crypto/digest.h"

namespace latchkey {
namespace {

constexpr size_t kMaxPemBytes = 1 << 20;
constexpr size_t kMaxTokenBytes = 64 << 10;

bool Same(const SecretString& a, const SecretString& b) {
  return ConstantTimeEquals(a.Reveal(), b.Reveal());
}

std::string_view TrimBlank(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// Reads what a configuration points to and collects what goes wrong.
class Reader {
 public:
  SecretString Read(const ConfiguredBytes& source, size_t max_bytes) {
    if (source.path.empty()) return source.inline_bytes;
    auto content = ReadFileBounded(source.path, max_bytes);
    if (!content.ok()) {
      if (source.inline_bytes.empty()) {
        mistakes_.emplace_back(content.status().message());
      }
      return source.inline_bytes;
    }
    SecretString secret(*content);
    Wipe(*content);
    if (secret.empty()) Complain(source, "is empty");
    return secret;
  }

  // A token goes into a header, where a line break would begin another one.
  SecretString ReadToken(const ConfiguredBytes& source) {
    SecretString token(TrimBlank(Read(source, kMaxTokenBytes).Reveal()));
    const std::string_view text = token.Reveal();
    const bool plain = std::all_of(text.begin(), text.end(),
                                   [](char c) { return c > ' ' && c < 0x7f; });
    if (!plain) {
      Complain(source, "is not a token: it holds other than visible ASCII");
    }
    return token;
  }

  absl::Status status() const {
    if (mistakes_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrJoin(mistakes_, "\n"));
  }

 private:
  void Complain(const ConfiguredBytes& source, std::string_view what) {
    mistakes_.push_back(fmt::format(
        "{}: {}", source.path.empty() ? "the token" : source.path, what));
  }

  std::vector<std::string> mistakes_;
};

}  // namespace

bool ApiCredentials::SameConnection(const ApiCredentials& other) const {
  return server == other.server && tls_server_name == other.tls_server_name &&
         ca_pem == other.ca_pem &&
         client_certificate_pem == other.client_certificate_pem &&
         Same(client_key_pem, other.client_key_pem);
}

bool ApiCredentials::operator==(const ApiCredentials& other) const {
  return SameConnection(other) && Same(token, other.token);
}

absl::StatusOr<ApiCredentials> ReadCredentials(const ApiServerConfig& config) {
  Reader reader;
  ApiCredentials credentials;
  credentials.server = config.server;
  credentials.tls_server_name = config.tls_server_name;
  credentials.ca_pem =
      reader.Read(config.certificate_authority, kMaxPemBytes).Reveal();
  credentials.client_certificate_pem =
      reader.Read(config.client_certificate, kMaxPemBytes).Reveal();
  credentials.client_key_pem = reader.Read(config.client_key, kMaxPemBytes);
  credentials.token = reader.ReadToken(config.token);
  if (absl::Status status = reader.status(); !status.ok()) return status;
  return credentials;
}

void WatchedFiles::Note(const std::string& path) {
  if (!path.empty()) stamps_[path] = LookAt(path);
}

bool WatchedFiles::AnyChanged() const {
  return std::any_of(stamps_.begin(), stamps_.end(), [](const auto& entry) {
    return LookAt(entry.first) != entry.second;
  });
}

std::optional<FileStamp> WatchedFiles::LookAt(const std::string& path) {
  const auto stamp = StampOfFile(path);
  return stamp.ok() ? std::optional(*stamp) : std::nullopt;
}

}  // namespace latchkey
