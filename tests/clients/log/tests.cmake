latchkey_test(clients/log/event_log_test.cc DEPS latchkey::log)
