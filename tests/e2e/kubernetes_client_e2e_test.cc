// HttpKubernetesClient against the real API server.

#include <gmock/gmock.h>

#include "clients/http/curl_http_client.h"
#include "clients/kubernetes/http_kubernetes_client.h"
#include "tests/clients/kubernetes/kubernetes_client_contract.h"
#include "tests/testing/control_plane.h"

namespace latchkey_testing {
namespace {

struct X : ControlPlaneTest { using ControlPlaneTest::Shared; };
}
}
