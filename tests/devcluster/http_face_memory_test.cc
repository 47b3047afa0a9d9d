// The HTTP face when memory runs out. A program of its own, as it replaces
// operator new.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "devcluster/http_face.h"
#include "kubernetes/core.pb.h"
#include "tests/devcluster/raw_https_client.h"
#include "tests/devcluster/served_cluster.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

// Allocations of this size and more fail while it is set, on all threads but
// the test's.
std::atomic<size_t> g_too_large = SIZE_MAX;
std::atomic<int> g_failures = 0;
thread_local bool t_spared = false;

void* Allocate(size_t size) {
  if (size >= g_too_large && !t_spared) {
    ++g_failures;
    throw std::bad_alloc();
  }
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace
}  // namespace latchkey_testing

void* operator new(size_t size) { return latchkey_testing::Allocate(size); }
void* operator new[](size_t size) { return latchkey_testing::Allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace latchkey_testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class HttpFaceMemoryTest : public ::testing::Test {
 protected:
  HttpFaceMemoryTest() {
    t_spared = true;
    g_failures = 0;
  }
  ~HttpFaceMemoryTest() override { g_too_large = SIZE_MAX; }

  void Create(const std::string& name, size_t size) {
    latchkey::kubernetes::Secret secret;
    secret.mutable_metadata()->set_name(name);
    (*secret.mutable_data())["a"] = std::string(size, 'x');
    EXPECT_THAT(cluster_.api().Create(latchkey::AdminUser(), latchkey::kSecrets,
                                      "kube-public", secret),
                IsOk());
  }
  std::unique_ptr<RawHttpsClient> Connect() {
    return RawHttpsClient::Connect(cluster_.port(), cluster_.ca_pem(), &admin_);
  }

  ServedCluster cluster_;
  const latchkey::IssuedIdentity admin_ = cluster_.Admin();
};

TEST_F(HttpFaceMemoryTest, AConnectionThatCannotBeHadIsNotTheLast) {
  g_too_large = 16 << 10;  // a connection's TLS buffers are
  EXPECT_EQ(Connect(), nullptr);
  EXPECT_EQ(g_failures, 1);
  g_too_large = SIZE_MAX;

  const auto client = Connect();
  ASSERT_NE(client, nullptr);
  EXPECT_EQ(client->Exchange("GET", "/healthz").body, "ok");
}

TEST_F(HttpFaceMemoryTest, AWatchThatCannotTellAChangeEnds) {
  const auto watcher = Connect();
  watcher->Send(
      "GET /api/v1/namespaces/kube-public/secrets?watch=1 HTTP/1.1\r\n"
      "Host: x\r\n\r\n");
  watcher->ReadUntil("\r\n\r\n");
  Create("first", 1);
  EXPECT_THAT(watcher->ReadUntil("\n\r\n"), HasSubstr("first"));

  g_too_large = 200'000;
  Create("lost", 500'000);
  EXPECT_TRUE(WaitUntil([] { return g_failures > 0; }));
  g_too_large = SIZE_MAX;
  Create("later", 1);

  EXPECT_THAT(watcher->ReadUntil("\n\r\n"), Not(HasSubstr("later")));
  EXPECT_EQ(watcher->ReadToEnd(), "");
}

}  // namespace
}  // namespace latchkey_testing
