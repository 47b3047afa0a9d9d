#include "clients/http/response_head.h"

#include <charconv>
#include <string>

namespace latchkey {
namespace {

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// "HTTP/1.1 200 OK", "HTTP/2 200".
int StatusInLine(std::string_view line) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return 0;
  const std::string_view digits = line.substr(space + 1);
  int status = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), status);
  return status;
}

}  // namespace

ResponseHead::Taken ResponseHead::Take(std::string_view line) {
  bytes_ += line.size();
  if (bytes_ > kMaxBytes) return Taken::kTooMuch;
  if (complete_) return Taken::kLine;
  if (line.starts_with("HTTP/")) {
    response_.status = StatusInLine(line);
    response_.headers.clear();
    return Taken::kLine;
  }
  const std::string_view text = Trim(line);
  if (text.empty()) {
    complete_ = response_.status >= 200;  // else an interim response
    return complete_ ? Taken::kEnd : Taken::kLine;
  }
  const size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    response_.headers[LowerCase(text.substr(0, colon))] =
        std::string(Trim(text.substr(colon + 1)));
  }
  return Taken::kLine;
}

}  // namespace latchkey
