#include "clients/kubernetes/envelope.h"

#include <climits>
#include <cstdint>
#include <optional>
#include <utility>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include "kubernetes/meta.pb.h"

namespace latchkey {
namespace {

using ::google::protobuf::internal::WireFormatLite;
using ::google::protobuf::io::CodedInputStream;
using ::google::protobuf::io::CodedOutputStream;
using ::google::protobuf::io::StringOutputStream;

constexpr std::string_view kMagic{"k8s\0", 4};

// Walks over the fields of an encoded message without copying any.
class FieldWalker {
 public:
  explicit FieldWalker(std::string_view message)
      : message_(message),
        input_(reinterpret_cast<const uint8_t*>(message.data()),
               static_cast<int>(message.size())) {}

  // Moves to the next field; false at the end, or if the message is broken.
  bool Next() {
    bytes_ = {};
    const uint32_t tag = input_.ReadTag();
    if (tag == 0) {
      broken_ |= !input_.ConsumedEntireMessage();
      return false;
    }
    number_ = WireFormatLite::GetTagFieldNumber(tag);
    const bool skipped = WireFormatLite::GetTagWireType(tag) ==
                                 WireFormatLite::WIRETYPE_LENGTH_DELIMITED
                             ? TakeBytes()
                             : WireFormatLite::SkipField(&input_, tag);
    broken_ |= !skipped;
    return skipped;
  }

  int number() const { return number_; }
  // The content of a field with a length; empty for other fields.
  std::string_view bytes() const { return bytes_; }
  bool broken() const { return broken_; }

 private:
  bool TakeBytes() {
    uint32_t length = 0;
    if (!input_.ReadVarint32(&length)) return false;
    const auto begin = static_cast<size_t>(input_.CurrentPosition());
    if (length > message_.size() - begin) return false;
    bytes_ = message_.substr(begin, length);
    return input_.Skip(static_cast<int>(length));
  }

  std::string_view message_;
  CodedInputStream input_;
  int number_ = 0;
  std::string_view bytes_;
  bool broken_ = false;
};

// The last value of a field that has a length; nullopt if the message is
// broken.
std::optional<std::string_view> BytesField(std::string_view message,
                                           int number) {
  std::string_view found;
  FieldWalker fields(message);
  while (fields.Next()) {
    if (fields.number() == number) found = fields.bytes();
  }
  if (fields.broken()) return std::nullopt;
  return found;
}

void AppendBytesField(int number, std::string_view bytes,
                      CodedOutputStream& output) {
  output.WriteTag(WireFormatLite::MakeTag(
      number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  output.WriteVarint32(static_cast<uint32_t>(bytes.size()));
  output.WriteRaw(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

std::string SerializeDeterministically(
    const google::protobuf::Message& object) {
  std::string bytes;
  bytes.reserve(object.ByteSizeLong());
  StringOutputStream stream(&bytes);
  CodedOutputStream output(&stream);
  output.SetSerializationDeterministic(true);
  object.SerializeWithCachedSizes(&output);
  output.Trim();
  return bytes;
}

std::string WrapObject(std::string_view api_version, std::string_view kind,
                       const google::protobuf::Message& object) {
  kubernetes::TypeMeta type;
  type.set_api_version(std::string(api_version));
  type.set_kind(std::string(kind));
  const std::string encoded_type = type.SerializeAsString();
  const size_t size = object.ByteSizeLong();

  std::string bytes;
  // The magic, two tags of one byte, two lengths of at most five.
  bytes.reserve(kMagic.size() + encoded_type.size() + size + 12);
  bytes.append(kMagic);
  StringOutputStream stream(&bytes);
  CodedOutputStream output(&stream);
  output.SetSerializationDeterministic(true);
  AppendBytesField(kubernetes::Unknown::kTypeMetaFieldNumber, encoded_type,
                   output);
  output.WriteTag(
      WireFormatLite::MakeTag(kubernetes::Unknown::kRawFieldNumber,
                              WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  output.WriteVarint32(static_cast<uint32_t>(size));
  object.SerializeWithCachedSizes(&output);
  output.Trim();
  return bytes;
}

std::string WrapEncodedObject(std::string_view api_version,
                              std::string_view kind, std::string_view object) {
  kubernetes::TypeMeta type;
  type.set_api_version(std::string(api_version));
  type.set_kind(std::string(kind));
  std::string bytes;
  bytes.append(kMagic);
  StringOutputStream stream(&bytes);
  CodedOutputStream output(&stream);
  AppendBytesField(kubernetes::Unknown::kTypeMetaFieldNumber,
                   type.SerializeAsString(), output);
  AppendBytesField(kubernetes::Unknown::kRawFieldNumber, object, output);
  output.Trim();
  return bytes;
}

absl::StatusOr<EnvelopeView> OpenEnvelope(std::string_view bytes) {
  const auto bad =
      absl::InternalError("not a Kubernetes object in protobuf encoding");
  if (!bytes.starts_with(kMagic) || bytes.size() > INT_MAX) return bad;
  bytes.remove_prefix(kMagic.size());
  EnvelopeView view;
  std::string_view type;
  FieldWalker fields(bytes);
  while (fields.Next()) {
    if (fields.number() == kubernetes::Unknown::kTypeMetaFieldNumber) {
      type = fields.bytes();
    } else if (fields.number() == kubernetes::Unknown::kRawFieldNumber) {
      view.raw = fields.bytes();
    } else if (fields.number() ==
                   kubernetes::Unknown::kContentEncodingFieldNumber &&
               !fields.bytes().empty()) {
      return bad;  // compressed; nobody asked for that
    }
  }
  const auto api_version =
      BytesField(type, kubernetes::TypeMeta::kApiVersionFieldNumber);
  const auto kind = BytesField(type, kubernetes::TypeMeta::kKindFieldNumber);
  if (fields.broken() || !api_version || !kind) return bad;
  view.api_version = *api_version;
  view.kind = *kind;
  return view;
}

absl::StatusOr<std::string> ResourceVersionOf(std::string_view object) {
  // Field 1 of every kind is its ObjectMeta.
  constexpr int kMetadataFieldNumber = 1;
  std::optional<std::string_view> found =
      BytesField(object, kMetadataFieldNumber);
  if (found) {
    found =
        BytesField(*found, kubernetes::ObjectMeta::kResourceVersionFieldNumber);
  }
  if (!found) return absl::InternalError("an object cannot be decoded");
  return std::string(*found);
}

}  // namespace latchkey
