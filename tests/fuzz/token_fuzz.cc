// Any bytes as a bootstrap token, as the user behind one, and as the cursor of
// a watch: accepted if and only if they have the one form.

#include <algorithm>
#include <string>
#include <string_view>

#include "core/bootstrap_token.h"
#include "services/watch_cursor.h"
#include "tests/fuzz/insist.h"

namespace {

using latchkey_testing::Insist;

// The rule of Kubernetes, [a-z0-9]{6}\.[a-z0-9]{16}, said once more.
bool IsToken(std::string_view text) {
  if (text.size() != 23 || text[6] != '.') return false;
  return std::all_of(text.begin(), text.end(), [&](const char& c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           &c == text.data() + 6;
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = latchkey_testing::AsText(data, size);
  const auto token = latchkey::BootstrapToken::Parse(text);
  Insist(token.ok() == IsToken(text));
  if (token.ok()) {
    Insist(token->Joined().Reveal() == text);
    const auto user = latchkey::TokenIdOfUsername(token->id().Username());
    Insist(user.ok() && *user == token->id());
  }
  const auto user = latchkey::TokenIdOfUsername(text);
  if (user.ok()) Insist(user->Username() == text);
  const auto cursor = latchkey::ParseCursor(text);
  if (cursor.ok()) Insist(latchkey::FormatCursor(*cursor) == text);
  return 0;
}
