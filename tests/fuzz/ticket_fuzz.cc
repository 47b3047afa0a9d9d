// Any bytes as a ticket, and as the secret of one. What is accepted has one
// form only, and what was mistyped is told from what is wrong.

#include <string>
#include <string_view>

#include "core/base36.h"
#include "core/ticket.h"
#include "tests/fuzz/insist.h"

namespace {

using latchkey::SecretString;
using latchkey::Ticket;
using latchkey_testing::ChoiceFrom;
using latchkey_testing::Insist;

constexpr size_t kSecretAt =
    Ticket::kPrefix.size() + latchkey::TokenId::kLength + 1;

// What is accepted is what the same id and secret make, to the byte.
void CheckParsed(std::string_view text) {
  const auto ticket = Ticket::Parse(text);
  if (!ticket.ok()) {
    Insist(absl::IsInvalidArgument(ticket.status()));
    return;
  }
  Insist(ticket->text().Reveal() == text);
  const auto again = Ticket::FromSecret(
      ticket->id(),
      SecretString(text.substr(kSecretAt, Ticket::kSecretLength)));
  Insist(again.ok() && again->text().Reveal() == text);
}

// `length` characters of the alphabet, chosen by the input.
std::string Base36Of(std::string_view text, size_t length) {
  std::string result;
  for (size_t i = 0; i < length; ++i) {
    const unsigned char byte = i < text.size() ? text[i] : 0;
    result += latchkey::kBase36Alphabet[byte % 36];
  }
  return result;
}

// CRC-32 finds every change of one character, and of two neighbours.
void CheckMistyped(std::string_view input) {
  const auto id = latchkey::TokenId::Parse(Base36Of(input, 6));
  Insist(id.ok());
  const auto ticket = Ticket::FromSecret(
      *id, SecretString(Base36Of(input.substr(input.size() / 2), 32)));
  Insist(ticket.ok());
  const std::string text(ticket->text().Reveal());
  CheckParsed(text);
  const size_t at = ChoiceFrom(input) % text.size();
  std::string mistyped = text;
  mistyped[at] = latchkey::kBase36Alphabet[ChoiceFrom(input, 1) % 36];
  Insist(Ticket::Parse(mistyped).ok() == (mistyped == text));
  std::string swapped = text;
  std::swap(swapped[at], swapped[(at + 1) % text.size()]);
  Insist(Ticket::Parse(swapped).ok() == (swapped == text));
  Insist(!Ticket::Parse(text.substr(0, at)).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = latchkey_testing::AsText(data, size);
  CheckParsed(text);
  CheckMistyped(text);
  Insist(Ticket::FromSecret(*latchkey::TokenId::Parse("abc123"),
                            SecretString(text))
             .ok() == (size == 32 && latchkey::IsBase36(text)));
  return 0;
}
