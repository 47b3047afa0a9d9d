// latchkeyctl doctor against the real control plane: a clean install is clean,
// each fault that is planted is found, and is gone when the commands that the
// doctor printed were run.

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include <absl/time/clock.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "clients/doctor/access_checks.h"
#include "clients/doctor/doctor.h"
#include "clients/doctor/shown_text.h"
#include "core/config_reader.h"
#include "crypto/certificate_authority.h"
#include "tests/clients/doctor/rbac_objects.h"
#include "tests/e2e/broker_process.h"
#include "tests/e2e/cluster_client.h"
#include "tests/testing/control_plane.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::Finding;
using latchkey::Findings;
using latchkey::Severity;
using latchkey::kubernetes::CertificateSigningRequestList;
using latchkey::kubernetes::SecretList;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kNodeclient[] =
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient";

// One finding, as `-o json` has it.
struct Told {
  std::string id;
  std::string severity;
  std::vector<std::string> evidence;
  std::vector<std::string> commands;
};

struct Examined {
  int exit_code = -1;
  std::string worst;
  std::vector<Told> findings;
  std::string text;

  // The ids of what is worse than info.
  std::vector<std::string> Bad() const {
    std::vector<std::string> ids;
    for (const Told& one : findings) {
      if (one.severity == "warning" || one.severity == "error") {
        ids.push_back(one.id);
      }
    }
    return ids;
  }
  // Not "ok".
  const Told* Find(const std::string& id) const {
    for (const Told& one : findings) {
      if (one.id == id && one.severity != "ok") return &one;
    }
    return nullptr;
  }
};

Examined Parse(const ProgramResult& result) {
  Examined examined{.exit_code = result.exit_code, .text = result.out};
  const auto document =
      latchkey::ConfigDocument::Parse("doctor's JSON", result.out);
  EXPECT_THAT(document, IsOk()) << result.err;
  if (!document.ok()) return examined;
  const auto root = (*document)->root();
  examined.worst = root.String("worst", "");
  for (const auto& one : root.Sections("findings")) {
    examined.findings.push_back(
        {one.String("id", ""), one.String("severity", ""),
         one.Strings("evidence"), one.Strings("commands")});
  }
  return examined;
}

// Expired tokens stay where they are: there is no token-cleaner.
class DoctorTest : public ControlPlaneTest {
 protected:
  DoctorTest() : ControlPlaneTest({.token_cleaner = false}) {}

  void SetUp() override {
    ControlPlaneTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    std::filesystem::create_symlink(ControlPlane::ProgramPath(),
                                    dir_.File("kubectl"));
    ASSERT_THAT(GrantBrokerAccess(cluster(), dir_), IsOk());
    admin_ = ClientOfKubeconfig(cluster().admin_kubeconfig());
    ASSERT_NE(admin_, nullptr);
  }

  std::map<std::string, std::string> Environment() const {
    return {{"PATH", dir_.path().string() + ":" + getenv("PATH")},
            {"HOME", dir_.path().string()},
            {"KUBECONFIG", "/nonexistent"}};
  }

  Examined Examine(std::vector<std::string> more = {},
                   std::string kubeconfig = "") {
    if (kubeconfig.empty()) kubeconfig = cluster().admin_kubeconfig();
    std::vector<std::string> command = {BuiltProgram("latchkeyctl"),
                                        "doctor",
                                        "--kubeconfig",
                                        kubeconfig,
                                        "-o",
                                        "json"};
    command.insert(command.end(), more.begin(), more.end());
    return Parse(RunProgram(command, Environment(), absl::Minutes(2)));
  }

  // As a user would, in the root of the source tree.
  void Bash(const std::string& script) {
    const ProgramResult result = RunProgram(
        {"bash", "-c", fmt::format("cd {} && {}", LATCHKEY_SOURCE_DIR, script)},
        Environment());
    ASSERT_EQ(result.exit_code, 0) << script << "\n" << result.err;
  }
  void Kubectl(const std::string& arguments) {
    Bash(fmt::format("kubectl --kubeconfig {} {}", cluster().admin_kubeconfig(),
                     arguments));
  }
  void MakeTokenSecret(const std::string& id, const std::string& more,
                       const std::string& labels = "{}") {
    const std::string file = dir_.Write(
        "secret.yaml",
        fmt::format("apiVersion: v1\nkind: Secret\n"
                    "type: bootstrap.kubernetes.io/token\n"
                    "metadata: {{name: bootstrap-token-{0}, namespace: "
                    "kube-system, labels: {2}}}\n"
                    "stringData:\n  token-id: {0}\n"
                    "  token-secret: 0123456789abcdef\n"
                    "  usage-bootstrap-authentication: \"true\"\n{1}",
                    id, more, labels));
    Kubectl("apply -f " + file);
  }
  static std::string Expiring(absl::Duration from_now) {
    return absl::FormatTime("  expiration: \"%Y-%m-%dT%H:%M:%SZ\"\n",
                            absl::Now() + from_now, absl::UTCTimeZone());
  }

