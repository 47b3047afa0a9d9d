#include "devcluster/bootstrap_signer.h"

#include <gtest/gtest.h>

namespace latchkey_testing {
namespace {

// The example in k8s.io/cluster-bootstrap/token/jws.
TEST(BootstrapSignerTest, SignsAsKubeadmVerifies) {
  EXPECT_EQ(latchkey::DetachedSignature(
                "Hello from the other side. I must have called a thousand "
                "times.",
                "joshua", "my voice is my passcode"),
            "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9.."
            "VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8");
}

}  // namespace
}  // namespace latchkey_testing
