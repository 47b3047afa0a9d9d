#include "services/watch_tokens_call.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include "clients/broker/grpc_error.h"
#include "core/fault_point.h"
#include "core/reasons.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "services/grpc_status.h"
#include "services/watch_cursor.h"
#include "tests/storage/records.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/wait_until.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::Id;
using latchkey_testing::IsOk;
using latchkey_testing::IssuedRecord;
using latchkey_testing::ReasonIs;
using latchkey_testing::WaitUntil;

// Nothing is asked of the cluster here: events are fed by hand.
class NoCluster final : public KubernetesClient {
 public:
  absl::Status CreateObject(const Resource&, std::string_view,
                            const google::protobuf::Message&,
                            google::protobuf::Message&) override {
    return kDown;
  }
  absl::Status GetObject(const Resource&, const ObjectName&,
                         google::protobuf::Message&) override {
    return kDown;
  }
  absl::Status UpdateObject(const Resource&, const ObjectName&,
                            std::string_view, const google::protobuf::Message&,
                            google::protobuf::Message&) override {
    return kDown;
  }
  absl::Status DeleteObject(const Resource&, const ObjectName&,
                            const DeletePreconditions&) override {
    return kDown;
  }
  absl::Status ListObjects(const Resource&, const ListQuery&,
                           google::protobuf::Message&) override {
    return kDown;
  }
  absl::StatusOr<std::unique_ptr<WatchStream>> WatchObjects(
      const Resource&, const WatchQuery&) override {
    return kDown;
  }

 private:
  const absl::Status kDown = absl::OutOfRangeError("forgotten");
};

// Who calls, as a certificate would say it.
TimedIdentity CallerOf(const std::string& name,
                       absl::Time expires = absl::InfiniteFuture()) {
  return {.identity = {.name = name, .attributes = {{"common_name", {name}}}},
          .expires = expires};
}

// What is answered when a caller is asked for again, and how often that was.
class Credentials {
 public:
  // Until then all are believed. Who is asked for again hears `answer`.
  void Set(
      absl::Time expires,
      std::function<absl::StatusOr<TimedIdentity>(const std::string&)> answer) {
    const MutexLock lock(mutex_);
    expires_ = expires;
    answer_ = std::move(answer);
  }
  WatchCaller CallerFor(const std::string& name) {
    const MutexLock lock(mutex_);
    return {.who = CallerOf(name, expires_), .ask_again = [this, name] {
              ++asked_;
              return AnswerFor(name);
            }};
  }
  int asked() const { return asked_; }

 private:
  absl::StatusOr<TimedIdentity> AnswerFor(const std::string& name) {
    std::function<absl::StatusOr<TimedIdentity>(const std::string&)> answer;
    {
      const MutexLock lock(mutex_);
      answer = answer_;
    }
    return answer(name);
  }
  Mutex mutex_;
  absl::Time expires_ = absl::InfiniteFuture();
  std::function<absl::StatusOr<TimedIdentity>(const std::string&)> answer_;
  std::atomic<int> asked_ = 0;
};

// Callers are who they say they are.
class Service final : public v1::TokenBroker::CallbackService {
 public:
  Service(TokenWatches& watches, Credentials& credentials)
      : watches_(watches), credentials_(credentials) {}
  WatchReactor* WatchTokens(grpc::CallbackServerContext* context,
                            const v1::WatchTokensRequest* request) override {
    const auto name = context->client_metadata().find("caller");
    const auto stream = watches_.Prepare(*request);
    const absl::Status admitted =
        watches_.Admit(stream, credentials_.CallerFor(std::string(
                                   name->second.data(), name->second.size())));
    if (admitted.ok()) {
      watches_.Start(stream);
    } else {
      watches_.Refuse(stream, ToGrpcStatus(admitted));
    }
    return TokenWatches::ReactorOf(stream);
  }

 private:
  TokenWatches& watches_;
  Credentials& credentials_;
};

// A client's side of one stream.
class Watch {
 public:
  Watch(v1::TokenBroker::Stub& stub, const std::string& caller,
        const v1::WatchTokensRequest& request = {}) {
    context_.AddMetadata("caller", caller);
    context_.set_deadline(std::chrono::system_clock::now() +
                          std::chrono::seconds(30));
    stream_ = stub.WatchTokens(&context_, request);
  }
  ~Watch() {
    context_.TryCancel();
    while (!ended_) Next();
  }

