latchkey_test(fakes/fake_kubernetes_client_test.cc DEPS latchkey::fakes fmt::fmt)
latchkey_test(e2e/kubernetes_client_e2e_test.cc LABEL e2e TIMEOUT 300
              DEPS latchkey::kubernetes latchkey::control_plane_testing fmt::fmt)
latchkey_test(e2e/kubernetes_bytes_e2e_test.cc LABEL e2e TIMEOUT 300
              DEPS latchkey::kubernetes latchkey::control_plane_testing fmt::fmt)
latchkey_test(e2e/reflector_e2e_test.cc LABEL e2e TIMEOUT 300
              DEPS latchkey::kubernetes latchkey::control_plane_testing fmt::fmt)
latchkey_test(clients/http/curl_http_client_test.cc
              DEPS latchkey::http latchkey::crypto latchkey::control_plane_testing
                   fmt::fmt)
target_compile_definitions(clients_http_curl_http_client_test
  PRIVATE LATCHKEY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
