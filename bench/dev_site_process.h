// A `latchkeyd dev` beside the benchmark, with everything in memory.

#ifndef LATCHKEY_BENCH_DEV_SITE_PROCESS_H_
#define LATCHKEY_BENCH_DEV_SITE_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <grpcpp/channel.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "clients/node/grpc_broker_client.h"
#include "core/clock.h"
#include "tests/testing/child_process.h"
#include "tests/testing/temp_dir.h"

namespace latchkey_bench {

class DevSiteProcess {
 public:
  // Starts it and waits until it says that it is ready.
  static absl::StatusOr<std::unique_ptr<DevSiteProcess>> Start();

  pid_t pid() const { return process_->pid(); }
  // An administrator's, with connections of its own.
  absl::StatusOr<std::unique_ptr<latchkey::KubernetesClient>> Client() const;
  std::shared_ptr<grpc::Channel> ProvisionerChannel() const;
  latchkey::BrokerEndpoint NodeEndpoint() const;

 private:
  DevSiteProcess() = default;
  absl::Status AwaitReady();
  std::string File(const std::string& name) const;
  // What the guide says behind `key`.
  std::string Guided(const std::string& key) const;

  latchkey::SystemClock clock_;
  latchkey_testing::TempDir dir_;
  std::string guide_;
  std::unique_ptr<latchkey_testing::ChildProcess> process_;
};

}  // namespace latchkey_bench

#endif  // LATCHKEY_BENCH_DEV_SITE_PROCESS_H_
