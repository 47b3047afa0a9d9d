# What makes a memory error in the programs a crash instead of a foothold. For
# everything that is compiled, so that what is tested is what is shipped.
# docs/threat-model.md says what each is for; tests/hardening_test.sh reads the
# programs.
include(CheckCXXCompilerFlag)
include(CheckPIESupported)
check_pie_supported()

# Control-flow enforcement is x86's; arm64 has its own.
check_cxx_compiler_flag(-fcf-protection=full LATCHKEY_HAS_CF_PROTECTION)
check_cxx_compiler_flag(-mbranch-protection=standard LATCHKEY_HAS_BRANCH_PROTECTION)

add_compile_options(
  -fstack-protector-strong -fstack-clash-protection
  $<$<BOOL:${LATCHKEY_HAS_CF_PROTECTION}>:-fcf-protection=full>
  $<$<BOOL:${LATCHKEY_HAS_BRANCH_PROTECTION}>:-mbranch-protection=standard>)
add_compile_definitions(_GLIBCXX_ASSERTIONS)
add_link_options(LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack)

# It works by what the optimiser knows of sizes, and sanitizers do it themselves.
if(NOT LATCHKEY_BUILD_FUZZ AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
