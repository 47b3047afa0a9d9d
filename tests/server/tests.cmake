latchkey_test(server/broker_config_test.cc DEPS latchkey::server)
