foreach(name durable_file read_file)
  latchkey_test(clients/files/${name}_test.cc DEPS latchkey::files fmt::fmt)
endforeach()

latchkey_test(clients/broker/repeated_call_test.cc DEPS latchkey::broker_client)
latchkey_test(clients/pace/pace_test.cc DEPS latchkey::pace)
latchkey_test(clients/process/process_hardening_test.cc
              DEPS latchkey::process fmt::fmt)

foreach(name curl_status http_status)
  latchkey_test(clients/http/${name}_test.cc DEPS latchkey::http)
endforeach()
latchkey_test(clients/http/curl_http_client_test.cc
              DEPS latchkey::http latchkey::crypto latchkey::control_plane_testing
                   fmt::fmt)
target_compile_definitions(clients_http_curl_http_client_test
  PRIVATE LATCHKEY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

foreach(name envelope file_api_access http_kubernetes_client kubeconfig
             kubernetes_status reflector request_path retrying_kubernetes_client
             watch_frames)
  latchkey_test(clients/kubernetes/${name}_test.cc
                DEPS latchkey::kubernetes latchkey::fakes absl::strings fmt::fmt)
endforeach()
latchkey_test(fakes/fake_kubernetes_client_test.cc DEPS latchkey::fakes fmt::fmt)

foreach(name credentials kubernetes_bytes kubernetes_client reflector)
  latchkey_test(e2e/${name}_e2e_test.cc LABEL e2e TIMEOUT 300
                DEPS latchkey::kubernetes latchkey::control_plane_testing absl::strings
                     fmt::fmt)
endforeach()
target_link_libraries(e2e_reflector_e2e_test PRIVATE latchkey::fault_proxy)
