set(node_dir clients/node)
foreach(name node_files join_config join_report node_certificate)
  latchkey_test(${node_dir}/${name}_test.cc
                DEPS latchkey::node latchkey::crypto fmt::fmt)
endforeach()
latchkey_test(${node_dir}/node_joiner_test.cc
  SOURCES ${node_dir}/fake_cluster.cc
  DEPS latchkey::node latchkey::crypto latchkey::fakes)
latchkey_test(${node_dir}/api_server_client_test.cc
  DEPS latchkey::node latchkey::crypto latchkey::control_plane_testing fmt::fmt)
target_compile_definitions(clients_node_api_server_client_test
  PRIVATE LATCHKEY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
latchkey_test(${node_dir}/grpc_broker_client_test.cc LABEL grpc
  DEPS latchkey::node latchkey::crypto latchkey::proto latchkey::rpc_proto)
