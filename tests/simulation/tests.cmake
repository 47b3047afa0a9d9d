# Fibers: the sanitizers do not know them (CMakePresets.json).
add_test(NAME simulation_test COMMAND latchkey_simulate --count 300)
set_tests_properties(simulation_test PROPERTIES LABELS simulation TIMEOUT 300)
