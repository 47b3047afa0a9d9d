#include "crypto/jwk_set.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <absl/status/status.h>

#include "core/json.h"
#include "core/status_macros.h"

namespace latchkey {

absl::StatusOr<JwkSet> JwkSet::Parse(std::string_view json) {
  LATCHKEY_ASSIGN_OR_RETURN(const JsonFields object,
                            ParseJsonObject(json, kMaxBytes));
  const google::protobuf::Value* keys = FindMember(object, "keys");
  if (keys == nullptr || !keys->has_list_value()) {
    return absl::InvalidArgumentError("not a JWK set: there is no list keys");
  }
  if (keys->list_value().values_size() > static_cast<int>(kMaxKeys)) {
    return absl::InvalidArgumentError("a JWK set has at most 64 keys");
  }
  JwkSet set;
  for (const google::protobuf::Value& value : keys->list_value().values()) {
    absl::StatusOr<Jwk> key = Jwk::Parse(value.struct_value());
    if (absl::IsUnimplemented(key.status())) continue;
    if (!key.ok()) return key.status();
    const bool taken =
        key->key_id().has_value() &&
        std::any_of(set.keys_.begin(), set.keys_.end(), [&](const Jwk& other) {
          return other.key_id() == key->key_id();
        });
    if (taken) {
      return absl::InvalidArgumentError("two keys of a JWK set have one kid");
    }
    set.keys_.push_back(*std::move(key));
  }
  if (set.keys_.empty()) {
    return absl::InvalidArgumentError(
        "the JWK set has no RSA, P-256 or Ed25519 key for signatures");
  }
  return set;
}

const Jwk* JwkSet::Find(const Jws& token) const {
  const auto matches = [&](const Jwk& key) {
    return JwsAlgorithmName(key.algorithm()) == token.algorithm &&
           (!token.key_id.has_value() || key.key_id() == token.key_id);
  };
  const auto found = std::find_if(keys_.begin(), keys_.end(), matches);
  if (found == keys_.end()) return nullptr;
  // With a name there is no second one.
  return std::find_if(found + 1, keys_.end(), matches) == keys_.end() ? &*found
                                                                      : nullptr;
}

}  // namespace latchkey
