#include "clients/node/broker_client.h"

#include <algorithm>

namespace latchkey {

absl::Status CheckApiServerUrl(std::string_view url) {
  constexpr std::string_view kScheme = "https://";
  constexpr std::string_view kPunctuation = "-._~:/[]%";
  const auto allowed = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') ||
           kPunctuation.find(c) != std::string_view::npos;
  };
  if (url.substr(0, kScheme.size()) != kScheme ||
      url.size() == kScheme.size() || !std::ranges::all_of(url, allowed)) {
    return absl::InvalidArgumentError(
        "the URL of an API server is https://HOST[:PORT]");
  }
  return absl::OkStatus();
}

}  // namespace latchkey
