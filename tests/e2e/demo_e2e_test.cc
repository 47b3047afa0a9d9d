// The demo on the real control plane, with a real kubelet.

#include <unistd.h>

#include <filesystem>
#include <string>

#include <gmock/gmock.h>

#include "tests/testing/child_process.h"
#include "tests/testing/control_plane.h"
#include "tests/testing/left_out.h"
#include "tests/testing/temp_dir.h"

namespace latchkey_testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DemoE2eTest : public ControlPlaneProgramTest {};

TEST_F(DemoE2eTest, AKubeletRegistersItsNodeAndTheThievesGetNothing) {
  if (geteuid() != 0) {
    LATCHKEY_LEAVE_OUT("a kubelet needs root");
  }
  const TempDir dir;
  const ProgramResult demo =
      RunProgram({std::string(LATCHKEY_SOURCE_DIR) + "/demo/demo.sh",
                  LATCHKEY_BIN_DIR, ControlPlane::ProgramPath()},
                 {{"TMPDIR", dir.path().string()}}, absl::Minutes(5));
  ASSERT_EQ(demo.exit_code, 0) << demo.out << demo.err;
  EXPECT_THAT(
      demo.out,
      AllOf(ContainsRegex("worker-1 .*Ready"), HasSubstr("SCOPE_NODE_NAME"),
            HasSubstr("token spent"), HasSubstr("What to try next")));
  EXPECT_THAT(demo.err, IsEmpty());
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

}  // namespace
}  // namespace latchkey_testing
