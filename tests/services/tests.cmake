foreach(name policy csr_rules work_schedule worker_pool token_broker csr_approver
             token_upkeep grpc_status identity)
  if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/${name}_test.cc)
    latchkey_test(services/${name}_test.cc DEPS latchkey::services)
  endif()
endforeach()
