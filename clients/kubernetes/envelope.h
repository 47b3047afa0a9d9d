// The wrapping of objects in application/vnd.kubernetes.protobuf: the four
// bytes "k8s\0", then runtime.Unknown, whose `raw` is the object.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_ENVELOPE_H_
#define LATCHKEY_CLIENTS_KUBERNETES_ENVELOPE_H_

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

namespace latchkey {

inline constexpr char kProtobufContentType[] =
    "application/vnd.kubernetes.protobuf";

// The bytes of `object` as the API server itself would write them: fields in
// order of their numbers, maps sorted by key.
std::string SerializeDeterministically(const google::protobuf::Message& object);

// `object` in an envelope.
std::string WrapObject(std::string_view api_version, std::string_view kind,
                       const google::protobuf::Message& object);

// The same of an object that is encoded already.
std::string WrapEncodedObject(std::string_view api_version,
                              std::string_view kind, std::string_view object);

// What an envelope says; views into its bytes.
struct EnvelopeView {
  std::string_view api_version;
  std::string_view kind;
  std::string_view raw;
};

// kInternal if `bytes` is no envelope. The message does not repeat it.
absl::StatusOr<EnvelopeView> OpenEnvelope(std::string_view bytes);

// The metadata.resourceVersion of an encoded object of any kind, a bookmark's
// included; empty if it has none. kInternal if `object` is not a message.
absl::StatusOr<std::string> ResourceVersionOf(std::string_view object);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_ENVELOPE_H_
