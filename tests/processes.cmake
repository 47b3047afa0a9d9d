# What starts the programs: for the tests, and for bench/, which builds without
# GTest.
add_library(latchkey_processes STATIC
  testing/child_process.cc testing/control_plane_process.cc e2e/broker_process.cc)
add_library(latchkey::processes ALIAS latchkey_processes)
target_compile_definitions(latchkey_processes PUBLIC
  LATCHKEY_BIN_DIR="${PROJECT_BINARY_DIR}/bin"
  LATCHKEY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
target_link_libraries(latchkey_processes
  PUBLIC latchkey::core latchkey::crypto PRIVATE fmt::fmt latchkey_warnings)
