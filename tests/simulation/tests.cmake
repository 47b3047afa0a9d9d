find_package(Boost 1.74 REQUIRED COMPONENTS context)

add_library(latchkey_simulation STATIC
  simulation/history.cc simulation/network.cc simulation/parties.cc
  simulation/scheduler.cc simulation/write_log.cc)
target_link_libraries(latchkey_simulation
  PUBLIC latchkey::services latchkey::devcluster latchkey::node latchkey::crypto
         Boost::context
  PRIVATE latchkey::testing latchkey_warnings)
target_compile_definitions(latchkey_simulation PRIVATE
  LATCHKEY_TESTDATA="${CMAKE_CURRENT_LIST_DIR}/../testdata")
add_executable(latchkey_simulate simulation/simulation_main.cc)
target_link_libraries(latchkey_simulate
  PRIVATE latchkey_simulation CLI11::CLI11 latchkey_warnings)
set_target_properties(latchkey_simulate PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

# Fibers: the sanitizers do not know them (CMakePresets.json).
add_test(NAME simulation_test COMMAND latchkey_simulate --count 300)
set_tests_properties(simulation_test PROPERTIES LABELS simulation TIMEOUT 300)
