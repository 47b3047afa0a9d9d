// Real tools against the embedded cluster.

#include <gmock/gmock.h>

#include "core/clock.h"
#include "devcluster/dev_cluster.h"
#include "tests/testing/child_process.h"
#include "tests/testing/control_plane.h"
#include "tests/testing/temp_dir.h"

namespace latchkey_testing {
namespace {

class DevClusterToolsTest : public ControlPlaneProgramTest {
 protected:
  // Lets machines join with the kubelet's own bootstrap code.
  ProgramResult StockJoin(const latchkey::DevCluster& cluster,
                          const std::string& prefix) {
    const auto kubeconfig =
        cluster.KubeconfigFor(latchkey::AdminUser(), absl::Hours(1)).value();
    return RunProgram(
        {ControlPlane::ProgramPath(), "stock-join", "--kubeconfig",
         dir_.Write("admin.conf", kubeconfig.Reveal()), "--count", "5",
         "--parallel", "5", "--own-connection", "--timeout", "30s",
         "--node-prefix", prefix, "--dir", dir_.File(prefix)},
        {}, absl::Minutes(1));
  }

  const latchkey::SystemClock clock_;
  const TempDir dir_;
};

TEST_F(DevClusterToolsTest, KubeletsJoinAndJoinAgainAfterARestart) {
  const latchkey::DevClusterOptions options = {
      .data_dir = dir_.File("data"), .controllers = {.stock_approver = true}};
  for (const char* prefix : {"before", "after"}) {
    SCOPED_TRACE(prefix);
    const auto cluster = latchkey::DevCluster::Start(options, clock_);
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    const ProgramResult joined = StockJoin(**cluster, prefix);
    EXPECT_EQ(joined.exit_code, 0) << joined.out << joined.err;
    EXPECT_FALSE(ReadFile(dir_.File(std::string(prefix) + "/" + prefix +
                                    "-0/pki/kubelet-client-current.pem"))
                     .empty());
  }
}

}  // namespace
}  // namespace latchkey_testing
