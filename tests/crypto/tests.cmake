foreach(name digest random private_key certificate_request certificate)
  latchkey_test(crypto/${name}_test.cc DEPS latchkey::core latchkey::crypto)
endforeach()
foreach(name jwk jws)
  latchkey_test(crypto/${name}_test.cc
                DEPS latchkey::core latchkey::crypto latchkey::jwt_testing fmt::fmt)
endforeach()
# These look over our shoulder through OpenSSL itself.
foreach(name certificate_authority openssl_error)
  latchkey_test(crypto/${name}_test.cc
                DEPS latchkey::core latchkey::crypto OpenSSL::Crypto)
endforeach()
foreach(name private_key certificate_request certificate openssl_error)
  target_compile_definitions(crypto_${name}_test PRIVATE
    LATCHKEY_TESTDATA="${CMAKE_CURRENT_LIST_DIR}/../testdata")
endforeach()
