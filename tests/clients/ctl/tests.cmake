latchkey_test(clients/ctl/policy_command_test.cc DEPS latchkey::ctl)
latchkey_test(clients/ctl/ctl_config_test.cc DEPS latchkey::ctl)
