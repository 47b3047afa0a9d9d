foreach(name identity policy)
  latchkey_test(policy/${name}_test.cc DEPS latchkey::policy)
endforeach()
