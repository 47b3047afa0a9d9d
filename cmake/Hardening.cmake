# What makes a memory error in the programs a crash instead of a foothold. For
# everything that is compiled, so that what is tested is what is shipped.
# docs/threat-model.md says what each is for; tests/hardening_test.sh reads the
# programs.
include(CheckPIESupported)
check_pie_supported()

add_compile_options(-fstack-protector-strong -fstack-clash-protection)
# Control-flow enforcement. clang only warns of another processor's flag, so that
# asking the compiler which it knows would not tell.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  add_compile_options(-fcf-protection=full)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  add_compile_options(-mbranch-protection=standard)
endif()

add_compile_definitions(_GLIBCXX_ASSERTIONS)
add_link_options(LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack)

# It works by what the optimiser knows of sizes, and sanitizers do it themselves.
if(NOT LATCHKEY_BUILD_FUZZ AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
