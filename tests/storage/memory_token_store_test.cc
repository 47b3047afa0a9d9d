#include "storage/memory_token_store.h"

#include "tests/storage/token_store_contract.h"
#include "tests/testing/fake_clock.h"

namespace latchkey_testing {
namespace {

class MemoryFactory {
 public:
  latchkey::TokenStore& store() { return store_; }

 private:
  FakeClock clock_;
  latchkey::MemoryTokenStore store_{clock_};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, TokenStoreContract, MemoryFactory);

}  // namespace
}  // namespace latchkey_testing
