latchkey_test(server/broker_config_test.cc DEPS latchkey::server)
latchkey_test(server/provisioner_api_test.cc LABEL grpc
  DEPS latchkey::server latchkey::broker_client latchkey::fakes)
