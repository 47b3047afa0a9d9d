// What is in memory that is freed: no secret, on the ways on which our code
// makes or copies one. A program of its own, as it replaces operator delete.

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>

#include <gmock/gmock.h>

#include "core/secret_string.h"
#include "crypto/random.h"
#include "services/token_broker.h"
#include "storage/memory_token_store.h"
#include "storage/token_secret.h"
#include "tests/storage/records.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {
namespace {

// Looked for in each block that this thread frees, while it is not empty.
thread_local std::string_view t_needle;
thread_local int t_found = 0;

void Free(void* memory) noexcept {
  if (memory != nullptr && !t_needle.empty()) {
    const std::string_view block(static_cast<const char*>(memory),
                                 malloc_usable_size(memory));
    if (block.find(t_needle) != std::string_view::npos) ++t_found;
  }
  std::free(memory);
}

void* Allocate(size_t size) {
  // What an earlier owner left there is not the next one's.
  void* memory = std::calloc(1, size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace
}  // namespace latchkey_testing

void* operator new(size_t size) { return latchkey_testing::Allocate(size); }
void* operator new[](size_t size) { return latchkey_testing::Allocate(size); }
void operator delete(void* memory) noexcept { latchkey_testing::Free(memory); }
void operator delete[](void* memory) noexcept {
  latchkey_testing::Free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  latchkey_testing::Free(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  latchkey_testing::Free(memory);
}

namespace latchkey_testing {
namespace {

using latchkey::Delivery;
using latchkey::DeriveBase36;
using latchkey::SecretString;

// In how many blocks `secret` is left when `action` is over.
template <typename Action>
int LeftOf(std::string_view secret, Action action) {
  t_needle = secret;
  t_found = 0;
  action();
  t_needle = {};
  return t_found;
}

// Longer than what a string keeps inside itself.
constexpr std::string_view kSecret = "s3cr3ts3cr3ts3cr";
constexpr std::string_view kSalt = "0123456789abcdefghijklmnopqrstuv";

TEST(FreedSecretsTest, ACopyThatIsNotWipedIsFound) {
  EXPECT_EQ(LeftOf(kSecret, [] { const std::string copy(kSecret); }), 1);
  EXPECT_EQ(LeftOf(kSecret, [] { const SecretString copy(kSecret); }), 0);
}

TEST(FreedSecretsTest, WhatIsDerivedIsWiped) {
  const auto derive = [] { return DeriveBase36("d", {"part"}, 32); };
  const SecretString derived = derive();
  EXPECT_EQ(LeftOf(derived.Reveal(), [&] { derive(); }), 0);
}

TEST(FreedSecretsTest, WhatIsReadOfARecordIsWiped) {
  latchkey::TokenRecord record = IssuedRecord();
  record.secret = SecretString(kSecret);
  record.ticket_salt = SecretString(kSalt);
  latchkey::kubernetes::Secret secret;
  latchkey::WriteTokenSecret(record, secret);
  secret.mutable_metadata()->set_name(record.id.SecretName());
  // The Secret itself outlives the reading.
  const auto read = [&] {
    EXPECT_THAT(latchkey::ReadWithoutOrigin(secret), IsOk());
  };
  EXPECT_EQ(LeftOf(kSecret, read), 0);
  EXPECT_EQ(LeftOf(kSalt, read), 0);
}

TEST(FreedSecretsTest, WhatATicketIsMadeOfIsWiped) {
  const latchkey::Identity caller = {
      .name = "spiffe://e/autoscaler",
      .attributes = {{"spiffe_id", {"spiffe://e/autoscaler"}}}};
  FakeClock clock;
  latchkey::MemoryTokenStore store(clock);
  latchkey::LivePolicy policy(latchkey::Policy(
      {{.name = "workers",
        .provisioners = {{{{"spiffe_id", "spiffe://e/autoscaler"}}}},
        .node_names = {"worker-*"}}}));
  latchkey::NoAuditLog audit;
  latchkey::MisuseGuard misuse(store, policy, audit, clock);
  latchkey::RecordIndex index;
  latchkey::TokenBroker broker({}, store, policy, misuse, index, clock);

  constexpr std::string_view kRequestId = "request-0123456789-0123456789";
  SecretString ticket;
  const auto issue = [&] {
    const auto issued =
        broker.Issue(caller, {.scope = {.node_name = "worker-1"},
                              .request_id = SecretString(kRequestId)});
    ASSERT_THAT(issued, IsOk());
    ticket = issued->ticket->text();
  };
  EXPECT_EQ(LeftOf(kRequestId, issue), 0);
  // The same ticket again, now that it is known.
  const SecretString first = ticket;
  EXPECT_EQ(LeftOf(first.Reveal(), issue), 0);
  EXPECT_EQ(LeftOf(first.Reveal().substr(11, 32), issue), 0);
  EXPECT_EQ(ticket.Reveal(), first.Reveal());
}

}  // namespace
}  // namespace latchkey_testing
