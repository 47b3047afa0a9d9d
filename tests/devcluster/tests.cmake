add_library(latchkey_raw_https STATIC devcluster/raw_https_client.cc)
add_library(latchkey::raw_https ALIAS latchkey_raw_https)
target_link_libraries(latchkey_raw_https
  PUBLIC latchkey::crypto PRIVATE absl::strings fmt::fmt OpenSSL::SSL latchkey_warnings)

foreach(name authentication authorization csr_object_rules discovery list_and_watch
             local_kubernetes_client media_type object_json object_rules request_handler
             request_target)
  latchkey_test(devcluster/${name}_test.cc DEPS latchkey::devcluster fmt::fmt)
endforeach()
latchkey_test(devcluster/object_store_test.cc
              DEPS latchkey::devcluster SQLite::SQLite3)
foreach(name http_face http_face_contract http_face_memory)
  latchkey_test(devcluster/${name}_test.cc
                DEPS latchkey::devcluster latchkey::raw_https absl::strings fmt::fmt)
endforeach()
# Its operator delete is inlined where its operator new is not.
target_compile_options(devcluster_http_face_memory_test
                       PRIVATE -Wno-mismatched-new-delete)
foreach(name devcluster_tools object_json)
  latchkey_test(e2e/${name}_e2e_test.cc LABEL e2e TIMEOUT 300
    DEPS latchkey::devcluster latchkey::control_plane_testing absl::strings fmt::fmt)
endforeach()


# The contract's cases, for each program that has a cluster to observe.
add_library(latchkey_kubernetes_contract OBJECT
  devcluster/kubernetes_contract.cc devcluster/kubernetes_contract_access.cc
  devcluster/kubernetes_contract_certificates.cc
  devcluster/kubernetes_contract_lists.cc devcluster/kubernetes_contract_objects.cc
  devcluster/kubernetes_contract_reviews.cc devcluster/kubernetes_contract_tokens.cc
  devcluster/kubernetes_contract_watches.cc)
add_library(latchkey::kubernetes_contract ALIAS latchkey_kubernetes_contract)
target_link_libraries(latchkey_kubernetes_contract
  PUBLIC latchkey::testing latchkey::crypto latchkey::kubernetes
  PRIVATE absl::strings fmt::fmt latchkey_warnings)
latchkey_test(e2e/kubernetes_contract_e2e_test.cc LABEL e2e TIMEOUT 600
              DEPS latchkey::kubernetes_contract latchkey::control_plane_testing
                   fmt::fmt)

foreach(name bootstrap_signer controllers csr_cleaner kubelet_request)
  latchkey_test(devcluster/${name}_test.cc DEPS latchkey::devcluster latchkey::fakes)
endforeach()

foreach(name local_kubernetes_contract served_kubernetes_contract)
  latchkey_test(devcluster/${name}_test.cc
    DEPS latchkey::devcluster latchkey::kubernetes_contract latchkey::http fmt::fmt)
endforeach()
latchkey_test(devcluster/dev_cluster_test.cc DEPS latchkey::devcluster latchkey::http)
latchkey_test(e2e/dev_cluster_e2e_test.cc LABEL e2e TIMEOUT 300
              DEPS latchkey::devcluster latchkey::control_plane_testing)
