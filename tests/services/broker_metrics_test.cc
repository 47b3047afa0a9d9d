#include "services/broker_metrics.h"

#include <string>

#include <gmock/gmock.h>

#include "core/version.h"
#include "tests/testing/fake_execution.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeExecution;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(BrokerMetricsTest, CountsAndTimesCalls) {
  BrokerMetrics metrics;
  metrics.RpcEnded("issue", absl::StatusCode::kOk, "", absl::Milliseconds(7));
  metrics.RpcEnded("issue", absl::StatusCode::kPermissionDenied,
                   "POLICY_DENIED", absl::Milliseconds(1));
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("latchkey_build_info{version=\"" +
                              std::string(kVersion) + "\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("latchkey_rpcs_total{code=\"OK\",rpc=\"issue\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("latchkey_refusals_total{reason=\"POLICY_DENIED\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("latchkey_rpc_duration_seconds_bucket{outcome=\"ok\","
                        "rpc=\"issue\",le=\"0.01\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("latchkey_rpc_duration_seconds_bucket{outcome=\"ok\","
                        "rpc=\"issue\",le=\"0.005\"} 0"));
}

// A refusal takes no time: a flood of them must not make mints look fast.
TEST(BrokerMetricsTest, WhatWasRefusedIsNotTimedAsIfItWereDone) {
  BrokerMetrics metrics;
  metrics.RpcEnded("issue", absl::StatusCode::kOk, "", absl::Seconds(20));
  for (int i = 0; i < 1000; ++i) {
    metrics.RpcEnded("issue", absl::StatusCode::kResourceExhausted,
                     "RATE_LIMITED", absl::Microseconds(20));
  }
  metrics.CsrApproved("uid-1", absl::Seconds(20));
  metrics.CsrDenied("SCOPE_NODE_NAME", absl::Milliseconds(1));
  const std::string text = metrics.Text();
  for (const char* line :
       {"latchkey_rpc_duration_seconds_bucket{outcome=\"ok\",rpc=\"issue\","
        "le=\"10\"} 0",
        "latchkey_rpc_duration_seconds_count{outcome=\"ok\",rpc=\"issue\"} 1",
        "latchkey_rpc_duration_seconds_count{outcome=\"error\",rpc=\"issue\"} "
        "1000",
        "latchkey_csr_decision_seconds_bucket{decision=\"approved\",le=\"10\"} "
        "0",
        "latchkey_csr_decision_seconds_count{decision=\"approved\"} 1",
        "latchkey_csr_decision_seconds_count{decision=\"denied\"} 1"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(BrokerMetricsTest, TimesACertificateThatThisBrokerApproved) {
  BrokerMetrics metrics;
  metrics.CsrApproved("uid-1", absl::Milliseconds(20));
  metrics.CsrDenied("SCOPE_NODE_NAME", absl::Milliseconds(20));
  metrics.CertificateSeen("uid-1");
  metrics.CertificateSeen("uid-1");
  metrics.CertificateSeen("another broker's");
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("latchkey_certificate_seconds_count 1"));
  EXPECT_THAT(text, HasSubstr("latchkey_csrs_total{decision=\"denied\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr("uid-1")));
}

TEST(BrokerMetricsTest, CountsConnectionsThatWereRefused) {
  BrokerMetrics metrics;
  metrics.ConnectionRefused("node", "peer");
  metrics.ConnectionRefused("node", "peer");
  EXPECT_THAT(metrics.Text(),
              HasSubstr("latchkey_connections_refused_total{limit=\"peer\","
                        "port=\"node\"} 2"));
}

TEST(BrokerMetricsTest, AskedForItLooksAtHowThingsStand) {
  BrokerMetrics metrics;
  metrics.OnScrape([&](BrokerMetrics& at) {
    at.SetQueue("node", 3, 2);
    at.SetConnections("node", 5);
    at.SetRecords("active", 7);
    at.SetBacklog("approver", 4, 1);
  });
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("latchkey_calls_waiting{port=\"node\"} 3"));
  EXPECT_THAT(text, HasSubstr("latchkey_calls_running{port=\"node\"} 2"));
  EXPECT_THAT(text, HasSubstr("latchkey_connections{port=\"node\"} 5"));
  EXPECT_THAT(text, HasSubstr("latchkey_records{state=\"active\"} 7"));
  EXPECT_THAT(text, HasSubstr("latchkey_work_waiting{pool=\"approver\"} 4"));
  EXPECT_THAT(text, HasSubstr("latchkey_work_retrying{pool=\"approver\"} 1"));
}

TEST(BrokerMetricsTest, AWatchIsStaleFromTheMomentThatItBreaks) {
  FakeExecution time;
  BrokerMetrics metrics;
  const auto stale = [&](const char* seconds) {
    const bool fresh = std::string(seconds) == "0";
    EXPECT_THAT(
        metrics.Text(),
        AllOf(HasSubstr(fresh ? "latchkey_watch_fresh{watch=\"csrs\"} 1"
                              : "latchkey_watch_fresh{watch=\"csrs\"} 0"),
              HasSubstr("latchkey_watch_stale_seconds{watch=\"csrs\"} " +
                        std::string(seconds) + "\n")));
  };
  metrics.WatchFresh("csrs", false);
  time.Advance(absl::Seconds(3));
  stale("3");  // at the start too
  metrics.WatchFresh("csrs", true);
  time.Advance(absl::Seconds(100));
  stale("0");
  // Nobody looks while it breaks.
  metrics.WatchFresh("csrs", false);
  time.Advance(absl::Seconds(40));
  metrics.WatchFresh("csrs", false);
  time.Advance(absl::Seconds(2));
  stale("42");
  metrics.WatchFresh("csrs", true);
  stale("0");
}

TEST(BrokerMetricsTest, TimesWhatTheWatchShowsOfItsOwnWrites) {
  BrokerMetrics metrics;
  metrics.MintSeen(absl::Milliseconds(7));
  EXPECT_THAT(
      metrics.Text(),
      AllOf(HasSubstr("latchkey_watch_lag_seconds_bucket{le=\"0.01\"} 1"),
            HasSubstr("latchkey_watch_lag_seconds_bucket{le=\"0.005\"} "
                      "0")));
}

TEST(BrokerMetricsTest, OnePolicyIsInForceAtATime) {
  BrokerMetrics metrics;
  metrics.PolicyLoaded("aaaa");
  metrics.PolicyLoaded("bbbb");
  metrics.PolicyRefused();
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("latchkey_policy_info{digest=\"bbbb\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr("aaaa")));
  EXPECT_THAT(text,
              HasSubstr("latchkey_policy_loads_total{outcome=\"loaded\"} 2"));
  EXPECT_THAT(text,
              HasSubstr("latchkey_policy_loads_total{outcome=\"refused\"} 1"));
}

}  // namespace
}  // namespace latchkey
