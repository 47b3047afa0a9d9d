foreach(name local_kubernetes_client)
  latchkey_test(devcluster/${name}_test.cc DEPS latchkey::devcluster fmt::fmt)
endforeach()
