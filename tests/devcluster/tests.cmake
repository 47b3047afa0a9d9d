foreach(name authentication authorization csr_object_rules list_and_watch
             local_kubernetes_client object_json object_rules object_store)
  latchkey_test(devcluster/${name}_test.cc DEPS latchkey::devcluster fmt::fmt)
endforeach()
foreach(name object_json)
  latchkey_test(e2e/${name}_e2e_test.cc LABEL e2e TIMEOUT 300
    DEPS latchkey::devcluster latchkey::control_plane_testing absl::strings fmt::fmt)
endforeach()
