foreach(name identity policy)
  latchkey_test(policy/${name}_test.cc DEPS latchkey::policy)
endforeach()
latchkey_test(policy/jwt_identity_test.cc
  DEPS latchkey::policy latchkey::jwt_testing fmt::fmt)
