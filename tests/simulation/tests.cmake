find_package(Boost 1.74 REQUIRED COMPONENTS context)
latchkey_test(simulation/fiber_switch_test.cc
  SOURCES simulation/fiber_switch.cc simulation/scheduler.cc
  DEPS latchkey::core Boost::context)

# With the program in $LATCHKEY_SIMULATE_DIR: the optimised one, which ./latchkey test
# builds with preset release, or that of the presets asan and tsan, which say so.
add_test(NAME simulation_test
         COMMAND ${CMAKE_CURRENT_LIST_DIR}/simulation_test.sh)
add_test(NAME simulation_repeats_test
         COMMAND ${CMAKE_CURRENT_LIST_DIR}/repeats_test.sh)
set_tests_properties(simulation_test simulation_repeats_test PROPERTIES
                     LABELS simulation SKIP_RETURN_CODE 77 TIMEOUT 1500)
# Alone: it takes every processor.
set_tests_properties(simulation_test PROPERTIES RUN_SERIAL ON)
add_test(NAME simulation_mutants_test
         COMMAND ${CMAKE_CURRENT_LIST_DIR}/mutants.sh --check ${PROJECT_SOURCE_DIR})
set_tests_properties(simulation_mutants_test PROPERTIES LABELS unit)
add_test(NAME simulation_catches_test
         COMMAND ${CMAKE_CURRENT_LIST_DIR}/mutants.sh --some)
set_tests_properties(simulation_catches_test PROPERTIES
                     LABELS simulation SKIP_RETURN_CODE 77 TIMEOUT 1500 PROCESSORS 2)
