// A refusal is an absl::Status with a stable reason that programs can act on
// (google.rpc.ErrorInfo, AIP-193), and what goes with it.

#ifndef LATCHKEY_CORE_REFUSAL_H_
#define LATCHKEY_CORE_REFUSAL_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/time/time.h>

namespace latchkey {

using RefusalMetadata = std::map<std::string, std::string>;

// A status of `code` that carries `reason` (UPPER_SNAKE_CASE, listed in
// docs/errors.md) and `metadata`, whose values may be shown to the caller.
// Neither may hold a secret.
absl::Status Refuse(absl::StatusCode code, std::string_view reason,
                    std::string_view message,
                    const RefusalMetadata& metadata = {});

// INVALID_FIELD (kInvalidArgument): what is wrong with a field of a request,
// which the message and the metadata "field" name.
absl::Status InvalidField(std::string_view field, std::string_view message);

// The reason of a refusal; empty if `status` has none.
std::string ReasonOf(const absl::Status& status);
RefusalMetadata MetadataOf(const absl::Status& status);

// How long the server asked to be left alone: kept beside the error from
// wherever it was learnt (Retry-After, RetryInfo) to whoever retries. Without a
// delay the status is as it was.
absl::Status WithRetryAfter(absl::Status status,
                            std::optional<absl::Duration> delay);
std::optional<absl::Duration> RetryAfterOf(const absl::Status& status);

// True if a write that ended with `status` may or may not have been done: the
// caller must read again before it believes either.
bool OutcomeIsUnknown(const absl::Status& status);

}  // namespace latchkey

#endif  // LATCHKEY_CORE_REFUSAL_H_
