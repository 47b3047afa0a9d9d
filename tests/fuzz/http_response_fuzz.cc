// Any bytes as an HTTP response: lines up to an empty one are its head, the
// rest is its body. What it means is bounded, printable, and no success unless
// the server said so.

#include <algorithm>
#include <string>
#include <string_view>

#include "clients/http/http_status.h"
#include "clients/http/response_head.h"
#include "clients/kubernetes/kubernetes_status.h"
#include "core/refusal.h"
#include "tests/fuzz/insist.h"

namespace {

using latchkey::HttpResponse;
using latchkey::ResponseHead;
using latchkey_testing::Insist;

constexpr size_t kMaxMessage = 512;

HttpResponse ResponseOf(std::string_view text) {
  HttpResponse response;
  ResponseHead head(response);
  size_t taken = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const auto result = head.Take(text.substr(0, end));
    taken += end;
    text.remove_prefix(end);
    Insist((result == ResponseHead::Taken::kTooMuch) ==
           (taken > ResponseHead::kMaxBytes));
    if (result == ResponseHead::Taken::kEnd) break;
    if (result == ResponseHead::Taken::kTooMuch) return {};
  }
  response.body = std::string(text);
  return response;
}

void CheckHeaders(const HttpResponse& response) {
  for (const auto& [name, value] : response.headers) {
    for (const char c : name) Insist(!(c >= 'A' && c <= 'Z') && c != ':');
    Insist(value.empty() || (value.front() != ' ' && value.back() != ' '));
    Insist(value.find('\n') == std::string::npos);
  }
  const auto delay = latchkey::RetryAfterOfResponse(response);
  if (!delay.has_value()) return;
  Insist(*delay >= absl::ZeroDuration() && *delay <= absl::Hours(1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const HttpResponse response =
      ResponseOf(latchkey_testing::AsText(data, size));
  CheckHeaders(response);
  const absl::Status status =
      latchkey::StatusOfResponse(response, "get secrets kube-system/x");
  Insist(status.ok() == (response.status / 100 == 2));
  const absl::string_view message = status.message();
  Insist(message.size() <= kMaxMessage);
  for (const char c : message) Insist(!(c >= 0 && c < ' ') && c != 0x7f);
  if (const auto delay = latchkey::RetryAfterOf(status)) {
    Insist(*delay >= absl::ZeroDuration() && *delay <= absl::Hours(1));
  }
  return 0;
}