  // What comes next, as text: "issued:abc123", "progress", "gap", or the reason
  // of the end.
  std::string Next() {
    if (!stream_->Read(&last_)) {
      ended_ = true;
      const absl::Status end = FromGrpcStatus(stream_->Finish());
      return end.ok() ? "end" : "end " + ReasonOf(end);
    }
    if (last_.has_progress()) return "progress";
    if (last_.has_gap()) return "gap";
    return fmt::format("{} {}", v1::TokenEvent::Type_Name(last_.event().type()),
                       last_.event().token().id());
  }
  void Cancel() { context_.TryCancel(); }
  const v1::WatchTokensResponse& last() const { return last_; }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchTokensResponse>> stream_;
  v1::WatchTokensResponse last_;
  bool ended_ = false;
};

class WatchTokensCallTest : public ::testing::Test {
 protected:
  static Policy RulesFor(const std::vector<std::string>& own,
                         const std::string& all) {
    std::vector<PolicyRule> rules;
    for (const std::string& name : own) {
      rules.push_back(
          {.name = name, .provisioners = {{{{"common_name", name}}}}});
    }
    rules.push_back({.name = "operators",
                     .provisioners = {{{{"common_name", all}}}},
                     .manage = Reach::kAll});
    return Policy(std::move(rules));
  }

  explicit WatchTokensCallTest(TokenWatches::Options options = {},
                               TokenEvents::Options events = {})
      : events_(events, cluster_), watches_(options, events_, policy_, clock_) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    grpc::ChannelArguments arguments;
    // Else a client that reads nothing is sent more and more on credit.
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    stub_ = v1::TokenBroker::NewStub(grpc::CreateCustomChannel(
        fmt::format("127.0.0.1:{}", port), grpc::InsecureChannelCredentials(),
        arguments));
    events_.RecordsListed({}, "100");
    events_.CsrsListed({}, "100");
  }
  ~WatchTokensCallTest() override {
    server_->Shutdown(std::chrono::system_clock::now());
  }

  // A token is issued.
  void Write(const char* id, const std::string& provisioner = "alice",
             const std::string& node = "worker-1") {
    TokenRecord record = IssuedRecord(id);
    record.provisioner = provisioner;
    record.scope.node_name = node;
    events_.RecordWritten({.record = std::move(record),
                           .version = std::to_string(++version_),
                           .uid = {}},
                          true);
  }

  FakeClock clock_;
  Credentials credentials_;
  NoCluster cluster_;
  LivePolicy policy_{RulesFor({"alice", "bob"}, "root")};
  TokenEvents events_;
  TokenWatches watches_;
  Service service_{watches_, credentials_};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::TokenBroker::Stub> stub_;
  uint64_t version_ = 100;
};

TEST_F(WatchTokensCallTest, ACallerIsToldOfItsOwnTokensOnly) {
  Watch alice(*stub_, "alice");
  Watch root(*stub_, "root");
  EXPECT_EQ(alice.Next(), "progress");
  EXPECT_EQ(root.Next(), "progress");
  Write("aaaaaa", "bob");
  Write("bbbbbb", "alice");
  EXPECT_EQ(alice.Next(), "ISSUED bbbbbb");
  EXPECT_EQ(root.Next(), "ISSUED aaaaaa");
  EXPECT_EQ(root.Next(), "ISSUED bbbbbb");
  EXPECT_EQ(alice.last().event().token().provisioner(), "alice");
  EXPECT_EQ(alice.last().event().token().scope().node_name(), "worker-1");
}

TEST_F(WatchTokensCallTest, AFilterSelectsTokens) {
  v1::WatchTokensRequest request;
  request.mutable_filter()->set_node_name("gpu-*");
  Watch alice(*stub_, "alice", request);
  EXPECT_EQ(alice.Next(), "progress");
  Write("aaaaaa", "alice", "worker-1");
  Write("bbbbbb", "alice", "gpu-1");
  EXPECT_EQ(alice.Next(), "ISSUED bbbbbb");
}

