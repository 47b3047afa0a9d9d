// The bodies of answers and requests, in either encoding.

#ifndef LATCHKEY_DEVCLUSTER_OBJECT_ENCODING_H_
#define LATCHKEY_DEVCLUSTER_OBJECT_ENCODING_H_

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <google/protobuf/message.h>

#include "devcluster/api_server.h"
#include "devcluster/media_type.h"
#include "kubernetes/meta.pb.h"

namespace latchkey {

// An object with its kind and apiVersion, in an envelope if it is protobuf.
std::string EncodeObject(MediaType type, const Resource& resource,
                         const StoredObjectData& object);
std::string EncodeStatus(MediaType type, const kubernetes::Status& status);
// "SecretList" and so on.
std::string EncodePage(MediaType type, const Resource& resource,
                       const ObjectPage& page);

// One frame of a watch: a line of JSON, or a length and a WatchEvent.
// clients/kubernetes/watch_frames.h reads the latter.
std::string EncodeChange(MediaType type, const Resource& resource,
                         const WatchedChange& change);
std::string EncodeWatchError(MediaType type, const kubernetes::Status& status);

// Decodes a body that should be an object of `kind`; one that does not say its
// kind is taken for it. Errors are BadRequestErrors (api_error.h). With
// `strict`, a field of JSON that we do not know is one too.
absl::Status DecodeObject(MediaType type, std::string_view api_version,
                          std::string_view kind, std::string_view body,
                          bool strict, google::protobuf::Message& object);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_OBJECT_ENCODING_H_
