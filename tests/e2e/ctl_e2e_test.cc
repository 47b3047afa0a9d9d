// latchkeyctl as a real program: every command, as every kind of identity, and
// what it does while brokers die.

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "tests/e2e/bearer_test.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kOther[] = "spiffe://example.org/other";
constexpr char kOtherRule[] = R"(  - name: others
    provisioners:
      - spiffe_id: spiffe://example.org/other
    allow:
      node_names: ["worker-*"]
)";
constexpr char kSelfTests[] = R"(policy_tests:
  - name: workers only
    identity: {spiffe_id: spiffe://example.org/autoscaler}
    request: {node_name: control-1}
    expect: deny
)";

class CtlE2eTest : public BearerTest {
 protected:
  std::unique_ptr<BrokerProcess> Start(int port = 0) {
    return StartBrokerForBearers(
        {.more_policy = kOtherRule,
         .more_config =
             fmt::format("audit:\n  file: {}\n{}", audit_, kSelfTests),
         .log_level = "info",
         .provisioner_port = port});
  }
  // latchkeyctl.yaml with a context for each kind of identity.
  std::string Contexts(const BrokerProcess& broker) {
    // Another case may have made it: they share the cluster.
    cluster().Run({"kubectl", "create", "serviceaccount", "scaler"});
    std::string text = "contexts:\n";
    const auto add = [&](const std::string& name, const std::string& identity) {
      text += fmt::format(
          "  - name: {}\n    broker: {{endpoint: \"{}\", ca_file: {}, "
          "node_endpoint: \"{}\"}}\n    identity: {{{}}}\n",
          name, broker.provisioner_endpoint(), pki().ca_file(),
          broker.node_endpoint(), identity);
    };
    const auto certificate = [&](const std::string& name,
                                 const std::string& who) {
      const IdentityFiles files = pki().Save(name, pki().Client(who));
      return fmt::format("certificate_file: {}, private_key_file: {}",
                         files.certificate, files.private_key);
    };
    add("certificate", certificate("autoscaler", kAutoscaler));
    add("other", certificate("other", kOther));
    add("service-account",
        "token_file: " + dir_.Write("sa", TokenOf("scaler") + "\n"));
    add("jwt", "token_file: " +
                   dir_.Write("jwt", JwtOf(old_key_, {.issuer = "file"})));
    return dir_.Write("latchkeyctl.yaml", text);
  }
  // Runs it as the autoscaler.
  ProgramResult Ctl(std::vector<std::string> arguments) const {
    const std::vector<std::string> program = {
        BuiltProgram("latchkeyctl"), "--config", dir_.File("latchkeyctl.yaml"),
        "--context", "certificate"};
    arguments.insert(arguments.begin(), program.begin(), program.end());
    return RunProgram(arguments, {}, absl::Minutes(2));
  }
  absl::StatusOr<std::unique_ptr<ChildProcess>> StartCtl(
      std::vector<std::string> arguments) const {
    const std::vector<std::string> program = {
        "setpriv",   "--pdeathsig",
        "KILL",      BuiltProgram("latchkeyctl"),
        "--config",  dir_.File("latchkeyctl.yaml"),
        "--context", "certificate"};
    arguments.insert(arguments.begin(), program.begin(), program.end());
    return ChildProcess::Start(arguments, {.stdout_path = dir_.File("out"),
                                           .stderr_path = dir_.File("err")});
  }
  std::string Out() const { return ReadFile(dir_.File("out")); }
  size_t SecretsOf(const std::string& label) {
    const auto list = Admin().List<latchkey::kubernetes::SecretList>(
        {.name_space = "kube-system",
         .label_selector = "label.latchkey.dev/" + label});
    EXPECT_THAT(list, IsOk());
    return list.ok() ? static_cast<size_t>(list->items_size()) : 0;
  }

  const TempDir dir_;
  const std::string audit_ = dir_.File("audit.log");
};

