// latchkeyctl in the test's own process, over a FakeBrokerApi.

#ifndef LATCHKEY_TESTS_CLIENTS_CTL_CTL_TEST_H_
#define LATCHKEY_TESTS_CLIENTS_CTL_CTL_TEST_H_

#include <memory>
#include <sstream>
#include <streambuf>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "clients/ctl/run_ctl.h"
#include "crypto/certificate_authority.h"
#include "tests/clients/ctl/fake_broker_api.h"
#include "tests/clients/pace/fake_pace.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temp_dir.h"

namespace latchkey_testing {

// Takes nothing, as a disk that is full.
class FullBuffer final : public std::streambuf {};

struct CtlResult {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class CtlTest : public ::testing::Test {
 protected:
  CtlTest() {
    dir_.Write("ca.crt", latchkey::CertificateAuthority::Create(
                             "test", absl::Now() - absl::Hours(1),
                             absl::Now() + absl::Hours(1))
                             ->certificate_pem());
    WriteConfig("latchkey.example:7444");
  }

  void WriteConfig(const std::string& node_endpoint) {
    dir_.Write("ctl.yaml",
               fmt::format("broker: {{endpoint: \"b:1\", ca_file: {}, "
                           "node_endpoint: \"{}\"}}\n"
                           "identity: {{token_file: /t}}\n",
                           dir_.File("ca.crt"), node_endpoint));
  }

  CtlResult Run(std::vector<std::string> arguments,
                const std::string& input = "", bool interactive = false) {
    std::stringbuf in(input);
    return RunOn(&in, std::move(arguments), interactive);
  }

  CtlResult RunOn(std::streambuf* input, std::vector<std::string> arguments,
                  bool interactive = false) {
    std::istream in(input);
    std::ostringstream out;
    std::ostringstream err;
    FullBuffer full;
    if (output_is_full_) out.basic_ios<char>::rdbuf(&full);
    latchkey::CommandContext context{
        .in = in,
        .out = out,
        .err = err,
        .interactive = interactive,
        .clock = clock_,
        .pace = pace_,
        .connect = [this](const latchkey::CtlConfig&, absl::Duration)
            -> absl::StatusOr<std::shared_ptr<latchkey::BrokerApi>> {
          return broker_;
        }};
    if (reader_is_gone_) context.reader_is_gone = [] { return true; };
    arguments.insert(arguments.begin(), {"--config", dir_.File("ctl.yaml")});
    const int code = latchkey::RunCtl(arguments, context);
    return {code, out.str(), err.str()};
  }

  // Standard output takes nothing; because its reader is gone.
  bool output_is_full_ = false;
  bool reader_is_gone_ = false;
  TempDir dir_;
  FakeClock clock_;
  FakePace pace_{clock_};
  // Shared with the commands.
  std::shared_ptr<FakeBrokerApi> broker_ = std::make_shared<FakeBrokerApi>();
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_CLIENTS_CTL_CTL_TEST_H_
