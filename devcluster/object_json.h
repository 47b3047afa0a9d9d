// Kubernetes' JSON of the messages in proto/kubernetes, both ways.
//
// It is not protobuf's own JSON mapping: times are RFC 3339, 64-bit integers
// are numbers, and what is left out follows Go (the options in meta.proto).

#ifndef LATCHKEY_DEVCLUSTER_OBJECT_JSON_H_
#define LATCHKEY_DEVCLUSTER_OBJECT_JSON_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>

namespace latchkey {

// Appends `message` as a JSON object. Bytes that are no UTF-8 become U+FFFD.
// Fields that its type does not know are left out.
void AppendJson(const google::protobuf::Message& message, std::string& json);

// The same with kind and apiVersion in front.
void AppendObjectJson(std::string_view api_version, std::string_view kind,
                      const google::protobuf::Message& object,
                      std::string& json);

// A JSON object that was parsed, and not yet taken for an object of any kind.
class JsonObject {
 public:
  // kInvalidArgument, without repeating it, if `text` is no JSON object, or is
  // nested deeper than about 30 levels.
  static absl::StatusOr<JsonObject> Parse(std::string_view text);

  // Empty if they are not there.
  const std::string& api_version() const { return api_version_; }
  const std::string& kind() const { return kind_; }

  // Sets the fields of `message` that the object has; null counts as absent.
  // kInvalidArgument names the first field that is of the wrong type, and no
  // values. Fields that `message` does not have are skipped, and named in
  // `unknown`, e.g. "metadata.foo", unless that is null.
  absl::Status ReadInto(google::protobuf::Message& message,
                        std::vector<std::string>* unknown = nullptr) const;

 private:
  JsonObject() = default;

  // Shared, so that it can be moved: never changed after Parse().
  std::shared_ptr<const google::protobuf::Struct> fields_;
  std::string api_version_;
  std::string kind_;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_OBJECT_JSON_H_
