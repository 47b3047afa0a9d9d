// Any bytes as a Secret in Kubernetes' protobuf, and that as a token's record.
// A record that is read has what its state needs, and survives being written.

#include <string>
#include <string_view>

#include "clients/kubernetes/envelope.h"
#include "core/text_time.h"
#include "storage/token_secret.h"
#include "tests/fuzz/insist.h"

namespace {

using latchkey::StoredToken;
using latchkey::TokenRecord;
using latchkey::TokenState;
using latchkey::kubernetes::Secret;
using latchkey_testing::Insist;

Secret Written(const TokenRecord& record) {
  Secret secret;
  latchkey::WriteTokenSecret(record, secret);
  return secret;
}

void CheckState(const TokenRecord& record) {
  const bool reserved = record.state == TokenState::kReserved;
  const bool live = reserved || record.state == TokenState::kActive;
  if (reserved) Insist(record.reservation.has_value());
  if (live && record.delivery == latchkey::Delivery::kTicket) {
    Insist(record.claim.has_value());
  }
  Insist(!record.scope.node_name.empty() && !record.provisioner.empty());
  Insist(record.refused.size() <= TokenRecord::kMaxRefused);
}

// Reading and writing agree: written, read and written it is the same.
void CheckRoundTrip(const TokenRecord& record) {
  const Secret once = Written(record);
  const auto again = latchkey::ReadTokenSecret(once);
  Insist(again.ok());
  CheckState(again->record);
  Insist(again->record.state == record.state);
  Insist(again->record.BoundKey() == record.BoundKey());
  Insist(again->record.expire_time ==
         latchkey::WholeSeconds(record.expire_time));
  Insist(latchkey::SerializeDeterministically(Written(again->record)) ==
         latchkey::SerializeDeterministically(once));
  const bool live = record.state == TokenState::kActive ||
                    record.state == TokenState::kReserved;
  Insist((once.data().at("usage-bootstrap-authentication") == "true") == live);
  Insist(once.data().at("usage-bootstrap-signing") == "false");
}

// What Latchkey does not know stays on the Secret when it is written back.
void CheckOthersStay(const Secret& before, const StoredToken& stored) {
  Secret after = before;
  latchkey::WriteTokenSecret(stored.record, after);
  for (const auto& [key, value] : before.metadata().annotations()) {
    if (key.starts_with("latchkey.dev/")) continue;
    const auto kept = after.metadata().annotations().find(key);
    Insist(kept != after.metadata().annotations().end());
    Insist(kept->second == value);
  }
  Insist(after.metadata().resource_version() ==
         before.metadata().resource_version());
}

// The reader that copies nothing and protobuf's own agree, of an object in the
// one form that the API server writes.
void CheckVersion(const Secret& secret, std::string_view raw) {
  if (latchkey::SerializeDeterministically(secret) != raw) return;
  const auto version = latchkey::ResourceVersionOf(raw);
  Insist(version.ok() && *version == secret.metadata().resource_version());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = latchkey_testing::AsText(data, size);
  const auto envelope = latchkey::OpenEnvelope(bytes);
  if (!envelope.ok()) return 0;
  Insist(envelope->raw.size() <= size);
  Secret secret;
  if (!secret.ParseFromArray(envelope->raw.data(),
                             static_cast<int>(envelope->raw.size()))) {
    return 0;
  }
  CheckVersion(secret, envelope->raw);
  const auto stored = latchkey::ReadTokenSecret(secret);
  if (!stored.ok()) {
    Insist(absl::IsFailedPrecondition(stored.status()) ||
           absl::IsDataLoss(stored.status()));
    return 0;
  }
  Insist(secret.metadata().name() == stored->record.id.SecretName());
  CheckState(stored->record);
  CheckRoundTrip(stored->record);
  CheckOthersStay(secret, *stored);
  return 0;
}
