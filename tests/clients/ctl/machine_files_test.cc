// What machines are told, run through the programs that will read it: bash, a
// YAML and a JSON parser (Python's), systemd.

#include "clients/ctl/machine_files.h"

#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/escaping.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/clients/ctl/hostile_text.h"
#include "tests/e2e/broker_process.h"
#include "tests/testing/child_process.h"
#include "tests/testing/left_out.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using latchkey_testing::HostileTexts;
using latchkey_testing::IsOk;
using latchkey_testing::ProgramResult;
using latchkey_testing::ReadFile;
using latchkey_testing::RunProgram;
using latchkey_testing::StatusIs;
using latchkey_testing::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kTicket[] =
    "lk1_abc123_0123456789abcdef0123456789abcdef_0000000";
constexpr char kToken[] = "abc123.0123456789abcdef";

v1::IssueTokenResponse Ticket(const std::string& node) {
  v1::IssueTokenResponse response;
  response.mutable_token()->set_id("abc123");
  response.mutable_token()->mutable_scope()->set_node_name(node);
  response.mutable_token()->mutable_expire_time()->set_seconds(1'800'000'000);
  response.set_ticket(kTicket);
  return response;
}

v1::IssueTokenResponse Direct(const std::string& node,
                              const std::string& text) {
  v1::IssueTokenResponse response = Ticket(node);
  response.clear_ticket();
  response.set_bootstrap_token(kToken);
  response.mutable_cluster()->add_api_servers(text);
  response.mutable_cluster()->set_certificate_authorities("CA " + text);
  return response;
}

// The fields of each document, "path<TAB>base64 of the value" a line, as
// Python's parsers see them. The documents are files named *.json or YAML; one
// process for all, since it takes a while to start.
std::vector<std::string> Parsed(std::vector<std::string> files) {
  files.insert(files.begin(), {"/usr/bin/python3", "-c", R"(
import sys, base64, json, yaml
def walk(path, value):
    if isinstance(value, dict):
        for k, v in value.items(): walk(path + '/' + str(k), v)
    elif isinstance(value, list):
        for i, v in enumerate(value): walk(path + '/' + str(i), v)
    else:
        kind = '' if isinstance(value, str) else type(value).__name__ + ':'
        print(path + '\t' + kind +
              base64.b64encode(str(value).encode('utf-8')).decode())
for file in sys.argv[1:]:
    text = open(file, encoding='utf-8', newline='').read()
    walk('', json.loads(text) if file.endswith('.json') else yaml.safe_load(text))
    print('end')
)"});
  const ProgramResult result = RunProgram(files, {});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::vector<std::string> documents;
  std::string rest = result.out;
  for (size_t end = 0; (end = rest.find("end\n")) != std::string::npos;
       rest.erase(0, end + 4)) {
    documents.push_back(rest.substr(0, end));
  }
  documents.resize(files.size() - 3);
  return documents;
}

std::string Line(const std::string& path, const std::string& value) {
  return path + "\t" + absl::Base64Escape(value) + "\n";
}

class MachineFilesTest : public ::testing::Test {
 protected:
  std::string Render(const v1::IssueTokenResponse& response,
                     std::string_view format) {
    const auto text = RenderIssued(response, format, broker_);
    EXPECT_THAT(text, IsOk());
    return text.value_or("");
  }
  // Runs a script in a folder of its own, against an image in it.
  ProgramResult Install(const std::string& script) {
    std::filesystem::remove_all(dir_.File("image"));
    std::filesystem::create_directory(dir_.File("image"));
    dir_.Write("script", script);
    return RunProgram({"bash", "-c", "cd \"$1\" && exec bash ./script", "bash",
                       dir_.path().string()},
                      {{"DESTDIR", dir_.File("image")}});
  }
  std::string Installed(const std::string& path) const {
    return ReadFile(dir_.File("image" + path));
  }
  bool Pwned() const {
    return std::filesystem::exists(dir_.File("pwned")) ||
           std::filesystem::exists(dir_.File("image/pwned"));
  }

  TempDir dir_;
  NodeBroker broker_{.endpoint = "latchkey.example:7444", .ca_pem = "PEM\n"};
};

TEST_F(MachineFilesTest, TextIsTheCredentialAloneOnALine) {
  EXPECT_EQ(Render(Ticket("w"), "text"), std::string(kTicket) + "\n");
  EXPECT_EQ(Render(Direct("w", "https://a"), "text"),
            std::string(kToken) + "\n");
}

TEST_F(MachineFilesTest, ANodeNameStaysANameInEveryForm) {
  for (const std::string& name : HostileTexts()) {
    SCOPED_TRACE(name);
    EXPECT_EQ(Install(Render(Ticket(name), "systemd")).exit_code, 0);
    EXPECT_EQ(Installed("/etc/latchkey/ticket"), std::string(kTicket) + "\n");
    const auto parsed =
        Parsed({dir_.Write("cloud-init", Render(Ticket(name), "cloud-init")),
                dir_.Write("i.json", Render(Ticket(name), "ignition")),
                dir_.File("image/etc/latchkey/join.yaml")});
    EXPECT_THAT(
        parsed[0],
        AllOf(HasSubstr(
                  Line("/write_files/0/content", std::string(kTicket) + "\n")),
              HasSubstr(Line("/write_files/0/permissions", "0600")),
              HasSubstr(Line("/write_files/3/path",
                             "/etc/systemd/system/latchkey-join.service")),
              Not(HasSubstr("/write_files/4")),
              HasSubstr(Line("/runcmd/1/3", "latchkey-join.service")),
              Not(HasSubstr("/runcmd/2"))));
    EXPECT_THAT(
        parsed[1],
        AllOf(HasSubstr(Line("/storage/files/0/path", "/etc/latchkey/ticket")),
              Not(HasSubstr("/storage/files/3"))));
    EXPECT_EQ(parsed[2], Line("/node_name", name) +
                             Line("/broker/endpoint", "latchkey.example:7444") +
                             Line("/broker/ca_file", "/etc/latchkey/ca.crt") +
                             Line("/ticket_file", "/etc/latchkey/ticket"));
    EXPECT_FALSE(Pwned());
  }
}

TEST_F(MachineFilesTest, TheBrokersWordsStayWords) {
  for (const std::string& text : HostileTexts()) {
    if (text.empty()) continue;
    SCOPED_TRACE(text);
    broker_ = {.endpoint = text, .ca_pem = text};
    v1::IssueTokenResponse ticket = Ticket("worker-1");
    ticket.set_ticket(text);
    EXPECT_EQ(Install(Render(ticket, "systemd")).exit_code, 0);
    EXPECT_THAT(Installed("/etc/latchkey/ticket"), HasSubstr(text));
    EXPECT_THAT(Installed("/etc/latchkey/ca.crt"), HasSubstr(text));
    const std::string join =
        dir_.Write("join.yaml", Installed("/etc/latchkey/join.yaml"));

    const v1::IssueTokenResponse direct = Direct(text, text);
    EXPECT_EQ(Install(Render(direct, "kubeadm")).exit_code, 0);
    const auto parsed =
        Parsed({join, dir_.File("image/etc/latchkey/kubeadm-join.yaml"),
                dir_.File("image/etc/latchkey/discovery.conf"),
                dir_.Write("cloud-init", Render(ticket, "cloud-init")),
                dir_.Write("i.json", Render(ticket, "ignition"))});
    EXPECT_THAT(parsed[0], HasSubstr(Line("/broker/endpoint", text)));
    EXPECT_THAT(parsed[1],
                AllOf(HasSubstr(Line("/nodeRegistration/name", text)),
                      HasSubstr(Line("/discovery/tlsBootstrapToken", kToken))));
    EXPECT_THAT(parsed[2], HasSubstr(Line("/clusters/0/cluster/server", text)));
    EXPECT_THAT(parsed[3], HasSubstr("/write_files/0/content\t"));
    EXPECT_THAT(parsed[4], HasSubstr("/storage/files/0/path\t"));
    EXPECT_FALSE(Pwned());
  }
}

// The script's files are what the others hold; and whatever is in them, the
// unit is the one that systemd was asked about below.
TEST_F(MachineFilesTest, EveryFormHoldsTheSameFilesToTheLetter) {
  const std::string unit = "/etc/systemd/system/latchkey-join.service";
  ASSERT_EQ(Install(Render(Ticket("worker-1"), "systemd")).exit_code, 0);
  const std::string plain_unit = Installed(unit);
  std::vector<std::string> documents;
  std::vector<std::pair<std::string, std::string>> wanted;
  const auto add = [&](const std::string& name, const std::string& document,
                       const std::string& lines) {
    documents.push_back(
        dir_.Write(fmt::format("{}-{}", documents.size(), name), document));
    wanted.emplace_back(name, lines);
  };
  for (const std::string& text : HostileTexts()) {
    if (text.empty()) continue;
    broker_ = {.endpoint = text, .ca_pem = text};
    v1::IssueTokenResponse ticket = Ticket(text);
    ticket.set_ticket(text);
    for (const auto& response : {ticket, Direct(text, text)}) {
      SCOPED_TRACE(text);
      ASSERT_EQ(Install(Render(response, "systemd")).exit_code, 0);
      EXPECT_EQ(Installed(unit), plain_unit);
      const std::string secret = response.ticket().empty()
                                     ? "/etc/latchkey/token"
                                     : "/etc/latchkey/ticket";
      std::string cloud;
      std::string ignition;
      int number = 0;
      for (const std::string& path :
           {secret, std::string("/etc/latchkey/ca.crt"),
            std::string("/etc/latchkey/join.yaml")}) {
        cloud += Line(fmt::format("/write_files/{}/content", number),
                      Installed(path));
        ignition +=
            Line(fmt::format("/storage/files/{}/contents/source", number++),
                 "data:;base64," + absl::Base64Escape(Installed(path)));
      }
      add("cloud-init", Render(response, "cloud-init"),
          cloud + Line("/write_files/3/content", plain_unit));
      add("ignition.json", Render(response, "ignition"),
          ignition + Line("/systemd/units/0/contents", plain_unit));
      add("join", Installed("/etc/latchkey/join.yaml"),
          Line("/node_name", text) +
              (response.ticket().empty()
                   ? Line("/direct/api_server", text) +
                         Line("/direct/ca_file", "/etc/latchkey/ca.crt") +
                         Line("/direct/token_file", secret)
                   : Line("/broker/endpoint", text) +
                         Line("/broker/ca_file", "/etc/latchkey/ca.crt") +
                         Line("/ticket_file", secret)));
    }
  }
  EXPECT_FALSE(Pwned());
  const std::vector<std::string> parsed = Parsed(documents);
  for (size_t i = 0; i < documents.size(); ++i) {
    SCOPED_TRACE(documents[i]);
    if (wanted[i].first == "join") {
      EXPECT_EQ(parsed[i], wanted[i].second);
      continue;
    }
    std::istringstream lines(wanted[i].second);
    for (std::string line; std::getline(lines, line);) {
      EXPECT_THAT(parsed[i], HasSubstr(line + "\n"));
    }
  }
}

TEST_F(MachineFilesTest, EnvHoldsADirectTokensValuesToTheLetter) {
  for (const std::string& text : HostileTexts()) {
    if (text.empty()) continue;
    SCOPED_TRACE(text);
    dir_.Write("env", Render(Direct(text, text), "env"));
    const ProgramResult result = RunProgram(
        {"bash", "-c",
         "cd \"$1\" && . ./env && printf '%s|%s|%s|%s' \"$LATCHKEY_NODE_NAME\" "
         "\"$LATCHKEY_API_SERVER\" \"$LATCHKEY_CLUSTER_CA\" "
         "\"$LATCHKEY_BOOTSTRAP_TOKEN\"",
         "bash", dir_.path().string()},
        {});
    EXPECT_EQ(result.out,
              fmt::format("{}|{}|CA {}|{}", text, text, text, kToken));
    EXPECT_EQ(result.err, "");
    EXPECT_FALSE(Pwned());
  }
}

TEST_F(MachineFilesTest, EnvHoldsEachValueToTheLetter) {
  for (const std::string& text : HostileTexts()) {
    SCOPED_TRACE(text);
    broker_ = {.endpoint = text, .ca_pem = text};
    v1::IssueTokenResponse response = Ticket(text);
    response.set_ticket("t" + text);
    dir_.Write("env", Render(response, "env"));
    const ProgramResult result = RunProgram(
        {"bash", "-c",
         "cd \"$1\" && . ./env && printf '%s|%s|%s|%s' \"$LATCHKEY_NODE_NAME\" "
         "\"$LATCHKEY_BROKER\" \"$LATCHKEY_BROKER_CA\" \"$LATCHKEY_TICKET\"",
         "bash", dir_.path().string()},
        {});
    EXPECT_EQ(result.out, fmt::format("{}|{}|{}|t{}", text, text, text, text));
    EXPECT_EQ(result.err, "");
    EXPECT_FALSE(Pwned());
  }
}

TEST_F(MachineFilesTest, TheSecretIsTheOwnersAlone) {
  ASSERT_EQ(Install(Render(Ticket("worker-1"), "systemd")).exit_code, 0);
  const auto mode = [this](const std::string& path) {
    return std::filesystem::status(dir_.File("image" + path)).permissions() &
           std::filesystem::perms::all;
  };
  using std::filesystem::perms;
  const perms owner = perms::owner_read | perms::owner_write;
  EXPECT_EQ(mode("/etc/latchkey/ticket"), owner);
  EXPECT_EQ(mode("/etc/latchkey/ca.crt"),
            owner | perms::group_read | perms::others_read);
  ASSERT_EQ(Install(Render(Direct("w", "https://a"), "kubeadm")).exit_code, 0);
  EXPECT_EQ(mode("/etc/latchkey/kubeadm-join.yaml"), owner);
}

// `set -x` shows what a shell runs, and strace what is executed.
TEST_F(MachineFilesTest, TheSecretIsInNoArgument) {
  dir_.Write("script", Render(Ticket("worker-1"), "systemd"));
  std::filesystem::create_directory(dir_.File("image"));
  const ProgramResult result =
      RunProgram({"strace", "-f", "-s", "4096", "-e", "trace=execve", "-v",
                  "bash", dir_.File("script")},
                 {{"DESTDIR", dir_.File("image")}});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("chmod"));
  EXPECT_THAT(result.err, Not(HasSubstr("lk1_")));
}

TEST_F(MachineFilesTest, SystemdFindsNothingWrongWithTheUnit) {
  if (RunProgram({"systemd-analyze", "--version"}, {}).exit_code != 0) {
    LATCHKEY_LEAVE_OUT("no systemd-analyze: install the package systemd");
  }
  ASSERT_EQ(Install(Render(Ticket("worker-1"), "systemd")).exit_code, 0);
  // systemd wants the program to be there.
  std::string unit = Installed("/etc/systemd/system/latchkey-join.service");
  const std::string program = "/usr/bin/latchkey-join";
  ASSERT_THAT(unit, HasSubstr(program));
  unit.replace(unit.find(program), program.size(), "/bin/true");
  const ProgramResult result =
      RunProgram({"systemd-analyze", "verify", "--man=no",
                  dir_.Write("latchkey-join.service", unit)},
                 {});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
}

TEST_F(MachineFilesTest, LatchkeyJoinReadsWhatItIsTold) {
  for (const v1::IssueTokenResponse& response :
       {Ticket("worker-1"), Direct("worker-1", "https://a")}) {
    ASSERT_EQ(Install(Render(response, "systemd")).exit_code, 0);
    const ProgramResult result =
        RunProgram({latchkey_testing::BuiltProgram("latchkey-join"), "--config",
                    dir_.File("image/etc/latchkey/join.yaml")},
                   {});
    // The files are not where it says, but it says nothing else.
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, HasSubstr("/etc/latchkey/ca.crt"));
    EXPECT_THAT(result.err, Not(HasSubstr("unknown field")));
    EXPECT_THAT(result.err, Not(HasSubstr("missing")));
  }
}

TEST_F(MachineFilesTest, WhatCannotBeMadeIsSaidBeforeAnythingIsMinted) {
  EXPECT_THAT(CheckMachineFormat("kubeadm", v1::DELIVERY_TICKET, broker_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--delivery direct")));
  EXPECT_THAT(
      CheckMachineFormat("cloud-init", v1::DELIVERY_TICKET, {}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("node_endpoint")));
  EXPECT_THAT(CheckMachineFormat("cloud-init", v1::DELIVERY_DIRECT, {}),
              IsOk());
  EXPECT_THAT(CheckMachineFormat("json", v1::DELIVERY_TICKET, {}), IsOk());
}

TEST_F(MachineFilesTest, AnAnswerThatMakesNoSenseIsAnError) {
  v1::IssueTokenResponse direct = Direct("w", "https://a");
  direct.clear_cluster();
  for (const char* format : {"cloud-init", "kubeadm", "env"}) {
    EXPECT_THAT(RenderIssued(direct, format, broker_),
                StatusIs(absl::StatusCode::kInternal, Not(HasSubstr(kToken))));
  }
  EXPECT_THAT(RenderIssued({}, "text", broker_),
              StatusIs(absl::StatusCode::kInternal));
}

}  // namespace
}  // namespace latchkey