  // The fault is there, and what the doctor says mends it.
  void ExpectFoundAndMended(const std::string& id,
                            const std::string& severity) {
    const Examined sick = Examine();
    const Told* found = sick.Find(id);
    ASSERT_NE(found, nullptr) << sick.text;
    EXPECT_EQ(found->severity, severity);
    EXPECT_EQ(sick.exit_code, severity == "error"     ? 3
                              : severity == "warning" ? 1
                                                      : 0);
    EXPECT_THAT(sick.text, Not(HasSubstr("0123456789abcdef")));
    ASSERT_FALSE(found->commands.empty());
    for (const std::string& command : found->commands) Bash(command);
    const Examined mended = Examine();
    EXPECT_EQ(mended.Find(id), nullptr) << mended.text;
    EXPECT_THAT(mended.Bad(), IsEmpty()) << mended.text;
    EXPECT_EQ(mended.exit_code, 0);
  }

  // What --active makes.
  std::vector<std::string> LeftBehind() {
    std::vector<std::string> names;
    const std::string mine = "app.kubernetes.io/managed-by=latchkey-doctor";
    const auto secrets = admin_->List<SecretList>({.label_selector = mine});
    for (const auto& one : secrets->items()) {
      names.push_back(one.metadata().name());
    }
    const auto csrs =
        admin_->List<CertificateSigningRequestList>({.label_selector = mine});
    for (const auto& one : csrs->items()) {
      names.push_back(one.metadata().name());
    }
    return names;
  }

  TempDir dir_;
  std::unique_ptr<latchkey::KubernetesClient> admin_;
};

TEST_F(DoctorTest, ACleanInstallIsClean) {
  const Examined passive = Examine();
  EXPECT_THAT(passive.Bad(), IsEmpty()) << passive.text;
  EXPECT_EQ(passive.exit_code, 0);
  EXPECT_NE(passive.Find("bootstrap-authentication"), nullptr);

  const Examined active = Examine({"--active"});
  EXPECT_THAT(active.Bad(), IsEmpty()) << active.text;
  EXPECT_EQ(active.exit_code, 0);
  // All of it was proved.
  EXPECT_EQ(active.worst, "ok") << active.text;
  EXPECT_THAT(LeftBehind(), IsEmpty());
}

TEST_F(DoctorTest, PeopleGetATable) {
  const ProgramResult result =
      RunProgram({BuiltProgram("latchkeyctl"), "doctor", "--kubeconfig",
                  cluster().admin_kubeconfig()},
                 Environment());
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("ok       auto-approval"));
  EXPECT_THAT(result.out, HasSubstr("0 errors, 0 warnings"));
}

TEST_F(DoctorTest, AStockApproverBindingOfOurGroup) {
  Kubectl(
      fmt::format("create clusterrolebinding stock --clusterrole={} "
                  "--group=system:bootstrappers:latchkey",
                  kNodeclient));
  ExpectFoundAndMended("auto-approval", "error");
}

TEST_F(DoctorTest, AStockApproverBindingOfAllTokensAndOthersUnderAHostileName) {
  const std::string raw = "-x $(id) 'q' \"d\" `b`\n\x1b[31m \xd1\x80";
  // No `kubectl create` takes this name, but the API server does.
  ASSERT_THAT(admin_->Create(BindingOf(raw, kNodeclient,
                                       {{"User", "somebody"},
                                        {"Group", "system:bootstrappers"},
                                        {"Group", "ops"}})),
              IsOk());
  const std::string name = latchkey::ShellWord(raw);
  ExpectFoundAndMended("auto-approval", "error");
  // The others keep what they had.
  Kubectl(fmt::format(
      "get clusterrolebinding -o jsonpath='{{.subjects[*].name}}' -- {} | "
      "grep -x 'somebody ops'",
      name));
  Kubectl("delete clusterrolebinding -- " + name);
}

