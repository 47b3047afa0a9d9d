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

void SkipWithoutProgram() {
  if (!ControlPlane::ProgramPath().empty()) return;
  if (IsRequired()) {
    FAIL() << "LATCHKEY_CONTROLPLANE is not set, and this run requires it";
  }
  SayLoudlyOnce();
  GTEST_SKIP() << "LATCHKEY_CONTROLPLANE is not set";
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
