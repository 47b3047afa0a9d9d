foreach(name base36 base64url bootstrap_token ticket node_name secret_string
             token_scope text_time token_labels refusal config_reader
             json utf8)
  latchkey_test(core/${name}_test.cc DEPS latchkey::core)
endforeach()