TEST_F(DoctorTest, ABindingThatMakesEverybodyAnAdministrator) {
  Kubectl(
      "create clusterrolebinding open --clusterrole=cluster-admin "
      "--group=system:authenticated");
  ExpectFoundAndMended("auto-approval", "error");
}

TEST_F(DoctorTest, OurGroupWithoutItsRole) {
  Kubectl("delete clusterrolebinding latchkey:node-bootstrapper");
  ExpectFoundAndMended("token-group-rights", "error");
}

TEST_F(DoctorTest, TheBrokerWithoutItsRole) {
  Kubectl("-n kube-system delete role latchkey:broker");
  ExpectFoundAndMended("broker-rights-missing", "error");
}

TEST_F(DoctorTest, TheBrokerWithoutOneVerb) {
  Kubectl(
      "patch clusterrole latchkey:broker --type=json -p "
      R"('[{"op":"replace","path":"/rules/1/verbs","value":["get"]}]')");
  const Examined sick = Examine();
  ASSERT_NE(sick.Find("broker-rights-missing"), nullptr) << sick.text;
  EXPECT_THAT(sick.Find("broker-rights-missing")->evidence,
              ElementsAre("update certificatesigningrequests/approval"));
  ExpectFoundAndMended("broker-rights-missing", "error");
}

TEST_F(DoctorTest, TheBrokerWithTooMuch) {
  Kubectl(
      "create clusterrolebinding too-much --clusterrole=cluster-admin "
      "--serviceaccount=kube-system:latchkey --user=somebody");
  ExpectFoundAndMended("broker-rights-excess", "warning");
  Kubectl("delete clusterrolebinding too-much");
}

TEST_F(DoctorTest, AnotherAccountIsToldApart) {
  const Examined examined =
      Examine({"--broker-account", "system:serviceaccount:other:broker"});
  EXPECT_THAT(examined.Bad(), ElementsAre("broker-rights-missing"));
}

TEST_F(DoctorTest, ATokenWithoutAnEnd) {
  MakeTokenSecret("eterna", "");
  ExpectFoundAndMended("token-without-expiration", "warning");
}

TEST_F(DoctorTest, ATokenThatEndsInTheYear9999) {
  MakeTokenSecret("forevr", "  expiration: \"9999-12-31T23:59:59Z\"\n");
  ExpectFoundAndMended("token-long-lived", "warning");
}

TEST_F(DoctorTest, AForeignToken) {
  MakeTokenSecret("foreig", Expiring(absl::Hours(1)));
  ExpectFoundAndMended("token-foreign", "info");
}

TEST_F(DoctorTest, AForeignTokenThatMayReadSecrets) {
  MakeTokenSecret("reader",
                  Expiring(absl::Hours(1)) +
                      "  auth-extra-groups: system:bootstrappers:reader\n");
  EXPECT_THAT(Examine().Bad(), IsEmpty());
  Kubectl(
      "create clusterrole secret-reader --verb=get,list --resource=secrets");
  Kubectl(
      "create clusterrolebinding readers --clusterrole=secret-reader "
      "--group=system:bootstrappers:reader --user=somebody");
  ExpectFoundAndMended("token-group-excess", "warning");
  Kubectl("delete clusterrolebinding readers");
  Kubectl("delete clusterrole secret-reader");
  Kubectl("-n kube-system delete secret bootstrap-token-reader");
}

TEST_F(DoctorTest, OurGroupInARoleOfKubeSystem) {
  Kubectl("-n kube-system create role pods --verb=create --resource=pods");
  Kubectl(
      "-n kube-system create rolebinding pods --role=pods "
      "--group=system:bootstrappers:latchkey");
  ExpectFoundAndMended("token-group-excess", "error");
  Kubectl("-n kube-system delete role pods");
}

