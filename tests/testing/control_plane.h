// A real Kubernetes control plane (etcd, kube-apiserver, controller manager)
// for end-to-end tests: see tests/controlplane.
//
//   class JoinTest : public ControlPlaneTest {};
//   TEST_F(JoinTest, ...) { cluster().Run({"kubectl", "get", "nodes"}); ... }
//
// The program is found through the environment variable LATCHKEY_CONTROLPLANE.
// Without it the tests are left out (left_out.h).

#ifndef LATCHKEY_TESTS_TESTING_CONTROL_PLANE_H_
#define LATCHKEY_TESTS_TESTING_CONTROL_PLANE_H_

#include <gtest/gtest.h>

#include "tests/testing/control_plane_process.h"

namespace latchkey_testing {

// Needs the program, for its kubectl and kubeadm, and no control plane.
class ControlPlaneProgramTest : public ::testing::Test {
 protected:
  void SetUp() override;
};

// The control plane of these options that the tests of the program share. Left
// alone, with the running test skipped or failed, if there is none.
void UseControlPlane(const ControlPlaneOptions& options,
                     ControlPlane*& cluster);

// Tests of one program share one control plane; a fixture with other options
// than the fixture before it gets a new one.
class ControlPlaneTest : public ControlPlaneProgramTest {
 protected:
  explicit ControlPlaneTest(const ControlPlaneOptions& options = {})
      : options_(options) {}

  void SetUp() override;
  // After a failure, prints what the control plane's programs complained of.
  void TearDown() override;

  ControlPlane& cluster() { return *cluster_; }

 private:
  const ControlPlaneOptions options_;
  ControlPlane* cluster_ = nullptr;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_CONTROL_PLANE_H_