TEST_F(CtlE2eTest, EveryCommandWorksForEveryKindOfIdentity) {
  const auto broker = Start();
  const std::string config = Contexts(*broker);
  // All at once: none sees anything of another.
  struct Run {
    std::string context;
    std::string secrets;
    ProgramResult result = {};
  };
  std::vector<Run> runs;
  for (const std::string context : {"certificate", "service-account", "jwt"}) {
    runs.push_back({context, dir_.File("secrets-" + context)});
  }
  std::vector<std::jthread> threads;
  for (Run& run : runs) {
    threads.emplace_back([&run, &config] {
      run.result =
          RunProgram({"/usr/bin/python3",
                      LATCHKEY_SOURCE_DIR "/tests/e2e/every_command.py",
                      "--bin", LATCHKEY_BIN_DIR, "--config", config,
                      "--context", run.context, "--other", "other", "--node",
                      "worker-" + run.context + "-", "--secrets", run.secrets},
                     {}, absl::Minutes(3));
    });
  }
  threads.clear();
  for (const Run& run : runs) {
    SCOPED_TRACE(run.context);
    EXPECT_EQ(run.result.exit_code, 0) << run.result.out << run.result.err;
    EXPECT_THAT(run.result.out, HasSubstr("exit codes"));
    std::istringstream lines(ReadFile(run.secrets));
    for (std::string line; std::getline(lines, line);) KeepSecret(line);
  }
  SearchLater(audit_);
}

// Those that ask no broker, about the broker's own files.
TEST_F(CtlE2eTest, TheCommandsOfAnOperator) {
  auto broker = Start();
  Contexts(*broker);
  ASSERT_EQ(Ctl({"issue", "--node", "worker-operator"}).exit_code, 0);

  const std::string config = broker->config_file();
  const ProgramResult tested = Ctl({"policy", "test", config});
  EXPECT_EQ(tested.exit_code, 0) << tested.err;
  EXPECT_THAT(tested.out, HasSubstr("workers only"));
  std::string wrong = ReadFile(config);
  wrong.replace(wrong.find("expect: deny"), 12, "expect: allow");
  EXPECT_EQ(Ctl({"policy", "test", dir_.Write("wrong.yaml", wrong)}).exit_code,
            2);

  // Looked at by a JSON parser; the exit code is that of the worst finding.
  const ProgramResult doctor =
      Ctl({"doctor", "--kubeconfig", cluster().admin_kubeconfig(), "--config",
           config, "--active", "-o", "json"});
  EXPECT_EQ(doctor.exit_code, 0) << doctor.out << doctor.err;
  EXPECT_EQ(RunProgram({"/usr/bin/python3", "-c",
                        "import json,sys\n"
                        "report = json.load(open(sys.argv[1]))\n"
                        "worst = report['worst']\n"
                        "assert worst in ('ok', 'info'), report\n"
                        "assert len(report['findings']) > 5\n",
                        dir_.Write("doctor.json", doctor.out)},
                       {})
                .err,
            "");

  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const ProgramResult script = Ctl({"completion", shell});
    EXPECT_EQ(script.exit_code, 0);
    EXPECT_THAT(script.out, HasSubstr("explain")) << shell;
  }
  EXPECT_EQ(Ctl({"completion", "sh"}).exit_code, 2);
  EXPECT_THAT(Ctl({"version"}).out, StartsWith("latchkeyctl "));

  broker->Stop(SIGTERM);
  const ProgramResult proven = Ctl({"audit", "verify", audit_});
  EXPECT_EQ(proven.exit_code, 0) << proven.err;
  std::string forged = ReadFile(audit_);
  forged.replace(forged.find("worker-operator"), 6, "forger");
  EXPECT_EQ(
      Ctl({"audit", "verify", dir_.Write("forged.log", forged)}).exit_code, 3);
}