TEST_F(DoctorTest, AnyTokenThatMayApproveOrImpersonate) {
  for (const char* rule :
       {"{verbs: [impersonate], apiGroups: [\"\"], resources: [users]}",
        "{verbs: [approve], apiGroups: [certificates.k8s.io], resources: "
        "[signers]}",
        "{verbs: [bind], apiGroups: [rbac.authorization.k8s.io], resources: "
        "[clusterroles]}"}) {
    // No `kubectl create` knows all of these.
    Kubectl("apply -f " +
            dir_.Write("role.yaml",
                       fmt::format("apiVersion: rbac.authorization.k8s.io/v1\n"
                                   "kind: ClusterRole\n"
                                   "metadata: {{name: too-much}}\n"
                                   "rules: [{}]\n",
                                   rule)));
    Kubectl(
        "create clusterrolebinding too-much --clusterrole=too-much "
        "--group=system:bootstrappers");
    ExpectFoundAndMended("token-group-excess", "error");
  }
  Kubectl("delete clusterrole too-much");
}

TEST_F(DoctorTest, AnExpiredToken) {
  MakeTokenSecret("expire", Expiring(-absl::Minutes(5)));
  ExpectFoundAndMended("token-expired", "warning");
}

TEST_F(DoctorTest, ASigningToken) {
  MakeTokenSecret("signin", Expiring(absl::Hours(1)) +
                                "  usage-bootstrap-signing: \"true\"\n");
  ExpectFoundAndMended("token-signing", "info");
  Kubectl("-n kube-system delete secret bootstrap-token-signin");
}

TEST_F(DoctorTest, ATokenWithAGroupThatIsNone) {
  MakeTokenSecret("groups", Expiring(absl::Hours(1)) +
                                "  auth-extra-groups: \"system:masters\"\n");
  ExpectFoundAndMended("token-groups", "warning");
}

TEST_F(DoctorTest, AForeignTokenThatTheStockApproverLetsIn) {
  Kubectl(
      fmt::format("create clusterrolebinding pool --clusterrole={} "
                  "--group=system:bootstrappers:pool",
                  kNodeclient));
  MakeTokenSecret("stocks",
                  Expiring(absl::Hours(1)) +
                      "  auth-extra-groups: system:bootstrappers:pool\n");
  ExpectFoundAndMended("token-auto-approved", "warning");
  Kubectl("delete clusterrolebinding pool");
}

TEST_F(DoctorTest, ATokenThatOnlyClaimsToBeOurs) {
  MakeTokenSecret("altere", Expiring(absl::Hours(1)),
                  "{app.kubernetes.io/managed-by: latchkey}");
  ExpectFoundAndMended("token-altered", "warning");
}

TEST_F(DoctorTest, TheGroupsAndCertificatesOfBrokerYaml) {
  const absl::Time now = absl::Now();
  const auto ending = latchkey::CertificateAuthority::Create(
      "ending", now - absl::Hours(2400), now + absl::Hours(24 * 20));
  const std::string config = dir_.Write(
      "broker.yaml",
      fmt::format("tokens: {{group: \"system:bootstrappers:mine\"}}\n"
                  "node_api: {{certificate_file: {}}}\n",
                  dir_.Write("tls.crt", ending->certificate_pem())));
  const Examined examined = Examine({"--config", config});
  EXPECT_THAT(examined.Bad(),
              ElementsAre("token-group-rights", "certificate-expiry"))
      << examined.text;
  dir_.Write("broker.yaml", "tokens: {group: x}\n");
  EXPECT_EQ(RunProgram({BuiltProgram("latchkeyctl"), "doctor", "--kubeconfig",
                        cluster().admin_kubeconfig(), "--config", config},
                       Environment())
                .exit_code,
            2);
}

// Who may not look is told so, and sees the rest.
TEST_F(DoctorTest, TheBrokersOwnAccountSeesItsOwnRights) {
  const Examined examined = Examine({}, dir_.File("broker.kubeconfig"));
  EXPECT_THAT(examined.Bad(), ElementsAre("auto-approval-not-checked",
                                          "token-group-rights-not-checked",
                                          "token-group-excess-not-checked"))
      << examined.text;
  EXPECT_THAT(examined.text, HasSubstr("\"broker-rights\""));
  EXPECT_EQ(examined.exit_code, 1);
}

