#include "storage/token_secret.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "clients/kubernetes/token_secret_keys.h"
#include "core/status_macros.h"
#include "core/text_time.h"
#include "crypto/digest.h"

namespace latchkey {
namespace {

using token_secret::kManagedBy;
using token_secret::kManagedByLabel;
using token_secret::kStateLabel;
constexpr char kProvisionerLabel[] = "latchkey.dev/provisioner";
constexpr std::string_view kOwnLabelPrefix = "label.latchkey.dev/";
// A label's value has room for 63 characters.
constexpr size_t kProvisionerLabelLength = 32;

// Keys of `data`: those of Kubernetes, and our own.
using token_secret::kDescription;
using token_secret::kExpiration;
using token_secret::kGroups;
using token_secret::kTokenId;
using token_secret::kTokenSecret;
using token_secret::kUsageAuthentication;
using token_secret::kUsageSigning;
constexpr char kTicketSalt[] = "latchkey-ticket-salt";

// Annotations.
using token_secret::kNodeName;
constexpr char kScopeGroups[] = "latchkey.dev/scope-groups";
constexpr char kMaxLifetime[] = "latchkey.dev/max-certificate-lifetime";
constexpr char kScopeKey[] = "latchkey.dev/scope-public-key-sha256";
constexpr char kReplacement[] = "latchkey.dev/allow-node-replacement";
using token_secret::kDelivery;
using token_secret::kProvisioner;
constexpr char kProvisionerKind[] = "latchkey.dev/provisioner-kind";
constexpr char kLastStep[] = "latchkey.dev/last-step";
constexpr char kRefused[] = "latchkey.dev/refused";
constexpr char kRule[] = "latchkey.dev/policy-rule";
using token_secret::kRequestDigest;
using token_secret::kRequestKey;
constexpr char kTicketDigest[] = "latchkey.dev/ticket-sha256";
using token_secret::kClaimKey;
constexpr char kClaimant[] = "latchkey.dev/claimant";
constexpr char kClaimTime[] = "latchkey.dev/claim-time";
constexpr char kCsrName[] = "latchkey.dev/csr-name";
using token_secret::kCsrUid;
constexpr char kCsrKey[] = "latchkey.dev/csr-public-key-sha256";
constexpr char kReserveTime[] = "latchkey.dev/reserve-time";
constexpr char kFingerprint[] = "latchkey.dev/certificate-sha256";
constexpr char kSerial[] = "latchkey.dev/certificate-serial";
constexpr char kNotAfter[] = "latchkey.dev/certificate-not-after";
constexpr char kSpendTime[] = "latchkey.dev/spend-time";
constexpr char kRevokedBy[] = "latchkey.dev/revoked-by";
constexpr char kRevokeReason[] = "latchkey.dev/revoke-reason";
constexpr char kRevokeTime[] = "latchkey.dev/revoke-time";

using Annotations = google::protobuf::Map<std::string, std::string>;

// Sets a key, or takes it out if there is nothing to say.
void Put(Annotations& annotations, const char* key, const std::string& value) {
  if (value.empty()) {
    annotations.erase(key);
  } else {
    annotations[key] = value;
  }
}

void WriteScope(const TokenRecord& record, Annotations& annotations) {
  const TokenScope& scope = record.scope;
  Put(annotations, kNodeName, scope.node_name);
  Put(annotations, kScopeGroups,
      fmt::format("{}", fmt::join(scope.groups, ",")));
  Put(annotations, kMaxLifetime,
      scope.max_certificate_lifetime.has_value()
          ? absl::FormatDuration(*scope.max_certificate_lifetime)
          : "");
  Put(annotations, kScopeKey, scope.key_digest.value_or(""));
  Put(annotations, kReplacement, scope.allow_node_replacement ? "true" : "");
  Put(annotations, kDelivery, std::string(DeliveryName(record.delivery)));
  Put(annotations, kProvisioner, record.provisioner);
  Put(annotations, kProvisionerKind,
      std::string(IdentityKindName(record.provisioner_kind)));
  Put(annotations, kRule, record.rule);
  Put(annotations, kRequestKey, record.request_key);
  Put(annotations, kRequestDigest, record.request_digest);
  Put(annotations, kTicketDigest, record.ticket_digest);
}

// A line each: time, reason, by whom.
std::string FormatRefused(const std::vector<RefusedAttempt>& all) {
  std::string lines;
  for (const RefusedAttempt& one : all) {
    lines +=
        fmt::format("{} {} {}\n", FormatRfc3339(one.time), one.reason, one.by);
  }
  return lines;
}

void WriteProgress(const TokenRecord& record, Annotations& annotations) {
  Put(annotations, kLastStep, std::string(TokenStepName(record.last_step)));
  const TokenClaim claim = record.claim.value_or(TokenClaim());
  Put(annotations, kClaimKey, claim.key_digest);
  Put(annotations, kClaimant, claim.claimant);
  Put(annotations, kClaimTime,
      record.claim.has_value() ? FormatRfc3339(claim.time) : "");
  const Reservation held = record.reservation.value_or(Reservation());
  Put(annotations, kCsrName, held.csr_name);
  Put(annotations, kCsrUid, held.csr_uid);
  Put(annotations, kCsrKey, held.key_digest);
  Put(annotations, kReserveTime,
      record.reservation.has_value() ? FormatRfc3339(held.time) : "");
  const auto bought = record.certificate.value_or(BoughtCertificate());
  Put(annotations, kFingerprint, bought.fingerprint);
  Put(annotations, kSerial, bought.serial);
  Put(annotations, kNotAfter,
      record.certificate.has_value() ? FormatRfc3339(bought.not_after) : "");
  Put(annotations, kSpendTime,
      bought.time != absl::InfinitePast() ? FormatRfc3339(bought.time) : "");
  const Revocation revoked = record.revocation.value_or(Revocation());
  Put(annotations, kRevokedBy, revoked.who);
  Put(annotations, kRevokeReason, revoked.why);
  Put(annotations, kRevokeTime,
      record.revocation.has_value() ? FormatRfc3339(revoked.time) : "");
  Put(annotations, kRefused, FormatRefused(record.refused));
}

void WriteLabels(const TokenRecord& record,
                 google::protobuf::Map<std::string, std::string>& labels) {
  labels[kManagedByLabel] = kManagedBy;
  labels[kStateLabel] = std::string(TokenStateName(record.state));
  labels[kProvisionerLabel] = ProvisionerLabelValue(record.provisioner);
  for (const auto& [key, value] : record.labels) {
    labels[std::string(kOwnLabelPrefix) + key] = value;
  }
}

TokenLabels ReadLabels(
    const google::protobuf::Map<std::string, std::string>& labels) {
  TokenLabels own;
  for (const auto& [key, value] : labels) {
    if (std::string_view(key).substr(0, kOwnLabelPrefix.size()) ==
        kOwnLabelPrefix) {
      own[key.substr(kOwnLabelPrefix.size())] = value;
    }
  }
  return own;
}

// Reads annotations; remembers the first that does not make sense.
class AnnotationReader {
 public:
  explicit AnnotationReader(const Annotations& annotations)
      : annotations_(annotations) {}

