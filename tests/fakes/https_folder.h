// Starts https_folder.py: the files of a folder over HTTPS.

#ifndef LATCHKEY_TESTS_FAKES_HTTPS_FOLDER_H_
#define LATCHKEY_TESTS_FAKES_HTTPS_FOLDER_H_

#include <memory>
#include <string>

#include <fmt/format.h>

#include "tests/e2e/test_pki.h"
#include "tests/testing/child_process.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {

class HttpsFolder {
 public:
  // With a server certificate of `pki`.
  explicit HttpsFolder(const TestPki& pki) {
    const IdentityFiles files = pki.Save("https", pki.Server());
    process_ = *ChildProcess::Start(
        {"python3",
         std::string(LATCHKEY_SOURCE_DIR) + "/tests/fakes/https_folder.py",
         files.certificate, files.private_key, folder_.path().string()},
        {.stdout_path = log_.File("port"), .stderr_path = log_.File("log")});
    WaitUntil([&] { return ReadFile(log_.File("port")).ends_with('\n'); });
  }

  const TempDir& folder() const { return folder_; }
  // Of a file of the folder.
  std::string Url(const std::string& name) const {
    return fmt::format("https://127.0.0.1:{}/{}",
                       std::stoi("0" + ReadFile(log_.File("port"))), name);
  }

 private:
  const TempDir folder_;
  const TempDir log_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_FAKES_HTTPS_FOLDER_H_
