// One provisioner floods; what another one feels of it.

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <vector>

#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "tests/services/call_frame_fixture.h"

namespace latchkey_testing {
namespace {

constexpr absl::Duration kWrite = absl::Milliseconds(20);
constexpr int kCalls = 100;

// Keeps `at_once` calls of "b" in the air until it is destroyed.
class Flood {
 public:
  Flood(std::shared_ptr<grpc::Channel> channel, int at_once)
      : stub_(latchkey::v1::TokenBroker::NewStub(std::move(channel))),
        in_the_air_(at_once) {
    for (int i = 0; i < at_once; ++i) Send();
  }
  ~Flood() {
    stopping_ = true;
    while (in_the_air_ > 0) absl::SleepFor(absl::Milliseconds(1));
  }
  int done() const { return done_; }

 private:
  struct OneCall {
    grpc::ClientContext context;
    latchkey::v1::IssueTokenRequest request;
    latchkey::v1::IssueTokenResponse response;
  };
  void Send() {
    auto call = std::make_shared<OneCall>();
    call->context.AddMetadata("who", "b");
    call->request.mutable_scope()->set_node_name("worker-1");
    stub_->async()->IssueToken(&call->context, &call->request, &call->response,
                               [this, call](const grpc::Status& status) {
                                 if (status.ok()) ++done_;
                                 if (stopping_) {
                                   --in_the_air_;
                                 } else {
                                   Send();
                                 }
                               });
  }
  const std::unique_ptr<latchkey::v1::TokenBroker::Stub> stub_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> in_the_air_;
  std::atomic<int> done_ = 0;
};

class FairnessTest : public CallFrameFixture {
 protected:
  // Of calls of "a", one after the other.
  absl::Duration NinetyNinthPercentile() {
    const auto stub = latchkey::v1::TokenBroker::NewStub(Connect());
    std::vector<absl::Duration> took;
    for (int i = 0; i < kCalls; ++i) {
      grpc::ClientContext context;
      context.AddMetadata("who", "a");
      latchkey::v1::IssueTokenRequest request;
      request.mutable_scope()->set_node_name("worker-1");
      latchkey::v1::IssueTokenResponse response;
      const absl::Time start = absl::Now();
      EXPECT_TRUE(stub->IssueToken(&context, request, &response).ok());
      took.push_back(absl::Now() - start);
    }
    std::sort(took.begin(), took.end());
    return took[kCalls * 99 / 100 - 1];
  }
};

TEST_F(FairnessTest, AFloodOfOneDoesNotDoubleTheWaitOfAnother) {
  slow_.delay = kWrite;
  options_.queue = {.threads = 8, .max_running_of_one = 6};
  StartServer();
  // A machine that has other work too may spoil a round; a queue that is unfair
  // spoils all of them.
  double least_ratio = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 3 && least_ratio > 2; ++round) {
    const absl::Duration quiet = NinetyNinthPercentile();
    EXPECT_GE(quiet, kWrite);
    const Flood flood(Connect(), 100);
    const absl::Duration flooded = NinetyNinthPercentile();
    EXPECT_GT(flood.done(), kCalls) << "no flood";
    least_ratio = std::min(least_ratio, absl::FDivDuration(flooded, quiet));
  }
  EXPECT_LE(least_ratio, 2);
}

}  // namespace
}  // namespace latchkey_testing