  const std::string& Text(const char* key) const {
    static const std::string nothing;
    const auto it = annotations_.find(key);
    return it == annotations_.end() ? nothing : it->second;
  }
  const std::string& Required(const char* key) {
    const std::string& text = Text(key);
    if (text.empty()) Fail(key);
    return text;
  }
  absl::Time Time(const char* key) {
    const absl::StatusOr<absl::Time> time = ParseRfc3339(Text(key));
    if (time.ok()) return *time;
    Fail(key);
    return absl::InfinitePast();
  }
  void Fail(const char* key) {
    if (wrong_.empty()) wrong_ = key;
  }
  const std::string& wrong() const { return wrong_; }

 private:
  const Annotations& annotations_;
  std::string wrong_;
};

std::vector<std::string> SplitAt(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return parts;
}

void ReadScope(AnnotationReader& reader, TokenRecord& record) {
  TokenScope& scope = record.scope;
  scope.node_name = reader.Required(kNodeName);
  scope.groups = SplitAt(reader.Text(kScopeGroups), ',');
  if (const std::string text = reader.Text(kMaxLifetime); !text.empty()) {
    const auto lifetime = ParsePositiveDuration(text);
    if (lifetime.ok()) {
      scope.max_certificate_lifetime = *lifetime;
    } else {
      reader.Fail(kMaxLifetime);
    }
  }
  if (const std::string key = reader.Text(kScopeKey); !key.empty()) {
    scope.key_digest = key;
  }
  scope.allow_node_replacement = reader.Text(kReplacement) == "true";
  const auto delivery = DeliveryFromName(reader.Text(kDelivery));
  if (!delivery.has_value()) reader.Fail(kDelivery);
  record.delivery = delivery.value_or(Delivery::kTicket);
  record.provisioner = reader.Required(kProvisioner);
  record.provisioner_kind = IdentityKindFromName(reader.Text(kProvisionerKind))
                                .value_or(IdentityKind::kCertificate);
  record.rule = reader.Text(kRule);
  record.request_key = reader.Required(kRequestKey);
  record.request_digest = reader.Required(kRequestDigest);
  record.ticket_digest = reader.Text(kTicketDigest);
}

// For people, so what cannot be read is passed over.
std::vector<RefusedAttempt> ParseRefused(std::string_view lines) {
  std::vector<RefusedAttempt> all;
  for (const std::string& line : SplitAt(lines, '\n')) {
    const size_t reason = line.find(' ');
    const size_t by =
        reason == std::string::npos ? reason : line.find(' ', reason + 1);
    if (by == std::string::npos) continue;
    const auto time = ParseRfc3339(line.substr(0, reason));
    if (!time.ok() || all.size() >= TokenRecord::kMaxRefused) continue;
    all.push_back({.reason = line.substr(reason + 1, by - reason - 1),
                   .by = line.substr(by + 1),
                   .time = *time});
  }
  return all;
}

void ReadProgress(AnnotationReader& reader, TokenRecord& record) {
  record.last_step =
      TokenStepFromName(reader.Text(kLastStep)).value_or(TokenStep::kIssued);
  record.refused = ParseRefused(reader.Text(kRefused));
  if (const std::string key = reader.Text(kClaimKey); !key.empty()) {
    record.claim = {.key_digest = key,
                    .claimant = reader.Text(kClaimant),
                    .time = reader.Time(kClaimTime)};
  }
  if (const std::string uid = reader.Text(kCsrUid); !uid.empty()) {
    record.reservation = {.csr_name = reader.Required(kCsrName),
                          .csr_uid = uid,
                          .key_digest = reader.Required(kCsrKey),
                          .time = reader.Time(kReserveTime)};
  }
  if (const std::string text = reader.Text(kFingerprint); !text.empty()) {
    record.certificate = {.fingerprint = text,
                          .serial = reader.Text(kSerial),
                          .not_after = reader.Time(kNotAfter),
                          .time = ParseRfc3339(reader.Text(kSpendTime))
                                      .value_or(absl::InfinitePast())};
  }
  if (const std::string who = reader.Text(kRevokedBy); !who.empty()) {
    record.revocation = {.who = who,
                         .why = reader.Text(kRevokeReason),
                         .time = reader.Time(kRevokeTime)};
  }
  // What the state needs must be there, or a record that somebody edited could
  // be approved without the key that it is bound to.
  const bool reserved = record.state == TokenState::kReserved;
  if (reserved && !record.reservation.has_value()) reader.Fail(kCsrUid);
  if ((reserved || record.state == TokenState::kActive) &&
      record.delivery == Delivery::kTicket && !record.claim.has_value()) {
    reader.Fail(kClaimKey);
  }
}

// As long as `secret` is there: a copy would be one more that is not wiped.
std::string_view Data(const kubernetes::Secret& secret, const char* key) {
  const auto it = secret.data().find(key);
  return it == secret.data().end() ? std::string_view() : it->second;
}

absl::Status Unreadable(const TokenId& id, std::string_view what) {
  return absl::DataLossError(
      fmt::format("token {}: its record has no usable {}", id.text(), what));
}

}  // namespace

std::string ProvisionerLabelValue(std::string_view provisioner) {
  return Sha256Hex(provisioner).substr(0, kProvisionerLabelLength);
}

std::string LabelSelectorOf(const TokenFilter& filter) {
  std::string selector(kTokenLabelSelector);
  if (!filter.provisioner.empty()) {
    selector += fmt::format(",{}={}", kProvisionerLabel,
                            ProvisionerLabelValue(filter.provisioner));
  }
  if (!filter.states.empty()) {
    std::vector<std::string_view> names;
    for (const TokenState state : filter.states) {
      names.push_back(TokenStateName(state));
    }
    selector += fmt::format(",{} in ({})", kStateLabel, fmt::join(names, ","));
  }
  for (const auto& [key, value] : filter.labels) {
    selector += fmt::format(",{}{}={}", kOwnLabelPrefix, key, value);
  }
  return selector;
}

void WriteTokenSecret(const TokenRecord& record, kubernetes::Secret& secret) {
  kubernetes::ObjectMeta& metadata = *secret.mutable_metadata();
  metadata.set_name(record.id.SecretName());
  metadata.set_namespace_(std::string(kTokenNamespace));
  WriteLabels(record, *metadata.mutable_labels());
  WriteScope(record, *metadata.mutable_annotations());
  WriteProgress(record, *metadata.mutable_annotations());

  secret.set_type(std::string(kTokenSecretType));
  auto& data = *secret.mutable_data();
  const bool live = record.state == TokenState::kActive ||
                    record.state == TokenState::kReserved;
  data[kTokenId] = record.id.text();
  data[kTokenSecret] = record.secret.Reveal();
  data[kExpiration] = FormatRfc3339(record.expire_time);
  data[kDescription] =
      fmt::format("Latchkey: one machine, {}", record.scope.node_name);
  data[kGroups] = fmt::format("{}", fmt::join(record.groups, ","));
  data[kUsageAuthentication] = live ? "true" : "false";
  data[kUsageSigning] = "false";
  if (record.ticket_salt.empty()) {
    data.erase(kTicketSalt);
  } else {
    data[kTicketSalt] = record.ticket_salt.Reveal();
  }
}

absl::StatusOr<StoredToken> ReadTokenSecret(kubernetes::Secret secret) {
  absl::StatusOr<StoredToken> stored = ReadWithoutOrigin(secret);
  // Shared, since tokens are copied and this is large.
  if (stored.ok()) {
    stored->origin =
        std::make_shared<const kubernetes::Secret>(std::move(secret));
  }
  return stored;
}

absl::StatusOr<StoredToken> ReadWithoutOrigin(
    const kubernetes::Secret& secret) {
  const kubernetes::ObjectMeta& metadata = secret.metadata();
  const auto managed_by = metadata.labels().find(kManagedByLabel);
  if (secret.type() != kTokenSecretType ||
      managed_by == metadata.labels().end() ||
      managed_by->second != kManagedBy) {
    return absl::FailedPreconditionError("not a token of Latchkey");
  }
  absl::StatusOr<TokenId> id = TokenId::Parse(Data(secret, kTokenId));
  if (!id.ok() || id->SecretName() != metadata.name()) {
    return absl::DataLossError(
        fmt::format("{}: its token-id does not fit its name", metadata.name()));
  }
  const auto state_label = metadata.labels().find(kStateLabel);
  const auto state = state_label == metadata.labels().end()
                         ? std::nullopt
                         : TokenStateFromName(state_label->second);
  if (!state.has_value()) return Unreadable(*id, kStateLabel);
  const absl::StatusOr<absl::Time> expires =
      ParseRfc3339(Data(secret, kExpiration));
  if (!expires.ok()) return Unreadable(*id, kExpiration);

  StoredToken stored{.record = {.id = *std::move(id)},
                     .version = metadata.resource_version(),
                     .uid = metadata.uid(),
                     .origin = {}};
  TokenRecord& record = stored.record;
  record.state = *state;
  record.secret = SecretString(Data(secret, kTokenSecret));
  record.ticket_salt = SecretString(Data(secret, kTicketSalt));
  record.groups = SplitAt(Data(secret, kGroups), ',');
  record.expire_time = *expires;
  record.create_time =
      absl::FromUnixSeconds(metadata.creation_timestamp().seconds());
  record.labels = ReadLabels(metadata.labels());
  AnnotationReader reader(metadata.annotations());
  ReadScope(reader, record);
  ReadProgress(reader, record);
  if (!reader.wrong().empty()) return Unreadable(record.id, reader.wrong());
  return stored;
}

}  // namespace latchkey
