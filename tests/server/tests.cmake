latchkey_test(server/broker_config_test.cc DEPS latchkey::server)
latchkey_test(server/broker_test.cc LABEL grpc
  DEPS latchkey::server latchkey::crypto fmt::fmt)
foreach(name connection_gate connection_limits open_connections)
  latchkey_test(server/${name}_test.cc DEPS latchkey::server fmt::fmt)
endforeach()
latchkey_test(server/authentication_config_test.cc
  DEPS latchkey::server latchkey::jwt_testing)
latchkey_test(server/pages_test.cc DEPS latchkey::server absl::strings)
target_compile_definitions(server_pages_test
  PRIVATE LATCHKEY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
latchkey_test(server/metrics_server_test.cc DEPS latchkey::server fmt::fmt)
latchkey_test(server/cluster_probe_test.cc DEPS latchkey::server latchkey::fakes)
latchkey_test(server/cluster_files_test.cc
  DEPS latchkey::server latchkey::kubernetes latchkey::crypto fmt::fmt)
latchkey_test(server/policy_reload_test.cc
  DEPS latchkey::server latchkey::files)
latchkey_test(server/grpc_listener_test.cc LABEL grpc
  DEPS latchkey::server latchkey::broker_client latchkey::jwt_testing fmt::fmt)
latchkey_test(server/grpc_listener_health_test.cc LABEL grpc
  DEPS latchkey::server latchkey::broker_client latchkey::crypto)
latchkey_test(server/provisioner_api_test.cc LABEL grpc
  DEPS latchkey::server latchkey::broker_client latchkey::fakes)