TEST_F(WatchTokensCallTest, TheCursorGoesOnWhereItWas) {
  Watch first(*stub_, "alice");
  EXPECT_EQ(first.Next(), "progress");
  Write("aaaaaa");
  Write("bbbbbb");
  EXPECT_EQ(first.Next(), "ISSUED aaaaaa");
  v1::WatchTokensRequest request;
  request.set_cursor(first.last().cursor());
  EXPECT_LE(request.cursor().size(), 64U);
  Watch second(*stub_, "alice", request);
  EXPECT_EQ(second.Next(), "ISSUED bbbbbb");
}

TEST_F(WatchTokensCallTest, ACursorThatTheClusterForgotIsAGap) {
  v1::WatchTokensRequest request;
  request.set_cursor(FormatCursor({.records = 5, .csrs = 5}));
  Watch alice(*stub_, "alice", request);
  EXPECT_EQ(alice.Next(), "gap");
  EXPECT_EQ(alice.Next(), "progress");
  Write("aaaaaa");
  EXPECT_EQ(alice.Next(), "ISSUED aaaaaa");
}

TEST_F(WatchTokensCallTest, WhatIsMalformedIsRefused) {
  v1::WatchTokensRequest cursor;
  cursor.set_cursor("w1.12");
  EXPECT_EQ(Watch(*stub_, "alice", cursor).Next(), "end INVALID_FIELD");
  v1::WatchTokensRequest pattern;
  pattern.mutable_filter()->set_node_name("No Node");
  EXPECT_EQ(Watch(*stub_, "alice", pattern).Next(), "end INVALID_FIELD");
  v1::WatchTokensRequest state;
  state.mutable_filter()->add_states(static_cast<v1::TokenState>(77));
  EXPECT_EQ(Watch(*stub_, "alice", state).Next(), "end INVALID_FIELD");
  EXPECT_EQ(Watch(*stub_, "mallory").Next(), "end POLICY_DENIED");
  EXPECT_EQ(watches_.streams(), 0U);
}

TEST_F(WatchTokensCallTest, ThePolicyIsThatOfTheMoment) {
  Watch alice(*stub_, "alice");
  Watch bob(*stub_, "bob");
  ASSERT_EQ(alice.Next(), "progress");
  ASSERT_EQ(bob.Next(), "progress");
  policy_.Replace(RulesFor({"bob"}, "alice"));
  Write("aaaaaa", "bob");
  EXPECT_EQ(alice.Next(), "ISSUED aaaaaa");
  EXPECT_EQ(bob.Next(), "ISSUED aaaaaa");
  policy_.Replace(RulesFor({"alice"}, "root"));
  Write("bbbbbb", "bob");
  Write("cccccc", "alice");
  EXPECT_EQ(alice.Next(), "ISSUED cccccc");
  EXPECT_EQ(bob.Next(), "end POLICY_DENIED");
}

absl::Status Expired() {
  return Refuse(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated,
                "expired");
}

TEST_F(WatchTokensCallTest, AStreamEndsWithItsCredential) {
  credentials_.Set(clock_.Now() + absl::Minutes(10),
                   [](const std::string&) { return Expired(); });
  Watch alice(*stub_, "alice");
  ASSERT_EQ(alice.Next(), "progress");
  clock_.Advance(absl::Minutes(10) - absl::Seconds(1));
  Write("aaaaaa");
  EXPECT_EQ(alice.Next(), "ISSUED aaaaaa");
  clock_.Advance(absl::Seconds(1));
  Write("bbbbbb");
  EXPECT_EQ(alice.Next(), "end UNAUTHENTICATED");
  EXPECT_TRUE(WaitUntil([&] { return watches_.streams() == 0; }));
}

TEST_F(WatchTokensCallTest,
       WhoIsStillGoodIsAskedForOnceInAWhileNotAtEachEvent) {
  const auto for_a_minute = [this](const std::string& name) {
    return CallerOf(name, clock_.Now() + absl::Minutes(1));
  };
  credentials_.Set(clock_.Now() + absl::Minutes(1), for_a_minute);
  Watch alice(*stub_, "alice");
  ASSERT_EQ(alice.Next(), "progress");
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) {
      const std::string id = fmt::format("e{}{:04}", round, i);
      Write(id.c_str());
      ASSERT_EQ(alice.Next(), "ISSUED " + id);
    }
    EXPECT_EQ(credentials_.asked(), round);
    clock_.Advance(absl::Minutes(1));
  }
}

