foreach(name identity identity_matcher policy policy_decisions policy_file
             policy_self_test rule_index)
  latchkey_test(policy/${name}_test.cc DEPS latchkey::policy)
endforeach()
latchkey_test(policy/jwt_identity_test.cc
  DEPS latchkey::policy latchkey::jwt_testing fmt::fmt)
