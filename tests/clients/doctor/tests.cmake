foreach(name access_checks active_probes broker_file cluster_bindings doctor
             local_certificates report server_checks shown_text token_checks)
  latchkey_test(clients/doctor/${name}_test.cc
                DEPS latchkey::doctor latchkey::crypto latchkey::fakes
                     latchkey::processes latchkey::storage fmt::fmt)
endforeach()
