add_library(latchkey_raw_https STATIC devcluster/raw_https_client.cc)
add_library(latchkey::raw_https ALIAS latchkey_raw_https)
target_link_libraries(latchkey_raw_https
  PUBLIC latchkey::crypto PRIVATE absl::strings fmt::fmt OpenSSL::SSL latchkey_warnings)

foreach(name authentication authorization csr_object_rules discovery list_and_watch
             local_kubernetes_client media_type object_json object_rules object_store
             request_target)
  latchkey_test(devcluster/${name}_test.cc DEPS latchkey::devcluster fmt::fmt)
endforeach()
foreach(name http_face http_face_contract)
  latchkey_test(devcluster/${name}_test.cc
                DEPS latchkey::devcluster latchkey::raw_https absl::strings fmt::fmt)
endforeach()
foreach(name devcluster_tools object_json)
  latchkey_test(e2e/${name}_e2e_test.cc LABEL e2e TIMEOUT 300
    DEPS latchkey::devcluster latchkey::control_plane_testing absl::strings fmt::fmt)
endforeach()
