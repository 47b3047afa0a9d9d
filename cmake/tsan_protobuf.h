// Included before everything else in preset tsan. Protobuf's header gives a map
// two members more where the compiler says that there is a thread sanitizer.
// Debian's libprotobuf was built without, and reads and writes past them: the
// map of a google.protobuf.Struct is then no map. So the header is not told.

#ifndef LATCHKEY_CMAKE_TSAN_PROTOBUF_H_
#define LATCHKEY_CMAKE_TSAN_PROTOBUF_H_

#include <cstddef>  // the standard library is told, once and for all

#pragma push_macro("__SANITIZE_THREAD__")
#undef __SANITIZE_THREAD__
#include <google/protobuf/map_field.h>
#pragma pop_macro("__SANITIZE_THREAD__")

#endif  // LATCHKEY_CMAKE_TSAN_PROTOBUF_H_
