// Any bytes as a JSON object of every kind. What is read is written, and that
// read again is the same.

#include <memory>
#include <string>
#include <string_view>

#include "devcluster/api_resources.h"
#include "devcluster/object_json.h"
#include "tests/fuzz/insist.h"

namespace {

using latchkey_testing::Insist;

std::string Json(const google::protobuf::Message& message) {
  std::string json;
  latchkey::AppendJson(message, json);
  return json;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = latchkey_testing::AsText(data, size);
  const auto object = latchkey::JsonObject::Parse(text);
  if (!object.ok()) return 0;
  for (const latchkey::ApiResource& served : latchkey::ApiResources()) {
    const std::unique_ptr<google::protobuf::Message> message(
        served.prototype->New());
    std::vector<std::string> unknown;
    if (!object->ReadInto(*message, &unknown).ok()) continue;
    const std::string json = Json(*message);
    const auto written = latchkey::JsonObject::Parse(json);
    Insist(written.ok());
    const std::unique_ptr<google::protobuf::Message> again(
        served.prototype->New());
    Insist(written->ReadInto(*again).ok());
    Insist(Json(*again) == json);
  }
  return 0;
}
