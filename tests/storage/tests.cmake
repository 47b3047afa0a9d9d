foreach(name token_life memory_token_store advance)
  latchkey_test(storage/${name}_test.cc DEPS latchkey::storage latchkey::crypto)
endforeach()

latchkey_test(storage/kubernetes_token_store_test.cc
  DEPS latchkey::storage latchkey::crypto latchkey::fakes)