TEST_F(DoctorTest, AServerThatIsNotThereIsAnError) {
  const std::string kubeconfig = dir_.Write(
      "gone.kubeconfig",
      fmt::format(
          "clusters: [{{name: c, cluster: {{server: "
          "\"https://127.0.0.1:1\", certificate-authority: \"{}\"}}}}]\n"
          "users: [{{name: u, user: {{token: t}}}}]\n"
          "contexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n"
          "current-context: x\n",
          cluster().Path("pki/ca.crt")));
  const Examined examined = Examine({}, kubeconfig);
  EXPECT_THAT(examined.Bad(), ElementsAre("api-server-unreachable"));
  EXPECT_EQ(examined.exit_code, 3);
  EXPECT_EQ(RunProgram({BuiltProgram("latchkeyctl"), "doctor", "--kubeconfig",
                        "/nonexistent/k"},
                       Environment())
                .exit_code,
            2);
}

// Within this process, so that the clock and the token can be false.
class InProcessDoctorTest : public DoctorTest {
 protected:
  std::vector<std::string> Bad(const latchkey::Clock& clock, bool active) {
    const auto http = HttpOfKubeconfig(cluster().admin_kubeconfig());
    const latchkey::SecretString no_token;
    const latchkey::BearerLogin login = [&](const latchkey::SecretString& token)
        -> absl::StatusOr<std::unique_ptr<latchkey::KubernetesClient>> {
      std::string wrong(token.Reveal());
      std::reverse(wrong.begin() + 7, wrong.end());
      auto other = latchkey::CurlHttpClient::Create(
          {.base_url = cluster().url(),
           .ca_pem = ReadFile(cluster().Path("pki/ca.crt"))});
      if (!other.ok()) return other.status();
      return std::make_unique<latchkey::HttpKubernetesClient>(
          std::make_shared<latchkey::FixedApiAccess>(latchkey::ApiSession{
              *std::move(other), latchkey::SecretString(wrong)}));
    };
    const latchkey::Pause pause = [](absl::Duration) { return true; };
    std::vector<std::string> ids;
    for (const Finding& finding : latchkey::Examine(
             {.broker_account = latchkey::kBrokerAccount, .active = active},
             {.client = *admin_,
             .http = *http,
             .bearer_token = no_token,
             .login = login,
             .pause = pause,
             .clock = clock})) {
      if (finding.severity > Severity::kInfo) ids.push_back(finding.id);
    }
    return ids;
  }
};

class SkewedClock final : public latchkey::Clock {
 public:
  absl::Time Now() const override { return absl::Now() + absl::Minutes(10); }
};

TEST_F(InProcessDoctorTest, AClockThatIsWrong) {
  EXPECT_THAT(Bad(SkewedClock(), false), ElementsAre("clock-skew"));
}

// To the doctor, a server that takes no token is one without bootstrap tokens.
TEST_F(InProcessDoctorTest, AServerThatTakesNoBootstrapTokens) {
  EXPECT_THAT(Bad(SystemClockOfTests(), true),
              Contains("bootstrap-authentication"));
  EXPECT_THAT(LeftBehind(), IsEmpty());
}

TEST_F(DoctorTest, TheSignerIsOffAndTheDoctorInterrupted) {
  cluster().Hold("kube-controller-manager");
  ASSERT_THAT(cluster().Kill("kube-controller-manager", SIGKILL), IsOk());
  auto doctor =
      ChildProcess::Start({BuiltProgram("latchkeyctl"), "doctor", "--active",
                           "--kubeconfig", cluster().admin_kubeconfig()},
                          {.environment = Environment(),
                           .stdout_path = dir_.File("out"),
                           .stderr_path = dir_.File("out")});
  ASSERT_THAT(doctor, IsOk());
  ASSERT_TRUE(WaitUntil([&] { return !LeftBehind().empty(); }));
  (*doctor)->Signal(SIGINT);
  EXPECT_EQ((*doctor)->AwaitExit(absl::Seconds(20)), 128 + SIGINT);
  EXPECT_THAT(LeftBehind(), IsEmpty());

  const Examined sick = Examine({"--active"});
  EXPECT_THAT(sick.Bad(), ElementsAre("signer")) << sick.text;
  EXPECT_EQ(sick.exit_code, 3);
  EXPECT_THAT(LeftBehind(), IsEmpty());
  cluster().Release("kube-controller-manager");
  ASSERT_TRUE(
      WaitUntil([&] { return cluster().PidOf("kube-controller-manager").ok(); },
                absl::Seconds(30)));
  EXPECT_THAT(Examine({"--active"}).Bad(), IsEmpty());
}

}  // namespace
}  // namespace latchkey_testing
