#include "clients/ctl/field_flags.h"

#include <algorithm>
#include <array>

#include "core/reasons.h"
#include "core/refusal.h"

namespace latchkey {
namespace {

struct FieldFlag {
  std::string_view field;
  std::string_view flag;
};

// The fields of proto/latchkey/v1 that are typed as something else.
constexpr std::array kFieldFlags = {
    FieldFlag{"scope.node_name", "--node"},
    FieldFlag{"scope.groups", "--group"},
    FieldFlag{"scope.max_certificate_lifetime", "--max-certificate-lifetime"},
    FieldFlag{"scope.public_key_sha256", "--public-key-sha256"},
    FieldFlag{"delivery", "--delivery"},
    FieldFlag{"lifetime", "--lifetime"},
    FieldFlag{"labels", "--label"},
    FieldFlag{"request_id", "--request-id"},
    FieldFlag{"filter.states", "--state"},
    FieldFlag{"filter.node_name", "--node"},
    FieldFlag{"filter.provisioner", "--provisioner"},
    FieldFlag{"filter.labels", "--label"},
    FieldFlag{"filter.expires_before", "--expires-before"},
    FieldFlag{"filter.expires_after", "--expires-after"},
    FieldFlag{"reason", "--reason"},
    FieldFlag{"expire_time", "--for or --until"},
    FieldFlag{"id", "the token's id"},
    FieldFlag{"cursor", "the file of --cursor-file"},
};

}  // namespace

std::string_view FlagOf(const absl::Status& status) {
  if (ReasonOf(status) != reason::kInvalidField) return "";
  const RefusalMetadata metadata = MetadataOf(status);
  const auto field = metadata.find("field");
  if (field == metadata.end()) return "";
  const auto* const found =
      std::ranges::find(kFieldFlags, field->second, &FieldFlag::field);
  return found == kFieldFlags.end() ? std::string_view() : found->flag;
}

}  // namespace latchkey
