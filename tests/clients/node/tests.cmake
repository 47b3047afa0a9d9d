set(node_dir clients/node)
foreach(name durable_file node_files node_certificate)
  latchkey_test(${node_dir}/${name}_test.cc DEPS latchkey::node latchkey::crypto)
endforeach()
latchkey_test(${node_dir}/node_joiner_test.cc
  SOURCES ${node_dir}/fake_cluster.cc
  DEPS latchkey::node latchkey::crypto latchkey::fakes)
