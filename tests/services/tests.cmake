foreach(name batch_issue bearer_cache csr_rules event_merge record_index
             token_broker token_messages watch_cursor work_schedule worker_pool)
  latchkey_test(services/${name}_test.cc DEPS latchkey::services)
endforeach()

foreach(name csr_approver token_administration token_events token_lineage
             token_upkeep)
  latchkey_test(services/${name}_test.cc DEPS latchkey::services latchkey::fakes)
endforeach()

foreach(name authenticator jwks_source)
  latchkey_test(services/${name}_test.cc
    DEPS latchkey::services latchkey::fakes latchkey::jwt_testing fmt::fmt)
endforeach()

foreach(name grpc_status watch_tokens_call)
  latchkey_test(services/${name}_test.cc LABEL grpc
    DEPS latchkey::services latchkey::broker_client)
endforeach()