TEST_F(CtlE2eTest, ABatchOfAThousandSurvivesAKilledBrokerAndALostAnswer) {
  constexpr size_t kMachines = 1000;
  auto broker = Start();
  Contexts(*broker);
  std::string machines = "node,label\n";
  for (size_t i = 0; i < kMachines; ++i) {
    machines += fmt::format("worker-batch-{},run=ctl\n", i);
  }
  dir_.Write("machines.csv", machines);
  const std::vector<std::string> command = {
      "batch", dir_.File("machines.csv"), "--out-dir", dir_.File("seeds"), "-o",
      "json"};
  const auto batch = StartCtl(command);
  ASSERT_THAT(batch, IsOk());
  // It was doing them: this answer is lost with the broker.
  ASSERT_TRUE(WaitUntil([&] { return SecretsOf("run=ctl") >= 100; }));
  broker->Stop(SIGKILL);
  EXPECT_LT(SecretsOf("run=ctl"), kMachines) << "killed too late";
  broker = Start(broker->provisioner_port());
  EXPECT_EQ((*batch)->AwaitExit(absl::Minutes(2)), 0)
      << ReadFile(dir_.File("err"));

  const auto tickets = [&] {
    std::set<std::string> found;
    for (size_t i = 0; i < kMachines; ++i) {
      found.insert(
          ReadFile(dir_.File(fmt::format("seeds/worker-batch-{}", i))));
    }
    return found;
  };
  const std::set<std::string> first = tickets();
  EXPECT_EQ(first.size(), kMachines);
  EXPECT_EQ(SecretsOf("run=ctl"), kMachines);
  // As if none of it had reached the disk.
  for (size_t i = 0; i < kMachines; ++i) {
    std::filesystem::remove(dir_.File(fmt::format("seeds/worker-batch-{}", i)));
  }
  const ProgramResult again = Ctl(command);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(tickets(), first);
  EXPECT_EQ(SecretsOf("run=ctl"), kMachines);
  KeepSecret(first.begin()->substr(11, 32));
}

TEST_F(CtlE2eTest, AWatchGoesOnOverARestartOfItsBroker) {
  auto broker = Start();
  Contexts(*broker);
  const auto watch =
      StartCtl({"watch", "-o", "name", "--node", "worker-restart-*",
                "--cursor-file", dir_.File("cursor")});
  ASSERT_THAT(watch, IsOk());
  ASSERT_TRUE(
      WaitUntil([&] { return std::filesystem::exists(dir_.File("cursor")); }));
  std::vector<std::string> expected;
  const auto issue = [&] {
    const std::string ticket =
        IssueTicket(*broker, fmt::format("worker-restart-{}", expected.size()));
    expected.push_back(IdOf(ticket));
  };
  const auto heard = [&] {
    std::vector<std::string> ids;
    std::istringstream lines(Out());
    for (std::string id; lines >> id;) ids.push_back(id);
    return ids;
  };
  const auto all_heard = [&] { return heard().size() >= expected.size(); };
  // A broker that is back is noticed: the watch waits for no minute.
  constexpr absl::Duration kSoon = absl::Seconds(20);
  for (int restart = 0; restart < 3; ++restart) {
    issue();
    // Once it is killed with news under way.
    if (restart != 1) {
      EXPECT_TRUE(WaitUntil(all_heard, kSoon));
    }
    issue();
    broker->Stop(restart == 0 ? SIGTERM : SIGKILL);
    broker = Start(broker->provisioner_port());
  }
  issue();
  EXPECT_TRUE(WaitUntil(all_heard, kSoon));
  std::vector<std::string> ids = heard();
  std::sort(ids.begin(), ids.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(ids, expected);
  EXPECT_THAT(
      ReadFile(dir_.File("err")),
      AllOf(HasSubstr("the connection broke"), HasSubstr("connected again"),
            ::testing::Not(HasSubstr("missing"))));
}

}  // namespace
}  // namespace latchkey_testing
