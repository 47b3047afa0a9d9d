foreach(name batch commands policy_command)
  latchkey_test(clients/ctl/${name}_test.cc DEPS latchkey::ctl latchkey::crypto fmt::fmt)
endforeach()
foreach(name ctl_config cures visible_text)
  latchkey_test(clients/ctl/${name}_test.cc DEPS latchkey::ctl)
endforeach()
target_compile_definitions(clients_ctl_cures_test
  PRIVATE LATCHKEY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
# These run programs: the one that is tested, and those that read what it writes.
foreach(name completion machine_files)
  latchkey_test(clients/ctl/${name}_test.cc
                DEPS latchkey::ctl latchkey::processes absl::strings fmt::fmt)
  add_dependencies(clients_ctl_${name}_test latchkeyctl latchkey-join)
endforeach()
latchkey_test(clients/ctl/grpc_broker_api_test.cc LABEL grpc
  DEPS latchkey::ctl latchkey::crypto latchkey::processes latchkey::proto
       latchkey::rpc_proto fmt::fmt)
add_dependencies(clients_ctl_grpc_broker_api_test latchkeyctl)
