#include "clients/broker/bearer_token.h"

#include <algorithm>

#include <fmt/format.h>
#include <grpcpp/security/credentials.h>

#include "clients/files/read_file.h"
#include "core/secret_string.h"

namespace latchkey {
namespace {

constexpr size_t kMaxBytes = size_t{64} * 1024;

// Visible ASCII: what a header can carry, and then some.
bool IsToken(const std::string& text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

absl::Status UseBearerToken(grpc::ClientContext& context,
                            const std::string& file) {
  absl::StatusOr<std::string> token = ReadFileBounded(file, kMaxBytes);
  if (!token.ok()) {
    return absl::InvalidArgumentError(std::string(token.status().message()));
  }
  while (token->ends_with('\n') || token->ends_with('\r')) token->pop_back();
  const bool is_token = IsToken(*token);
  if (is_token) {
    context.set_credentials(grpc::AccessTokenCredentials(*token));
  }
  Wipe(*token);
  if (is_token) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{}: is no bearer token, one line without spaces", file));
}

}  // namespace latchkey
