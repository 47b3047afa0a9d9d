foreach(name csr_rules work_schedule worker_pool token_broker
             token_messages batch_issue)
  latchkey_test(services/${name}_test.cc DEPS latchkey::services)
endforeach()

latchkey_test(services/grpc_status_test.cc LABEL grpc
  DEPS latchkey::services latchkey::broker_client)

foreach(name csr_approver token_upkeep token_administration token_lineage)
  latchkey_test(services/${name}_test.cc DEPS latchkey::services latchkey::fakes)
endforeach()

latchkey_test(services/bearer_cache_test.cc DEPS latchkey::services)
foreach(name authenticator jwks_source)
  latchkey_test(services/${name}_test.cc
    DEPS latchkey::services latchkey::fakes latchkey::jwt_testing fmt::fmt)
endforeach()
