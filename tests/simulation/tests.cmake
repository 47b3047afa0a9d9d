# Fibers: the sanitizers do not know them (CMakePresets.json).
add_test(NAME simulation_test
         COMMAND latchkey_simulate --count 300)
add_test(NAME simulation_repeats_test
         COMMAND ${CMAKE_CURRENT_LIST_DIR}/repeats_test.sh
                 $<TARGET_FILE:latchkey_simulate>)
set_tests_properties(simulation_test simulation_repeats_test PROPERTIES
                     LABELS simulation TIMEOUT 300)
set_tests_properties(simulation_test PROPERTIES RUN_SERIAL ON)
add_test(NAME simulation_mutants_test
         COMMAND ${CMAKE_CURRENT_LIST_DIR}/mutants.sh --check ${PROJECT_SOURCE_DIR})
set_tests_properties(simulation_mutants_test PROPERTIES LABELS unit)
