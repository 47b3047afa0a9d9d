foreach(name authentication authorization csr_object_rules list_and_watch
             local_kubernetes_client object_rules object_store)
  latchkey_test(devcluster/${name}_test.cc DEPS latchkey::devcluster fmt::fmt)
endforeach()
