#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <absl/time/clock.h>
#include <fmt/format.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include "bench/benches.h"
#include "bench/peak_memory.h"
#include "bench/site.h"
#include "clients/broker/grpc_error.h"
#include "core/status_macros.h"
#include "latchkey/v1/token_broker.grpc.pb.h"

namespace latchkey_bench {
namespace {

using latchkey::v1::TokenBroker;
using latchkey::v1::WatchTokensRequest;
using latchkey::v1::WatchTokensResponse;

// Each connection takes 128 streams, and each caller may have 256.
constexpr int kWatchers = 5000;
constexpr int kOfOneCaller = 125;
constexpr int kWatchCallers = kWatchers / kOfOneCaller;
constexpr absl::Duration kIdle = absl::Seconds(3);
constexpr std::chrono::seconds kOpenTime(120);

// What has become of the streams.
struct Tally {
  std::mutex mutex;
  std::condition_variable changed;
  int open = 0;   // have heard of the broker
  int ended = 0;  // gone
  grpc::Status error;
};

class Watcher final : public grpc::ClientReadReactor<WatchTokensResponse> {
 public:
  Watcher(TokenBroker::Stub& stub, Tally& tally) : tally_(tally) {
    stub.async()->WatchTokens(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    const std::lock_guard lock(tally_.mutex);
    if (!heard_) ++tally_.open;
    heard_ = true;
    tally_.changed.notify_all();
    StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override {
    const std::lock_guard lock(tally_.mutex);
    ++tally_.ended;
    tally_.error = status;
    tally_.changed.notify_all();
  }

 private:
  Tally& tally_;
  grpc::ClientContext context_;
  WatchTokensRequest request_;
  WatchTokensResponse response_;
  bool heard_ = false;
};

std::string CallerName(int number) {
  return fmt::format("spiffe://example.org/watcher-{}", number);
}

std::string RuleForCallers() {
  std::string rule = "  - name: watchers\n    provisioners:\n";
  for (int i = 0; i < kWatchCallers; ++i) {
    rule += fmt::format("      - spiffe_id: {}\n", CallerName(i));
  }
  return rule + "    allow:\n      node_names: [\"watched-*\"]\n";
}

// The streams, from the first to the last.
class Audience {
 public:
  explicit Audience(const Site& site) {
    for (int i = 0; i < kWatchCallers; ++i) {
      stubs_.push_back(
          TokenBroker::NewStub(site.ProvisionerChannel(CallerName(i))));
      for (int j = 0; j < kOfOneCaller; ++j) {
        watchers_.push_back(std::make_unique<Watcher>(*stubs_.back(), tally_));
      }
    }
  }
  ~Audience() {
    for (const auto& watcher : watchers_) watcher->Cancel();
    std::unique_lock lock(tally_.mutex);
    tally_.changed.wait(lock, [&] { return tally_.ended == kWatchers; });
  }

  absl::Status AwaitAll() {
    std::unique_lock lock(tally_.mutex);
    tally_.changed.wait_for(lock, kOpenTime, [&] {
      return tally_.open == kWatchers || tally_.ended > 0;
    });
    if (tally_.ended > 0) return latchkey::FromGrpcStatus(tally_.error);
    if (tally_.open == kWatchers) return absl::OkStatus();
    return absl::DeadlineExceededError(
        fmt::format("{} of {} watches opened", tally_.open, kWatchers));
  }

 private:
  Tally tally_;
  std::vector<std::unique_ptr<TokenBroker::Stub>> stubs_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
};

}  // namespace

absl::Status BenchWatch(Report& report) {
  Say("watch: starting a control plane");
  LATCHKEY_ASSIGN_OR_RETURN(const std::unique_ptr<Site> site,
                            Site::Start(0, RuleForCallers()));
  LATCHKEY_ASSIGN_OR_RETURN(const double before,
                            MemoryOf(site->broker().pid(), "VmRSS"));
  Say(fmt::format("watch: opening {} watches", kWatchers));
  double idle = 0;
  {
    Audience audience(*site);
    LATCHKEY_RETURN_IF_ERROR(audience.AwaitAll());
    absl::SleepFor(kIdle);
    LATCHKEY_ASSIGN_OR_RETURN(idle, MemoryOf(site->broker().pid(), "VmRSS"));
  }
  report.AddCondition(
      "watch", fmt::format("{} streams on {} connections of as many callers; "
                           "latchkeyd had {:.0f} MiB without them",
                           kWatchers, kWatchCallers, before));
  report.Add({.name = fmt::format("watch: latchkeyd, {} idle", kWatchers),
              .unit = "MiB",
              .measured = idle,
              .goal = Goal{Better::kLess, 400}});
  return absl::OkStatus();
}

}  // namespace latchkey_bench
