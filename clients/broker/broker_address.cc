#include "clients/broker/broker_address.h"

#include <charconv>
#include <cstddef>
#include <system_error>

namespace latchkey {

absl::Status CheckBrokerAddress(std::string_view address) {
  const size_t colon = address.rfind(':');
  const std::string_view host = address.substr(0, colon);
  const std::string_view digits =
      colon == std::string_view::npos ? "" : address.substr(colon + 1);
  int port = 0;
  const char* end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, port);
  constexpr int kMaxPort = 65535;
  const bool bracketed =
      host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (host.empty() || parsed.ec != std::errc() || parsed.ptr != end ||
      port < 1 || port > kMaxPort ||
      host.find_first_of("/ @") != std::string_view::npos ||
      (!bracketed && host.find_first_of(":[]") != std::string_view::npos)) {
    return absl::InvalidArgumentError(
        "must be host:port, without https:// before it; an IPv6 address is in "
        "brackets: [::1]:PORT");
  }
  return absl::OkStatus();
}

}  // namespace latchkey