TEST_F(WatchTokensCallTest, WhatACallerIsNowCounts) {
  credentials_.Set(clock_.Now() + absl::Minutes(1), [](const std::string&) {
    TimedIdentity caller = CallerOf("alice");
    caller.identity.attributes = {{"common_name", {"mallory"}}};
    return caller;
  });
  Watch alice(*stub_, "alice");
  ASSERT_EQ(alice.Next(), "progress");
  clock_.Advance(absl::Minutes(1));
  Write("aaaaaa");
  EXPECT_EQ(alice.Next(), "end POLICY_DENIED");
}

TEST_F(WatchTokensCallTest,
       AStreamWhoseCallerCannotBeAskedForEndsAsACallWould) {
  credentials_.Set(clock_.Now() + absl::Minutes(1), [](const std::string&) {
    return absl::UnavailableError("no answer");
  });
  Watch alice(*stub_, "alice");
  ASSERT_EQ(alice.Next(), "progress");
  clock_.Advance(absl::Minutes(1));
  Write("aaaaaa");
  EXPECT_EQ(alice.Next(), "end CLUSTER_UNAVAILABLE");
}

TEST_F(WatchTokensCallTest,
       AStreamThatIsLeftWhileItsCallerIsAskedForGoesAfterIt) {
  std::promise<void> asked;
  std::promise<void> open;
  credentials_.Set(clock_.Now() + absl::Minutes(1),
                   [&](const std::string& who) {
                     asked.set_value();
                     open.get_future().wait();
                     return CallerOf(who);
                   });
  Watch alice(*stub_, "alice");
  ASSERT_EQ(alice.Next(), "progress");
  clock_.Advance(absl::Minutes(1));
  Write("aaaaaa");
  asked.get_future().wait();
  alice.Cancel();
  watches_.Stop();
  EXPECT_EQ(watches_.streams(), 1U) << "what it asks with is gRPC's";
  open.set_value();
  EXPECT_TRUE(WaitUntil([&] { return watches_.streams() == 0; }));
}

TEST_F(WatchTokensCallTest, AListAfterAnInterruptionIsAGapForEverybody) {
  Watch alice(*stub_, "alice");
  ASSERT_EQ(alice.Next(), "progress");
  Write("aaaaaa");
  ASSERT_EQ(alice.Next(), "ISSUED aaaaaa");
  events_.RecordsListed({}, "200");
  version_ = 200;
  EXPECT_EQ(alice.Next(), "gap");
  Write("bbbbbb");
  EXPECT_EQ(alice.Next(), "ISSUED bbbbbb");
  events_.CsrsListed({}, "210");
  EXPECT_EQ(alice.Next(), "gap");
  // A store that was restored from a backup begins with smaller versions.
  events_.RecordsListed({}, "150");
  version_ = 150;
  EXPECT_EQ(alice.Next(), "gap");
  Write("cccccc");
  EXPECT_EQ(alice.Next(), "ISSUED cccccc");
}

TEST_F(WatchTokensCallTest, StopEndsEveryStreamAtOnce) {
  Watch alice(*stub_, "alice");
  ASSERT_EQ(alice.Next(), "progress");
  watches_.Stop();
  EXPECT_EQ(alice.Next(), "end BROKER_STOPPING");
  EXPECT_EQ(Watch(*stub_, "alice").Next(), "end BROKER_STOPPING");
  EXPECT_TRUE(WaitUntil([&] { return watches_.streams() == 0; }));
}

TEST_F(WatchTokensCallTest, ACancelledStreamGoes) {
  Watch alice(*stub_, "alice");
  ASSERT_EQ(alice.Next(), "progress");
  ASSERT_EQ(watches_.streams(), 1U);
  alice.Cancel();
  EXPECT_TRUE(WaitUntil([&] { return watches_.streams() == 0; }));
}

