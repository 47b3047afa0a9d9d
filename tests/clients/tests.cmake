latchkey_test(fakes/fake_kubernetes_client_test.cc DEPS latchkey::fakes fmt::fmt)
