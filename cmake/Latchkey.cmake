include(GoogleTest)
# Test programs are many and large, and it takes a fraction of the time.
find_program(MOLD mold)

# latchkey_library(<name> SOURCES... DEPS... [PRIVATE_DEPS...])
#
# One library a folder, named latchkey_<name> and always linked by its alias
# latchkey::<name>, so that a misspelt name fails at configure time. DEPS are
# the libraries whose headers ours include; PRIVATE_DEPS only our .cc files use.
function(latchkey_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  set(target latchkey_${name})
  add_library(${target} STATIC ${ARG_SOURCES})
  add_library(latchkey::${name} ALIAS ${target})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PUBLIC ${ARG_DEPS}
                        PRIVATE ${ARG_PRIVATE_DEPS} latchkey_warnings)
endfunction()

# latchkey_program(<name> SOURCES... DEPS...): a program, placed in build/<preset>/bin.
function(latchkey_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} latchkey_warnings)
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()

# latchkey_precompiled(<target>): what most tests include is read once for all of
# them, which nearly halves what they take to compile. Their flags have to be the same.
function(latchkey_precompiled target)
  target_compile_options(${target} PRIVATE -pthread)
  target_precompile_headers(${target} REUSE_FROM latchkey_test_headers)
endfunction()

# latchkey_test(<source> [LABEL label] [ALONE] DEPS...)
#
# One test program a test file, named after its path. LABEL is unit (the
# default), grpc (crosses gRPC's threads, left out under TSan) or e2e (needs
# the real control plane). An e2e program is one CTest test, since its cases
# share one control plane. It runs after the quick ones (COST), beside one other of
# its kind at most: they mostly wait, but each has a control plane. So each takes
# half of the processors that there are. One that measures times runs ALONE. The
# others are one CTest test a case.
function(latchkey_test source)
  cmake_parse_arguments(ARG "ALONE" "LABEL;TIMEOUT" "DEPS;SOURCES" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  string(REGEX REPLACE "[/.]" "_" target "${source}")
  string(REGEX REPLACE "_cc$" "" target "${target}")
  add_executable(${target} ${source} ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_DEPS} latchkey::testing
                        GTest::gmock_main latchkey_warnings)
  latchkey_precompiled(${target})
  if(MOLD)
    target_link_options(${target} PRIVATE -fuse-ld=mold)
  endif()
  if(ARG_LABEL STREQUAL "e2e")
    add_test(NAME ${target} COMMAND ${target})
    set_tests_properties(${target} PROPERTIES LABELS e2e COST -1
                         TIMEOUT ${ARG_TIMEOUT})
    if(ARG_ALONE)
      set_tests_properties(${target} PROPERTIES RUN_SERIAL ON COST -2)
    else()
      cmake_host_system_information(RESULT processors QUERY NUMBER_OF_LOGICAL_CORES)
      math(EXPR half "(${processors} + 1) / 2")
      set_tests_properties(${target} PROPERTIES PROCESSORS ${half})
    endif()
  else()
    gtest_discover_tests(${target} DISCOVERY_TIMEOUT 60
                         PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT})
  endif()
endfunction()

# latchkey_proto(<name> FILES... [GRPC] [DEPS...])
#
# Generated code of proto/FILES as latchkey::<name>; its headers are system
# headers, so that our warnings do not judge them. GRPC adds the service stubs.
function(latchkey_proto name)
  cmake_parse_arguments(ARG "GRPC" "" "FILES;DEPS" ${ARGN})
  set(target latchkey_${name})
  set(root ${PROJECT_SOURCE_DIR}/proto)
  set(out ${PROJECT_BINARY_DIR}/proto)
  file(MAKE_DIRECTORY ${out})
  set(generated)
  foreach(file ${ARG_FILES})
    string(REGEX REPLACE "\\.proto$" "" stem ${file})
    set(outputs ${out}/${stem}.pb.cc ${out}/${stem}.pb.h)
    set(command protobuf::protoc --proto_path=${root} --cpp_out=${out})
    if(ARG_GRPC)
      list(APPEND outputs ${out}/${stem}.grpc.pb.cc ${out}/${stem}.grpc.pb.h)
      list(APPEND command --grpc_out=${out}
           --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>)
    endif()
    file(GLOB_RECURSE imports CONFIGURE_DEPENDS ${root}/*.proto)
    add_custom_command(OUTPUT ${outputs} COMMAND ${command} ${root}/${file}
                       DEPENDS ${imports} VERBATIM)
    list(APPEND generated ${outputs})
  endforeach()
  add_library(${target} STATIC ${generated})
  add_library(latchkey::${name} ALIAS ${target})
  target_include_directories(${target} SYSTEM PUBLIC ${out})
  target_link_libraries(${target} PUBLIC protobuf::libprotobuf ${ARG_DEPS})
  if(ARG_GRPC)
    target_link_libraries(${target} PUBLIC gRPC::grpc++)
  endif()
endfunction()
