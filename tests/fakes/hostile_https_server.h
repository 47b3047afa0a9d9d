// Starts hostile_https_server.py, with certificates of its own.

#ifndef LATCHKEY_TESTS_FAKES_HOSTILE_HTTPS_SERVER_H_
#define LATCHKEY_TESTS_FAKES_HOSTILE_HTTPS_SERVER_H_

#include <memory>
#include <string>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "crypto/certificate_authority.h"
#include "tests/testing/child_process.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {

// A new authority, or the end of the test program.
inline latchkey::CertificateAuthority NewAuthority() {
  const absl::Time now = absl::Now();
  auto authority = latchkey::CertificateAuthority::Create(
      "hostile", now - absl::Hours(1), now + absl::Hours(1));
  return *std::move(authority);
}

inline latchkey::IssuedIdentity IssueFor(
    const latchkey::CertificateAuthority& authority,
    latchkey::CertificateProfile profile) {
  profile.not_before = absl::Now() - absl::Hours(1);
  profile.not_after = absl::Now() + absl::Hours(1);
  return *authority.Issue(profile);
}

class HostileHttpsServer {
 public:
  struct Options {
    // The server's certificate; its key and validity are filled in.
    latchkey::CertificateProfile profile = {.common_name = "server",
                                            .ip_addresses = {"127.0.0.1"},
                                            .server_auth = true};
    bool wants_client_certificate = false;
  };

  HostileHttpsServer() : HostileHttpsServer(Options()) {}
  explicit HostileHttpsServer(const Options& options)
      : authority_(NewAuthority()) {
    const auto identity = IssueFor(authority_, options.profile);
    std::vector<std::string> command = {
        "python3",
        std::string(LATCHKEY_SOURCE_DIR) +
            "/tests/fakes/hostile_https_server.py",
        dir_.Write("tls.crt", identity.certificate_pem),
        dir_.Write("tls.key", identity.private_key_pem.Reveal())};
    if (options.wants_client_certificate) {
      command.push_back(dir_.Write("ca.crt", ca_pem()));
    }
    process_ =
        *ChildProcess::Start(command, {.stdout_path = dir_.File("port")});
    WaitUntil([&] { return ReadFile(dir_.File("port")).ends_with('\n'); });
    port_ = std::stoi("0" + ReadFile(dir_.File("port")));
  }

  const latchkey::CertificateAuthority& authority() const { return authority_; }
  const std::string& ca_pem() const { return authority_.certificate_pem(); }
  int port() const { return port_; }
  std::string url() const { return fmt::format("https://127.0.0.1:{}", port_); }
  ChildProcess& process() { return *process_; }

 private:
  const latchkey::CertificateAuthority authority_;
  const TempDir dir_;
  int port_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_FAKES_HOSTILE_HTTPS_SERVER_H_
