foreach(name audit_record audit_verify file_audit_log)
  latchkey_test(audit/${name}_test.cc DEPS latchkey::audit latchkey::crypto)
endforeach()
