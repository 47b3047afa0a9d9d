// Any bytes as the target of a request and as the headers that choose a media
// type.

#include <string_view>

#include "devcluster/media_type.h"
#include "devcluster/request_target.h"
#include "tests/fuzz/insist.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = latchkey_testing::AsText(data, size);
  latchkey::AcceptedMediaType(text);
  latchkey::ContentMediaType(text);
  const auto target = latchkey::ParseRequestTarget(text);
  if (!target.ok()) return 0;
  for (const char c : target->path + target->name.name) {
    latchkey_testing::Insist(!(c >= 0 && c < ' ') && c != 0x7f);
  }
  if (target->resource == nullptr) return 0;
  // What names an object cannot climb out of its place.
  for (const std::string_view part : {std::string_view(target->name.name_space),
                                      std::string_view(target->name.name)}) {
    latchkey_testing::Insist(part.find('/') == std::string_view::npos &&
                             part != "..");
  }
  return 0;
}
