// What a power cut would leave of the files of latchkey-join. A kill shows
// nothing of it: the kernel writes all that it has, in the end. What counts is
// the order of the calls, which strace tells.

#include <filesystem>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/dev_process.h"
#include "tests/e2e/join_test.h"
#include "tests/testing/left_out.h"

namespace latchkey_testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// The disk as it is for certain, call by call of a program.
class CertainDisk {
 public:
  // A line of `strace -f -y`, of a call that succeeded.
  void Read(const std::string& line) {
    SCOPED_TRACE(line);
    std::smatch call;
    if (std::regex_search(line, call,
                          std::regex(R"re(write\(\d+<(.*)>, )re"))) {
      synced_.erase(call[1]);
    } else if (std::regex_search(
                   line, call, std::regex(R"re(fsync\(\d+<(.*)>\) += 0$)re"))) {
      synced_.insert(call[1]);
      unsynced_names_.erase(call[1]);
    } else if (std::regex_search(
                   line, call,
                   std::regex(R"re(mkdir.*"(.*)", \d+\) += 0$)re"))) {
      unsynced_names_.insert(FolderOf(call[1]));
    } else if (std::regex_search(
                   line, call, std::regex(R"re(symlink.*"(.*)"\) += 0$)re"))) {
      synced_.insert(call[1]);  // a link has no content beside its name
    } else if (std::regex_search(
                   line, call,
                   std::regex(R"re(rename.*"(.*)",.*"(.*)".*\) += 0$)re"))) {
      EXPECT_THAT(synced_, Contains(call[1].str()))
          << "a name for what may not be there";
      EXPECT_THAT(unsynced_names_, IsEmpty())
          << "what comes before may come after";
      unsynced_names_.insert(FolderOf(call[2]));
      names_.push_back(std::filesystem::path(call[2].str()).filename());
    } else if (line.find("AF_INET") != std::string::npos) {
      EXPECT_THAT(unsynced_names_, IsEmpty());
      if (before_the_first_call_.empty()) before_the_first_call_ = names_;
    }
  }

  // What was put in place, in order; and what of it before anybody was called.
  const std::vector<std::string>& names() const { return names_; }
  const std::vector<std::string>& before_the_first_call() const {
    return before_the_first_call_;
  }
  // Folders that may have another content after a power cut.
  const std::set<std::string>& unsynced() const { return unsynced_names_; }

 private:
  static std::string FolderOf(const std::string& path) {
    return std::filesystem::path(path).parent_path();
  }
  std::set<std::string> synced_;
  std::set<std::string> unsynced_names_;
  std::vector<std::string> names_;
  std::vector<std::string> before_the_first_call_;
};

TEST(PowerCutTest, WhatAMachineGoesOnFromIsOnTheDiskFirst) {
  if (RunProgram({"strace", "-o", "/dev/null", "true"}, {}).exit_code != 0) {
    LATCHKEY_LEAVE_OUT("strace is not there, or may not trace");
  }
  DevProcess dev;
  Machine machine("worker-1");
  machine.UseTicket(dev.Path("ca.crt"), dev.node_endpoint(),
                    dev.Ticket("worker-1"));
  // No content of a call: keys are written.
  const ProgramResult joined =
      RunProgram({"strace", "-f", "-y", "-qq", "-s", "0", "-o",
                  machine.dir().File("calls"), "-e",
                  "trace=write,fsync,connect,/^(rename|symlink|mkdir)",
                  BuiltProgram("latchkey-join"), "--config",
                  machine.dir().File("join.yaml")},
                 {});
  ASSERT_EQ(joined.exit_code, 0) << joined.err;

  CertainDisk disk;
  std::istringstream calls(ReadFile(machine.dir().File("calls")));
  for (std::string line; std::getline(calls, line);) disk.Read(line);
  EXPECT_THAT(disk.before_the_first_call(), ElementsAre("latchkey-join.key"));
  // The link, which makes it joined, comes last.
  EXPECT_THAT(disk.names(),
              ElementsAre("latchkey-join.key", "ca.crt", "kubelet.conf",
                          StartsWith("kubelet-client-2"),
                          "kubelet-client-current.pem"));
  EXPECT_THAT(disk.unsynced(), IsEmpty());
}

}  // namespace
}  // namespace latchkey_testing
