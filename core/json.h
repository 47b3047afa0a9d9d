// JSON objects that others wrote (RFC 8259), read within bounds.

#ifndef LATCHKEY_CORE_JSON_H_
#define LATCHKEY_CORE_JSON_H_

#include <cstddef>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <google/protobuf/struct.pb.h>

namespace latchkey {

using JsonFields = google::protobuf::Struct;

// kInvalidArgument, without repeating it, if `text` is no JSON object, is
// longer than `max_bytes`, is nested deeper than about 30 levels, or has an
// object with two members of one name. Numbers become doubles.
//
// Not checked: protobuf's reader also takes names without quotes, strings in
// single quotes and a comma at the end of a list.
absl::StatusOr<JsonFields> ParseJsonObject(std::string_view text,
                                           size_t max_bytes);

// The member of that name; null if there is none.
const google::protobuf::Value* FindMember(const JsonFields& object,
                                          std::string_view name);
// The same for a string; null if the member is absent or anything else.
const std::string* FindString(const JsonFields& object, std::string_view name);

}  // namespace latchkey

#endif  // LATCHKEY_CORE_JSON_H_
