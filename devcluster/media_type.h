// Which encoding of objects a client sends, and which it wants (RFC
// 9110, 12.5.1 and 8.3), as far as kube-apiserver's clients use that.

#ifndef LATCHKEY_DEVCLUSTER_MEDIA_TYPE_H_
#define LATCHKEY_DEVCLUSTER_MEDIA_TYPE_H_

#include <optional>
#include <string_view>

namespace latchkey {

enum class MediaType { kJson, kProtobuf };

// The best that we have of what the header Accept names, by its q values and
// then its order; JSON if it is empty. Ranges that ask for another form of the
// object (";as=Table") are passed over. nullopt: we have none of it.
std::optional<MediaType> AcceptedMediaType(std::string_view accept);

// Of the header Content-Type; JSON if it is empty. nullopt: we cannot read it.
std::optional<MediaType> ContentMediaType(std::string_view content_type);

// As a Content-Type.
std::string_view MediaTypeName(MediaType type);
std::string_view WatchMediaTypeName(MediaType type);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_MEDIA_TYPE_H_