// Hands out the next stream without beginning it, as the call frame does.
class LateService final : public v1::TokenBroker::CallbackService {
 public:
  explicit LateService(TokenWatches& watches) : watches_(watches) {}
  WatchReactor* WatchTokens(grpc::CallbackServerContext* /*context*/,
                            const v1::WatchTokensRequest* request) override {
    auto stream = watches_.Prepare(*request);
    WatchReactor* reactor = TokenWatches::ReactorOf(stream);
    const MutexLock lock(mutex_);
    prepared_ = std::move(stream);
    return reactor;
  }
  TokenWatches::StreamPtr Next() {
    TokenWatches::StreamPtr next;
    EXPECT_TRUE(WaitUntil([&] {
      const MutexLock lock(mutex_);
      next = std::move(prepared_);
      return next != nullptr;
    }));
    return next;
  }

 private:
  TokenWatches& watches_;
  Mutex mutex_;
  TokenWatches::StreamPtr prepared_;
};

class LateWatchTest : public WatchTokensCallTest {
 protected:
  static WatchCaller CallerOf(const std::string& name) {
    return {.who = latchkey::CallerOf(name), .ask_again = nullptr};
  }
  LateWatchTest() {
    latchkey::InstallFaultHook([](std::string_view point) {
      if (point == "watches.added" && reached_) reached_();
    });
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&late_service_);
    late_server_ = builder.BuildAndStart();
    late_stub_ = v1::TokenBroker::NewStub(grpc::CreateChannel(
        fmt::format("127.0.0.1:{}", port), grpc::InsecureChannelCredentials()));
  }
  ~LateWatchTest() override {
    late_server_->Shutdown(std::chrono::system_clock::now());
    latchkey::InstallFaultHook(nullptr);
    reached_ = nullptr;
  }

  // The hook is a plain function, so this cannot be a member.
  static inline std::function<void()> reached_;
  LateService late_service_{watches_};
  std::unique_ptr<grpc::Server> late_server_;
  std::unique_ptr<v1::TokenBroker::Stub> late_stub_;
};

TEST_F(LateWatchTest, AStreamThatIsCancelledAsItBeginsIsNotAReaderForEver) {
  Watch alice(*late_stub_, "alice");
  TokenWatches::StreamPtr stream = late_service_.Next();
  const std::weak_ptr<TokenWatches::Stream> left = stream;
  reached_ = [&] {
    alice.Cancel();
    EXPECT_FALSE(WaitUntil([&] { return watches_.streams() == 0; },
                           absl::Milliseconds(200)))
        << "it is begun yet, and must not go";
  };
  ASSERT_THAT(watches_.Admit(stream, CallerOf("alice")), IsOk());
  watches_.Start(stream);
  stream.reset();
  EXPECT_TRUE(WaitUntil([&] { return left.expired(); }));
  EXPECT_EQ(watches_.streams(), 0U);
}

TEST_F(LateWatchTest, AStreamTellsNothingBeforeItIsStarted) {
  Watch alice(*late_stub_, "alice");
  const TokenWatches::StreamPtr stream = late_service_.Next();
  ASSERT_THAT(watches_.Admit(stream, CallerOf("alice")), IsOk());
  EXPECT_EQ(watches_.streams(), 1U);
  Write("aaaaaa");
  // Its record could not be written.
  watches_.Refuse(stream, ToGrpcStatus(Refuse(absl::StatusCode::kUnavailable,
                                              reason::kAuditUnavailable, "x")));
  EXPECT_EQ(alice.Next(), "end AUDIT_UNAVAILABLE");
  EXPECT_TRUE(WaitUntil([&] { return watches_.streams() == 0; }));
}

TEST_F(LateWatchTest, AStreamEndsOnceWhateverHappensWhileItIsRecorded) {
  enum class Recorded { kYes, kNo };
  for (const Recorded recorded : {Recorded::kYes, Recorded::kNo}) {
    Watch alice(*late_stub_, "alice");
    TokenWatches::StreamPtr stream = late_service_.Next();
    const std::weak_ptr<TokenWatches::Stream> left = stream;
    ASSERT_THAT(watches_.Admit(stream, CallerOf("alice")), IsOk());
    {
      const std::jthread client([&] { alice.Cancel(); });
      if (recorded == Recorded::kYes) {
        watches_.Start(stream);
      } else {
        watches_.Refuse(stream, {grpc::StatusCode::UNAVAILABLE, "x"});
      }
    }
    stream.reset();
    EXPECT_TRUE(WaitUntil([&] { return left.expired(); }));
    EXPECT_EQ(watches_.streams(), 0U);
  }
}

