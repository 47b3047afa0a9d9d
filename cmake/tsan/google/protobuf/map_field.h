// In preset tsan this is found before protobuf's header of the name, which
// gives a map two members more where the compiler says that there is a thread
// sanitizer. Debian's libprotobuf was built without, and reads and writes past
// them: the map of a google.protobuf.Struct is then no map. So the header is
// not told.

#ifndef LATCHKEY_CMAKE_TSAN_GOOGLE_PROTOBUF_MAP_FIELD_H_
#define LATCHKEY_CMAKE_TSAN_GOOGLE_PROTOBUF_MAP_FIELD_H_

#include <cstddef>  // the standard library is told, once and for all

#pragma push_macro("__SANITIZE_THREAD__")
#undef __SANITIZE_THREAD__
#include_next <google/protobuf/map_field.h>
#pragma pop_macro("__SANITIZE_THREAD__")

#endif  // LATCHKEY_CMAKE_TSAN_GOOGLE_PROTOBUF_MAP_FIELD_H_
