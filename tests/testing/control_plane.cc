#include "tests/testing/control_plane.h"

#include <iostream>
#include <memory>
#include <utility>

#include "tests/testing/left_out.h"

namespace latchkey_testing {
namespace {

// The one that the tests of this program share.
std::unique_ptr<ControlPlane>& Shared() {
  static std::unique_ptr<ControlPlane> shared;
  return shared;
}

void SkipWithoutProgram() {
  if (!ControlPlane::ProgramPath().empty()) return;
  LATCHKEY_LEAVE_OUT(
      "a real Kubernetes control plane: build it with"
      " tests/controlplane/build.sh and set LATCHKEY_CONTROLPLANE to its path");
}

}  // namespace

void ControlPlaneProgramTest::SetUp() { SkipWithoutProgram(); }

void UseControlPlane(const ControlPlaneOptions& options,
                     ControlPlane*& cluster) {
  SkipWithoutProgram();
  if (ControlPlane::ProgramPath().empty()) return;
  std::unique_ptr<ControlPlane>& shared = Shared();
  if (shared == nullptr || shared->options() != options) {
    shared = nullptr;  // the old one stops first
    auto started = ControlPlane::Start(options);
    if (!started.ok()) FAIL() << started.status().ToString();
    shared = *std::move(started);
  }
  cluster = shared.get();
  cluster->TakeErrorLines();  // of earlier tests
}

void ControlPlaneTest::SetUp() { UseControlPlane(options_, cluster_); }

void ControlPlaneTest::TearDown() {
  if (cluster_ == nullptr || !HasFailure()) return;
  std::cerr << "Errors in the control plane's logs during this test:\n"
            << cluster_->TakeErrorLines();
}

}  // namespace latchkey_testing
