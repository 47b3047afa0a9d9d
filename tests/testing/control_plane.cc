#include "tests/testing/control_plane.h"

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string_view>
#include <utility>

namespace latchkey_testing {
namespace {

// The one that the tests of this program share.
std::unique_ptr<ControlPlane>& Shared() {
  static std::unique_ptr<ControlPlane> shared;
  return shared;
}

void SayLoudlyOnce() {
  static const bool said = [] {
    std::cerr
        << "\n*** LEFT OUT: tests against a real Kubernetes control plane."
           " Build it with tests/controlplane/build.sh and set"
           " LATCHKEY_CONTROLPLANE to its path. ***\n\n";
    return true;
  }();
  static_cast<void>(said);
}

bool IsRequired() {
  const char* required = std::getenv("LATCHKEY_REQUIRE_CONTROLPLANE");
  return required != nullptr && std::string_view(required) == "1";
}

}  // namespace

void ControlPlaneProgramTest::SetUp() {
  if (!ControlPlane::ProgramPath().empty()) return;
  if (IsRequired()) {
    FAIL() << "LATCHKEY_CONTROLPLANE is not set, and this run requires it";
  }
  SayLoudlyOnce();
  GTEST_SKIP() << "LATCHKEY_CONTROLPLANE is not set";
}

void ControlPlaneTest::SetUp() {
  ControlPlaneProgramTest::SetUp();
  if (IsSkipped() || HasFatalFailure()) return;
  std::unique_ptr<ControlPlane>& shared = Shared();
  if (shared == nullptr || shared->options() != options_) {
    shared = nullptr;  // the old one stops first
    auto started = ControlPlane::Start(options_);
    if (!started.ok()) FAIL() << started.status().ToString();
    shared = *std::move(started);
  }
  cluster_ = shared.get();
  cluster_->TakeErrorLines();  // of earlier tests
}

void ControlPlaneTest::TearDown() {
  if (cluster_ == nullptr || !HasFailure()) return;
  std::cerr << "Errors in the control plane's logs during this test:\n"
            << cluster_->TakeErrorLines();
}

}  // namespace latchkey_testing
