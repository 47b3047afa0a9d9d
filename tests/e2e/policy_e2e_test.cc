// What a policy decides, through a real broker and of real identities: who may
// have what, and why not; names that are meant to confuse; and a policy that
// changes while calls are in hand.

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "clients/files/durable_file.h"
#include "core/refusal.h"
#include "tests/e2e/bearer_test.h"
#include "tests/e2e/offered_load.h"
#include "tests/testing/http_get.h"
#include "tests/testing/left_out.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

namespace v1 = latchkey::v1;
namespace reason = latchkey::reason;
using ::testing::HasSubstr;

constexpr char kRules[] = R"(  - name: gpus
    provisioners: [{spiffe_id: spiffe://example.org/gpus}]
    allow:
      node_names: ["gpu-*", "gpu-*.pool.example"]
      groups: [system:bootstrappers:pool-a, system:bootstrappers:pool-b]
      max_token_lifetime: 30m
      max_certificate_lifetime: 24h
  - name: teams
    provisioners: [{spiffe_id: {prefix: "spiffe://example.org/teams/"}}]
    allow:
      node_names: ["team-*"]
      delivery: [ticket, direct]
      labels: {team: [red, blue], cost-center: []}
  - name: builds
    provisioners: [{dns_name: ci.example.org, common_name: ci}]
    allow: {node_names: ["ci-*"]}
  - name: runners
    provisioners:
      - kind: service_account
        namespace: {one_of: [ci, build]}
        service_account: {glob: "*/runner-*"}
    allow:
      node_names: ["runner-*"]
      node_replacement: true
  - name: admins
    provisioners: [{group: "system:serviceaccounts:ops"}]
    allow:
      node_names: ["*", "*.pool.example"]
      max_token_lifetime: 168h
  - name: themselves
    provisioners:
      - kind: jwt
        issuer: https://file.example
        instance_id: {glob: "i-*"}
    allow:
      node_name_from: {attribute: instance_id, suffix: .pool.example}
  - name: few
    provisioners: [{common_name: few}]
    allow: {node_names: ["few-*"], max_outstanding: 1}
  - name: slow
    provisioners: [{common_name: slow}]
    allow: {node_names: ["slow-*"], rate: {per_minute: 1, burst: 1}}
)";

constexpr char kPoolA[] = "system:bootstrappers:pool-a";
constexpr char kPoolB[] = "system:bootstrappers:pool-b";
constexpr char kPoolC[] = "system:bootstrappers:pool-c";
constexpr char kNodeName[] = "scope.node_name";

using Labels = std::map<std::string, std::string>;

struct Asked {
  std::string node_name;
  v1::Delivery delivery = v1::DELIVERY_UNSPECIFIED;
  std::vector<std::string> groups = {};
  int lifetime_s = 0;
  int certificate_s = 0;
  bool replacement = false;
  Labels labels = {};

  v1::IssueTokenRequest Request() const {
    v1::IssueTokenRequest request;
    v1::TokenScope& scope = *request.mutable_scope();
    scope.set_node_name(node_name);
    for (const std::string& group : groups) scope.add_groups(group);
    if (certificate_s != 0) {
      scope.mutable_max_certificate_lifetime()->set_seconds(certificate_s);
    }
    scope.set_allow_node_replacement(replacement);
    request.set_delivery(delivery);
    if (lifetime_s != 0) request.mutable_lifetime()->set_seconds(lifetime_s);
    request.mutable_labels()->insert(labels.begin(), labels.end());
    return request;
  }
};

struct Allowed {
  const char* name;
  const char* who;
  Asked asked;
  const char* rule;
};

struct Denied {
  const char* name;
  const char* who;
  Asked asked;
  std::string_view reason;
  // As in the metadata; empty: not there.
  std::string rule = {};
  std::string field = {};
  std::string limit = {};
};

const Labels kRed = {{"team", "red"}, {"cost-center", "42"}};

std::vector<Allowed> AllowedCases() {
  return {
      {"a worker", "autoscaler", {"worker-1"}, "workers"},
      {"the longest name",
       "autoscaler",
       {"worker-" + std::string(246, 'b')},
       "workers"},
      {"direct", "autoscaler", {"worker-2", v1::DELIVERY_DIRECT}, "workers"},
      {"the longest lifetime",
       "autoscaler",
       {.node_name = "worker-3", .lifetime_s = 7200},
       "workers"},
      {"a group",
       "autoscaler",
       {.node_name = "worker-4", .groups = {kPoolA}},
       "workers"},
      {"a pattern with a domain", "gpus", {"gpu-1.pool.example"}, "gpus"},
      {"all groups, in any order",
       "gpus",
       {.node_name = "gpu-1", .groups = {kPoolB, kPoolA}},
       "gpus"},
      {"the longest certificate",
       "gpus",
       {.node_name = "gpu-2", .certificate_s = 86400},
       "gpus"},
      {"a prefix", "red", {.node_name = "team-1", .labels = kRed}, "teams"},
      {"a prefix, deeper",
       "red-a-b",
       {.node_name = "team-2", .labels = kRed},
       "teams"},
      {"the other value of a label",
       "red",
       {.node_name = "team-3",
        .labels = {{"team", "blue"}, {"cost-center", ""}}},
       "teams"},
      {"two attributes of a certificate", "ci", {"ci-1"}, "builds"},
      {"a ServiceAccount by a glob", "runner", {"runner-1"}, "runners"},
      {"a node that exists",
       "runner",
       {.node_name = "runner-2", .replacement = true},
       "runners"},
      {"a ServiceAccount by its group", "ops", {"anything"}, "admins"},
      {"a week",
       "ops",
       {.node_name = "any.pool.example", .lifetime_s = 604800},
       "admins"},
      {"a JWT for a file's keys", "job", {"worker-5"}, "bearers"},
      {"a JWT for a URL's keys", "url-job", {"worker-6"}, "bearers"},
      {"a machine for itself",
       "machine",
       {"i-0abc.pool.example"},
       "themselves"},
      {"the first of few", "few", {"few-1"}, "few"},
  };
}

std::vector<Denied> DeniedCases() {
  const std::string_view denied = reason::kPolicyDenied;
  const std::string_view invalid = reason::kInvalidField;
  const std::string_view unknown = reason::kUnauthenticated;
  const Asked worker = {"worker-1"};
  const std::string gpus = "gpu-*, gpu-*.pool.example";
  return {
      // No rule is for them, and they hear of none.
      {"a longer name", "autoscaler2", worker, denied},
      {"another case", "AUTOSCALER", worker, denied},
      {"a trust domain that begins like ours", "evil", worker, denied},
      {"the prefix without what follows", "teams", worker, denied},
      {"the name as another attribute", "cn-spiffe", worker, denied},
      {"a star for a name", "star", worker, denied},
      {"one of two attributes", "cn-ci", {"ci-1"}, denied},
      {"the other of the two", "dns-ci", {"ci-1"}, denied},
      {"an account that does not fit the glob", "walker", {"runner-1"}, denied},
      {"an account of another namespace", "foreign", {"runner-1"}, denied},
      {"a JWT of another subject", "stranger", worker, denied},
      // A rule is for them, and does not allow this.
      {"another name",
       "autoscaler",
       {"control-1"},
       denied,
       "workers",
       kNodeName,
       "worker-*"},
      {"a dot under the star",
       "autoscaler",
       {"worker-1.evil.example"},
       denied,
       "workers",
       kNodeName,
       "worker-*"},
      {"a letter before",
       "autoscaler",
       {"xworker-1"},
       denied,
       "workers",
       kNodeName,
       "worker-*"},
      {"a name of another's rule",
       "autoscaler",
       {"gpu-1"},
       denied,
       "workers",
       kNodeName,
       "worker-*"},
      {"another group",
       "autoscaler",
       {.node_name = "worker-1", .groups = {kPoolB}},
       denied,
       "workers",
       "scope.groups",
       kPoolA},
      {"one group too many",
       "gpus",
       {.node_name = "gpu-1", .groups = {kPoolA, kPoolC}},
       denied,
       "gpus",
       "scope.groups",
       fmt::format("{}, {}", kPoolA, kPoolB)},
      {"any group",
       "runner",
       {.node_name = "runner-1", .groups = {kPoolA}},
       denied,
       "runners",
       "scope.groups"},
      {"a second too long",
       "autoscaler",
       {.node_name = "worker-1", .lifetime_s = 7201},
       denied,
       "workers",
       "lifetime",
       "2h"},
      {"above the default",
       "ci",
       {.node_name = "ci-1", .lifetime_s = 3601},
       denied,
       "builds",
       "lifetime",
       "1h"},
      {"direct",
       "gpus",
       {"gpu-1", v1::DELIVERY_DIRECT},
       denied,
       "gpus",
       "delivery",
       "ticket"},
      {"a longer certificate",
       "gpus",
       {.node_name = "gpu-1", .certificate_s = 86401},
       denied,
       "gpus",
       "scope.max_certificate_lifetime",
       "24h"},
      {"a node that exists",
       "autoscaler",
       {.node_name = "worker-1", .replacement = true},
       denied,
       "workers",
       "scope.allow_node_replacement"},
      {"another domain",
       "gpus",
       {"gpu-1.pool.example.evil"},
       denied,
       "gpus",
       kNodeName,
       gpus},
      {"the domain alone",
       "gpus",
       {"pool.example"},
       denied,
       "gpus",
       kNodeName,
       gpus},
      {"no labels",
       "red",
       {"team-1"},
       denied,
       "teams",
       "labels",
       "cost-center=any value"},
      {"another value of a label",
       "red",
       {.node_name = "team-1",
        .labels = {{"team", "green"}, {"cost-center", "1"}}},
       denied,
       "teams",
       "labels",
       "team=red, blue"},
      {"a machine for another",
       "machine",
       {"i-0abd.pool.example"},
       denied,
       "themselves",
       kNodeName,
       "i-0abc.pool.example"},
      {"the value without the domain",
       "machine",
       {"i-0abc"},
       denied,
       "themselves",
       kNodeName,
       "i-0abc.pool.example"},
      {"a machine whose id is no name",
       "odd-machine",
       {"i-0abc.pool.example"},
       denied,
       "themselves",
       kNodeName},
      {"a higher domain",
       "ops",
       {"a.b.pool.example"},
       denied,
       "admins",
       kNodeName,
       "*, *.pool.example"},
      {"one more than few",
       "few",
       {"few-2"},
       reason::kQuotaOutstanding,
       "few",
       "",
       "1"},
      // Malformed, whoever asks.
      {"no name", "ops", {""}, invalid, "", kNodeName},
      {"a path", "ops", {"../x"}, invalid, "", kNodeName},
      {"capital letters", "autoscaler", {"Worker-1"}, invalid, "", kNodeName},
      {"a group outside",
       "gpus",
       {.node_name = "gpu-1", .groups = {"system:masters"}},
       invalid,
       "",
       "scope.groups"},
      {"half a minute",
       "autoscaler",
       {.node_name = "worker-1", .lifetime_s = 30},
       invalid,
       "",
       "lifetime"},
      // Nobody knows who they are.
      {"neither certificate nor token", "anonymous", worker, unknown},
      {"a JWT that is over", "over", worker, unknown},
      {"a ServiceAccount's token for another audience", "audience", worker,
       unknown},
      {"a JWT that nobody signed", "unsigned", worker, unknown},
      {"a bad token with a good certificate", "both", worker, unknown},
  };
}

class PolicyE2eTest : public BearerTest {
 protected:
  struct Caller {
    std::shared_ptr<grpc::Channel> channel;
    std::string token = {};
  };

  std::unique_ptr<BrokerProcess> Start() {
    return StartBrokerForBearers(
        {.more_policy = kRules,
         .more_config = fmt::format("audit:\n  file: {}\n  fsync: false\n"
                                    "metrics:\n  listen: 127.0.0.1:0\n",
                                    audit_),
         .log_level = "info"});
  }
  std::shared_ptr<grpc::Channel> Open(
      const latchkey::CertificateProfile& profile) {
    const latchkey::IssuedIdentity identity = pki().Client(profile);
    return latchkey::OpenBrokerChannel(
        {.endpoint = endpoint_,
         .certificate_authorities = pki().ca_pem(),
         .certificate_pem = identity.certificate_pem,
         .private_key_pem = identity.private_key_pem});
  }
  void AddCertificates() {
    const std::string domain = "spiffe://example.org/";
    const std::map<std::string, std::string> spiffe_ids = {
        {"autoscaler", domain + "autoscaler"},
        {"autoscaler2", domain + "autoscaler2"},
        {"AUTOSCALER", domain + "AUTOSCALER"},
        {"evil", "spiffe://example.org.evil/teams/red"},
        {"gpus", domain + "gpus"},
        {"red", domain + "teams/red"},
        {"red-a-b", domain + "teams/red/a/b"},
        {"star", domain + "*"},
        {"teams", domain + "teams"}};
    for (const auto& [name, id] : spiffe_ids) {
      callers_[name] = {Open({.common_name = "x", .uris = {id}})};
    }
    callers_["ci"] = {Open(
        {.common_name = "ci", .dns_names = {"a.example", "ci.example.org"}})};
    callers_["dns-ci"] = {
        Open({.common_name = "x", .dns_names = {"ci.example.org"}})};
    for (const std::string name : {"few", "slow"}) {
      callers_[name] = {Open({.common_name = name})};
    }
    callers_["cn-ci"] = {Open({.common_name = "ci"})};
    callers_["cn-spiffe"] = {Open({.common_name = kAutoscaler})};
  }
  void AddAccounts() {
    for (const std::string name_space : {"ci", "ops", "other"}) {
      Kubectl({"create", "namespace", name_space});
    }
    const auto add = [&](const std::string& name, const std::string& name_space,
                         const std::string& account,
                         const std::string& audience = "latchkey") {
      cluster().Run(
          {"kubectl", "-n", name_space, "create", "serviceaccount", account});
      callers_[name] = {anonymous_, TokenOf(account, audience, name_space)};
    };
    add("runner", "ci", "runner-7");
    add("walker", "ci", "walker");
    add("foreign", "other", "runner-7");
    add("ops", "ops", "anna");
    add("audience", "ci", "runner-7", "elsewhere");
  }
  void AddJwts() {
    const auto add = [&](const std::string& name, const Jwt& jwt) {
      callers_[name] = {anonymous_, JwtOf(old_key_, jwt)};
    };
    add("job", {});
    add("url-job", {.issuer = "url"});
    add("stranger", {.subject = "stranger"});
    add("machine", {.subject = "machine", .instance = "i-0abc"});
    add("odd-machine", {.subject = "odd", .instance = "i-0ABC"});
    add("over", {.lifetime = -absl::Seconds(1)});
    callers_["anonymous"] = {anonymous_};
    const std::string& good = callers_["job"].token;
    const std::string claims = good.substr(0, good.rfind('.'));
    callers_["unsigned"] = {
        anonymous_,
        Base64Url(R"({"alg":"none"})") + claims.substr(claims.find('.')) + "."};
    callers_["both"] = {callers_["autoscaler"].channel, callers_["over"].token};
  }
  void AddCallers(const BrokerProcess& broker) {
    endpoint_ = broker.provisioner_endpoint();
    anonymous_ = latchkey::OpenBrokerChannel(
        {.endpoint = endpoint_, .certificate_authorities = pki().ca_pem()});
    AddCertificates();
    AddAccounts();
    AddJwts();
  }
  absl::StatusOr<v1::IssueTokenResponse> Ask(
      const std::string& who, const v1::IssueTokenRequest& request) {
    const Caller& caller = callers_.at(who);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
    if (!caller.token.empty()) {
      context.AddMetadata("authorization", "Bearer " + caller.token);
    }
    v1::IssueTokenResponse response;
    const absl::Status status = latchkey::FromGrpcStatus(
        v1::TokenBroker::NewStub(caller.channel)
            ->IssueToken(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }
  size_t Tokens() {
    const auto list = Admin().List<latchkey::kubernetes::SecretList>(
        {.name_space = "kube-system",
         .field_selector = "type=bootstrap.kubernetes.io/token"});
    EXPECT_THAT(list, IsOk());
    return list.ok() ? static_cast<size_t>(list->items_size()) : 0;
  }
  // Every line is JSON: what Python's parser takes for it.
  static void ExpectJsonLines(const std::string& file) {
    const ProgramResult parsed = RunProgram(
        {"/usr/bin/python3", "-c",
         "import json,sys\n"
         "for n, line in enumerate(open(sys.argv[1], encoding='utf-8')):\n"
         "    try: assert isinstance(json.loads(line), dict)\n"
         "    except ValueError: sys.exit(f'line {n + 1}: {line}')\n",
         file},
        {});
    EXPECT_EQ(parsed.err, "") << file;
  }
  void ExpectAuditProven() {
    ExpectJsonLines(audit_);
    const ProgramResult proven = RunProgram(
        {BuiltProgram("latchkeyctl"), "audit", "verify", audit_}, {});
    EXPECT_EQ(proven.exit_code, 0) << proven.err;
  }
  // Records of IssueToken that say `what`.
  size_t Recorded(const std::string& what) const {
    std::istringstream lines(ReadFile(audit_));
    size_t count = 0;
    for (std::string line; std::getline(lines, line);) {
      if (line.find("\"IssueToken\"") != std::string::npos &&
          line.find(what) != std::string::npos) {
        ++count;
      }
    }
    return count;
  }

  const TempDir dir_;
  const std::string audit_ = dir_.File("audit.log");
  std::string endpoint_;
  std::shared_ptr<grpc::Channel> anonymous_;
  std::map<std::string, Caller> callers_;
};

TEST_F(PolicyE2eTest, SixtyDecisionsEachWithItsReason) {
  const auto broker = Start();
  AddCallers(*broker);
  const size_t before = Tokens();
  const std::vector<Allowed> allowed = AllowedCases();
  ASSERT_GE(allowed.size(), 20U);
  for (const Allowed& c : allowed) {
    SCOPED_TRACE(c.name);
    const auto issued = Ask(c.who, c.asked.Request());
    ASSERT_THAT(issued, IsOk());
    KeepSecret(issued->ticket().empty() ? issued->bootstrap_token().substr(7)
                                        : issued->ticket().substr(11, 32));
    EXPECT_EQ(issued->token().rule(), c.rule);
    EXPECT_EQ(issued->token().scope().node_name(), c.asked.node_name);
    EXPECT_EQ(Record(issued->token().id())->record.rule, c.rule);
  }
  EXPECT_EQ(Tokens(), before + allowed.size());

  const std::vector<Denied> denied = DeniedCases();
  ASSERT_GE(denied.size(), 40U);
  size_t policy_denied = 0;
  for (const Denied& c : denied) {
    SCOPED_TRACE(c.name);
    const auto answer = Ask(c.who, c.asked.Request());
    EXPECT_THAT(answer, ReasonIs(c.reason));
    latchkey::RefusalMetadata said = latchkey::MetadataOf(answer.status());
    EXPECT_EQ(said["rule"], c.rule);
    EXPECT_EQ(said["field"], c.field);
    EXPECT_EQ(said["limit"], c.limit);
    policy_denied += c.reason == reason::kPolicyDenied ? 1 : 0;
  }
  ASSERT_THAT(Ask("slow", Asked{"slow-1"}.Request()), IsOk());
  EXPECT_THAT(Ask("slow", Asked{"slow-2"}.Request()),
              ReasonIs(reason::kRateLimited));
  EXPECT_EQ(Tokens(), before + allowed.size() + 1) << "and nothing else";
  EXPECT_EQ(Recorded("\"verdict\":\"allowed\""), allowed.size() + 1);
  EXPECT_EQ(Recorded("\"reason\":\"POLICY_DENIED\""), policy_denied);
  ExpectAuditProven();
}

TEST_F(PolicyE2eTest, HostileTextInEveryFieldChangesNoVerdict) {
  if (!HasPythonGrpc()) {
    LATCHKEY_LEAVE_OUT("needs the Debian package python3-grpcio");
  }
  const auto broker = Start();
  const size_t before = Tokens();
  const IdentityFiles autoscaler =
      pki().Save("autoscaler", pki().Client(kAutoscaler));
  const std::string ticket =
      dir_.Write("ticket", IssueTicket(*broker, "worker-claimed"));
  std::filesystem::create_directory(dir_.File("stubs"));
  const ProgramResult done = RunProgram(
      {"/usr/bin/python3", LATCHKEY_SOURCE_DIR "/tests/e2e/hostile_names.py",
       "--protos", LATCHKEY_SOURCE_DIR "/proto", "--stubs", dir_.File("stubs"),
       "--provisioners", broker->provisioner_endpoint(), "--nodes",
       broker->node_endpoint(), "--ca", pki().ca_file(), "--certificate",
       autoscaler.certificate, "--key", autoscaler.private_key, "--ticket",
       ticket},
      {}, absl::Minutes(3));
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  EXPECT_TRUE(broker->Running());
  const size_t at = done.out.find("minted ");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(Tokens(), before + 1 + std::stoul(done.out.substr(at + 7)));
  EXPECT_EQ(HttpGet(broker->metrics_port(), "/metrics").find("INTERNAL"),
            std::string::npos);
  ExpectJsonLines(broker->log_file());
  ExpectAuditProven();
}

class ReloadE2eTest : public PolicyE2eTest {
 protected:
  static constexpr int kRounds = 30;
  static constexpr int kCallsPerSecond = 500;
  static constexpr size_t kBestSeconds = 3;

  // Puts broker.yaml in place as an editor does, with other names for the
  // workers.
  void Put(const BrokerProcess& broker, const std::string& names) {
    std::string text = good_;
    const std::string from = R"(node_names: ["worker-*"])";
    text.replace(text.find(from), from.size(), "node_names: " + names);
    ASSERT_THAT(latchkey::WriteFileDurably(broker.config_file(), text, 0600),
                IsOk());
  }
  static size_t Logged(const BrokerProcess& broker, const std::string& event) {
    const std::string log = broker.Log();
    const std::string wanted = "\"event\":\"" + event + "\"";
    size_t count = 0;
    for (size_t at = 0; (at = log.find(wanted, at)) != std::string::npos;) {
      ++count;
      at += wanted.size();
    }
    return count;
  }
  // Asks for a reload and waits until the broker has said how it went.
  static bool Reload(const BrokerProcess& broker, const std::string& event) {
    const size_t before = Logged(broker, event);
    broker.Signal(SIGHUP);
    return WaitUntil([&] { return Logged(broker, event) > before; });
  }
  absl::Status MayIssue(const std::string& node_name) {
    v1::IssueTokenRequest request = RequestFor(node_name);
    request.set_validate_only(true);
    return Issue(channel_, request).status();
  }
  // One of a mix: half asks the policy alone, a tenth mints.
  absl::Status CallOfMix(v1::TokenBroker::Stub& stub, int number) {
    if (number % 10 == 0) {
      return Issue(channel_, RequestFor(fmt::format("worker-load-{}", number)))
          .status();
    }
    if (number % 2 != 0) return MayIssue("worker-load");
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
    if (number % 4 == 0) {
      v1::ListTokensRequest request;
      request.set_page_size(1);
      v1::ListTokensResponse response;
      return latchkey::FromGrpcStatus(
          stub.ListTokens(&context, request, &response));
    }
    v1::GetTokenRequest request;
    request.set_id(id_);
    v1::Token response;
    return latchkey::FromGrpcStatus(
        stub.GetToken(&context, request, &response));
  }

  std::string good_;
  std::string id_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(ReloadE2eTest, NoCallFailsBecauseOfAReloadUnderLoad) {
  const auto broker = Start();
  good_ = ReadFile(broker->config_file());
  channel_ = ProvisionerChannel(*broker);
  id_ = IdOf(IssueTicket(*broker, "worker-load"));
  const auto stub = v1::TokenBroker::NewStub(channel_);
  OfferedLoad load(
      kCallsPerSecond, [&](int number) { return CallOfMix(*stub, number); },
      // So that calls may take a quarter of a second.
      /*threads=*/128);
  size_t rounds = 0;
  for (; rounds < kRounds || load.seconds() < kBestSeconds; ++rounds) {
    Put(*broker, R"(["worker-*", "more-*"])");
    ASSERT_TRUE(Reload(*broker, "policy reloaded"));
    EXPECT_THAT(MayIssue("more-1"), IsOk());
    Put(*broker, R"(["NO NAME"])");
    ASSERT_TRUE(Reload(*broker, "policy not reloaded"));
    EXPECT_THAT(MayIssue("more-1"), IsOk()) << "the old policy stays";
    Put(*broker, R"(["worker-*"])");
    ASSERT_TRUE(Reload(*broker, "policy reloaded"));
    EXPECT_THAT(MayIssue("more-1"), ReasonIs(reason::kPolicyDenied));
  }
  const double best = load.best_rate(kBestSeconds);
  // Nobody asks from here on: the file is looked at.
  Put(*broker, R"(["worker-*", "last-*"])");
  EXPECT_TRUE(WaitUntil([&] { return MayIssue("last-1").ok(); }));
  Put(*broker, "[");
  const size_t refused = rounds + 1;
  EXPECT_TRUE(WaitUntil(
      [&] { return Logged(*broker, "policy not reloaded") == refused; }));
  EXPECT_THAT(MayIssue("last-1"), IsOk());

  const std::vector<absl::Status> failures = load.End();
  std::cout << fmt::format(
      "{} calls, {:.0f} a second, {:.0f} in the best {} s of reloads\n",
      load.calls(), load.rate(), best, kBestSeconds);
  EXPECT_TRUE(failures.empty())
      << failures.size() << " failed, such as " << failures.front();
  // The load was what it is called. All the time only where the machine has
  // nothing else to do: whoever shares it is given half.
  EXPECT_GE(best, 0.9 * kCallsPerSecond);
  EXPECT_GE(load.rate(), kCallsPerSecond / 2);
  const std::string metrics = HttpGet(broker->metrics_port(), "/metrics");
  EXPECT_THAT(
      metrics,
      HasSubstr(fmt::format(
          "latchkey_policy_loads_total{{outcome=\"refused\"}} {}\n", refused)));
  EXPECT_THAT(metrics, HasSubstr(fmt::format(
                           "latchkey_policy_loads_total{{outcome=\"loaded\"}} "
                           "{}\n",
                           2 * rounds + 2)));
  ExpectJsonLines(broker->log_file());
}

}  // namespace
}  // namespace latchkey_testing
