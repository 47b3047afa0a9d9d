# Tests against the real control plane (tests/controlplane).
add_library(latchkey_join_testing STATIC e2e/join_test.cc e2e/dev_process.cc)
add_library(latchkey::join_testing ALIAS latchkey_join_testing)
target_link_libraries(latchkey_join_testing
  PUBLIC latchkey::testing latchkey::control_plane_testing latchkey::crypto
         latchkey::kubernetes latchkey::storage latchkey::proto
         latchkey::broker_client latchkey::fault_proxy
  PRIVATE latchkey::services latchkey_warnings)
latchkey_program(latchkeyd-with-faults
  SOURCES testing/latchkeyd_with_faults.cc DEPS latchkey::server)
add_dependencies(latchkey_join_testing
  latchkeyd latchkeyd-with-faults latchkeyctl latchkey-join)

foreach(name audit demo expiry faults join killed_join kubelet races refusals
             secrets token_verbs)
  latchkey_test(e2e/${name}_e2e_test.cc LABEL e2e TIMEOUT 600
    DEPS latchkey::join_testing fmt::fmt)
endforeach()
latchkey_test(e2e/fairness_e2e_test.cc LABEL e2e ALONE TIMEOUT 600
  DEPS latchkey::join_testing fmt::fmt)
# Bounded to five minutes, and a little for the control plane to come and go.
latchkey_test(e2e/chaos_e2e_test.cc LABEL e2e ALONE TIMEOUT 330
  DEPS latchkey::join_testing fmt::fmt)

foreach(name identities ctl)
  latchkey_test(e2e/${name}_e2e_test.cc LABEL e2e TIMEOUT 600
    DEPS latchkey::join_testing latchkey::jwt_testing fmt::fmt)
endforeach()
# Reloads under a load that it holds.
latchkey_test(e2e/policy_e2e_test.cc LABEL e2e ALONE TIMEOUT 600
  DEPS latchkey::join_testing latchkey::jwt_testing fmt::fmt)
latchkey_test(e2e/watch_e2e_test.cc LABEL e2e TIMEOUT 600
  DEPS latchkey::join_testing latchkey::services)
latchkey_test(e2e/doctor_e2e_test.cc LABEL e2e TIMEOUT 600
  DEPS latchkey::doctor latchkey::crypto latchkey::kubernetes
       latchkey::control_plane_testing fmt::fmt)
add_dependencies(e2e_doctor_e2e_test latchkeyctl)

# Real programs, but no cluster.
foreach(name dev power_cut programs)
  latchkey_test(e2e/${name}_test.cc LABEL grpc DEPS latchkey::join_testing)
endforeach()

latchkey_program(die-at-syscall SOURCES testing/die_at_syscall.cc)
latchkey_test(e2e/killed_anywhere_test.cc LABEL grpc TIMEOUT 600
  DEPS latchkey::join_testing)
add_dependencies(e2e_killed_anywhere_test die-at-syscall)

add_library(latchkey_short_io MODULE testing/short_io.c)
latchkey_test(e2e/exhaustion_test.cc LABEL grpc TIMEOUT 300
  DEPS latchkey::join_testing)
add_library(latchkey_no_memory MODULE testing/no_memory.c)
target_compile_definitions(e2e_exhaustion_test
  PRIVATE LATCHKEY_SHORT_IO="$<TARGET_FILE:latchkey_short_io>"
          LATCHKEY_NO_MEMORY="$<TARGET_FILE:latchkey_no_memory>")
add_dependencies(e2e_exhaustion_test latchkey_short_io latchkey_no_memory)
