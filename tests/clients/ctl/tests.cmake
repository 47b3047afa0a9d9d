latchkey_test(clients/ctl/ctl_config_test.cc DEPS latchkey::ctl)
