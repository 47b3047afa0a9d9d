// PEM (RFC 7468), read more strictly than OpenSSL does: what this accepts, no
// other reader of the same text understands differently. For this folder only.

#ifndef LATCHKEY_CRYPTO_PEM_H_
#define LATCHKEY_CRYPTO_PEM_H_

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace latchkey {

struct PemBlock {
  std::string_view label;  // one of the labels that were asked for
  std::string der;         // to be wiped by the caller if it is secret
};

// The one block that `pem` is: nothing but white space around it, no headers in
// it, its label one of `labels` (which the result refers to). Else
// kInvalidArgument; the message does not repeat the input. Copies that were
// made on the way are wiped.
absl::StatusOr<PemBlock> DecodeOnlyPemBlock(
    std::string_view pem, std::initializer_list<std::string_view> labels);

// The DER of all blocks of `label` in `text`, in order; other blocks and other
// text are skipped unread. kInvalidArgument if one of them is malformed.
absl::StatusOr<std::vector<std::string>> DecodePemBlocks(
    std::string_view text, std::string_view label);

std::string EncodePem(std::string_view label, std::string_view der);

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_PEM_H_