TEST_F(LateWatchTest, StopWhileAStreamIsRecordedEndsItWhenItIsStarted) {
  Watch alice(*late_stub_, "alice");
  const TokenWatches::StreamPtr stream = late_service_.Next();
  ASSERT_THAT(watches_.Admit(stream, CallerOf("alice")), IsOk());
  watches_.Stop();
  watches_.Start(stream);
  EXPECT_EQ(alice.Next(), "end BROKER_STOPPING");
  watches_.Refuse(stream, {grpc::StatusCode::UNAVAILABLE, "too late"});
}

class BoundedWatchesTest : public WatchTokensCallTest {
 protected:
  BoundedWatchesTest()
      : WatchTokensCallTest({.max_streams = 3, .max_streams_of_one = 2}) {}
};

TEST_F(BoundedWatchesTest, StreamsAreBoundedForOneAndForAll) {
  auto first = std::make_unique<Watch>(*stub_, "alice");
  Watch second(*stub_, "alice");
  ASSERT_EQ(first->Next(), "progress");
  ASSERT_EQ(second.Next(), "progress");
  EXPECT_EQ(Watch(*stub_, "alice").Next(), "end TOO_MANY_WATCHES");
  Watch bob(*stub_, "bob");
  ASSERT_EQ(bob.Next(), "progress");
  EXPECT_EQ(Watch(*stub_, "root").Next(), "end TOO_MANY_WATCHES");
  first.reset();
  ASSERT_TRUE(WaitUntil([&] { return watches_.streams() == 2; }));
  EXPECT_EQ(Watch(*stub_, "alice").Next(), "progress");
}

class SmallRingTest : public WatchTokensCallTest {
 protected:
  SmallRingTest()
      : WatchTokensCallTest(
            {}, {.max_events = 100, .tick = absl::Milliseconds(50)}) {}
};

TEST_F(SmallRingTest,
       AClientThatDoesNotReadHoldsUpNobodyAndIsToldWhatItMissed) {
  Watch slow(*stub_, "alice");
  ASSERT_EQ(slow.Next(), "progress");
  Watch quick(*stub_, "alice");
  ASSERT_EQ(quick.Next(), "progress");
  // Far more than gRPC takes on a client's behalf.
  constexpr int kEvents = 5000;
  for (int i = 0; i < kEvents; ++i) {
    const std::string id = fmt::format("e{:05}", i);
    Write(id.c_str());
    std::string heard = quick.Next();
    while (heard == "progress") heard = quick.Next();
    ASSERT_EQ(heard, "ISSUED " + id);
  }
  int told = 0;
  std::string heard = slow.Next();
  for (; heard != "gap"; heard = slow.Next()) {
    ASSERT_TRUE(heard == "progress" || heard.starts_with("ISSUED")) << heard;
    ++told;
  }
  EXPECT_LT(told, kEvents);
  EXPECT_EQ(slow.last().gap().cause(), v1::Gap::READ_TOO_SLOWLY);
  EXPECT_FALSE(slow.last().gap().reason().empty());
}

TEST_F(SmallRingTest, AnIdleStreamEndsWithItsCredentialToo) {
  credentials_.Set(clock_.Now() + absl::Minutes(1),
                   [](const std::string&) { return Expired(); });
  Watch alice(*stub_, "alice");
  ASSERT_EQ(alice.Next(), "progress");
  clock_.Advance(absl::Minutes(1));
  std::string heard = alice.Next();
  while (heard == "progress") heard = alice.Next();
  EXPECT_EQ(heard, "end UNAUTHENTICATED");
}

TEST_F(SmallRingTest, ProgressComesAtEachTick) {
  Watch alice(*stub_, "alice");
  for (int i = 0; i < 4; ++i) ASSERT_EQ(alice.Next(), "progress");
}

}  // namespace
}  // namespace latchkey
