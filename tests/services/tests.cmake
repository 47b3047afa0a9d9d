foreach(name batch_issue bearer_cache broker_metrics csr_rules event_merge
             fair_queue freed_secrets peer_key rate_limiter record_index refusal_tally
             rpc_table token_broker token_messages watch_cursor work_schedule
             worker_pool)
  latchkey_test(services/${name}_test.cc DEPS latchkey::services)
endforeach()

foreach(name csr_approver join_controller misuse token_administration token_events
             token_lineage token_upkeep)
  latchkey_test(services/${name}_test.cc DEPS latchkey::services latchkey::fakes)
endforeach()

foreach(name authenticator jwks_source)
  latchkey_test(services/${name}_test.cc
    DEPS latchkey::services latchkey::fakes latchkey::jwt_testing fmt::fmt)
endforeach()

foreach(name call_frame fairness grpc_status watch_tokens_call)
  latchkey_test(services/${name}_test.cc LABEL grpc
    DEPS latchkey::services latchkey::broker_client latchkey::crypto latchkey::fakes)
endforeach()
