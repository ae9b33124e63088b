# The dependency direction of ARCHITECTURE.md, in one table. A row names a module, the modules of ours it may use, then
# (after |) the third-party targets. fb_module() links exactly that, and nothing else can be included: every module
# exports an include root of its own that holds only its folder.
set(FB_LAYERS
    "proto          :                                            | Boost::headers"
    "certs          :                                            | OpenSSL::SSL OpenSSL::Crypto"
    "storage        : certs                                      | Threads::Threads"
    "storage_sqlite : storage                                    | SQLite::SQLite3"
    "storage_postgres : storage                                  | PostgreSQL::PostgreSQL"
    "storage_memory : storage                                    |"
    "storage_redo   : storage                                    | Boost::headers"
    "broker_core    : proto                                      | Boost::headers"
    "broker_auth    : broker_core proto certs                    |"
    "tls_stream     : certs                                      | fb_asio OpenSSL::SSL"
    "broker_net     : broker_core proto certs tls_stream         | fb_asio fb_spdlog"
    "fota           : storage certs                              | fb_rapidjson fb_spdlog"
    "http           : fota storage certs tls_stream              | fb_asio fb_rapidjson fb_spdlog"
    "broker_backup  : storage storage_sqlite certs               | LibArchive::LibArchive fb_rapidjson"
    "app            : proto broker_core broker_auth broker_net broker_backup tls_stream certs storage storage_sqlite storage_postgres storage_memory storage_redo fota http | fb_asio fb_rapidjson fb_spdlog CLI11::CLI11 tomlplusplus::tomlplusplus"
    "bench_fleet    : proto                                      | OpenSSL::SSL OpenSSL::Crypto fb_rapidjson"
    "bench_micro    : proto broker_core storage storage_sqlite storage_redo |"
)

function(fb_layer_row name out_uses out_third)
    foreach(row IN LISTS FB_LAYERS)
        string(REGEX MATCH "^([a-z_]+) *:([^|]*)\\|(.*)$" _ "${row}")
        if(CMAKE_MATCH_1 STREQUAL name)
            separate_arguments(uses UNIX_COMMAND "${CMAKE_MATCH_2}")
            separate_arguments(third UNIX_COMMAND "${CMAKE_MATCH_3}")
            set(${out_uses} "${uses}" PARENT_SCOPE)
            set(${out_third} "${third}" PARENT_SCOPE)
            return()
        endif()
    endforeach()
    message(FATAL_ERROR "module '${name}' has no row in cmake/layers.cmake: add one that says what it may use")
endfunction()

# An include root that holds one folder of the source tree, reached as #include "<folder>/x.hpp".
function(fb_include_root name folder out)
    set(root ${CMAKE_BINARY_DIR}/roots/${name})
    get_filename_component(parent ${root}/${folder} DIRECTORY)
    file(MAKE_DIRECTORY ${parent})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${folder} ${root}/${folder} SYMBOLIC)
    set(${out} ${root} PARENT_SCOPE)
endfunction()

function(fb_module name folder)
    fb_layer_row(${name} uses third)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
    fb_include_root(${name} ${folder} root)
    if(sources)
        add_library(${name} STATIC ${sources})
        target_link_libraries(${name} PRIVATE fb_options PUBLIC ${uses} ${third})
        target_include_directories(${name} PUBLIC ${root})
        set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ${FB_FUZZ}) # there, what the fuzz targets need
        # g++ takes twice as long to optimise what a sanitizer has instrumented, which pays where tests compute a lot.
        if(FB_SANITIZE AND NOT FB_FUZZ AND NOT name MATCHES "^(proto|broker_core)$")
            target_compile_options(${name} PRIVATE -O0)
        endif()
        # Not what is shipped. The commands of app each have their own `options`, which one file may not hold together.
        if(FB_UNITY AND FB_SANITIZE AND NOT FB_FUZZ AND NOT name STREQUAL "app")
            set_target_properties(${name} PROPERTIES UNITY_BUILD ON)
        endif()
    else()
        add_library(${name} INTERFACE)
        target_link_libraries(${name} INTERFACE ${uses} ${third})
        target_include_directories(${name} INTERFACE ${root})
    endif()
    foreach(use IN LISTS uses)
        if(NOT TARGET ${use})
            message(FATAL_ERROR "module '${name}' uses '${use}', which comes later: the layer order is wrong")
        endif()
    endforeach()
endfunction()

# One doctest program from a folder of tests; ctest runs it as one test.
function(fb_test name folder)
    if(FB_FUZZ)
        return()
    endif()
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp)
    if(NOT sources)
        return()
    endif()
    add_executable(${name} ${sources})
    target_link_libraries(${name} PRIVATE fb_options test_support ${ARGN})
    target_compile_options(${name} PRIVATE -O0) # optimising the tests themselves takes longer than running them
    set_target_properties(${name} PROPERTIES UNITY_BUILD ${FB_UNITY})
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 900)
endfunction()

# One libFuzzer target from one file (clang, preset fuzz). Then what it feeds: modules, or single files (http/range.cpp) of
# those that would take minutes to build whole.
function(fb_fuzzer name source)
    if(NOT FB_FUZZ)
        return()
    endif()
    add_executable(${name} ${source})
    foreach(part IN LISTS ARGN)
        if(part MATCHES "^(broker/[a-z]+|[a-z]+)/.*\\.cpp$")
            string(REPLACE "/" "_" module ${CMAKE_MATCH_1})
            target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/${part})
            target_include_directories(${name} PRIVATE $<TARGET_PROPERTY:${module},INTERFACE_INCLUDE_DIRECTORIES>)
        else()
            target_link_libraries(${name} PRIVATE ${part})
        endif()
    endforeach()
    target_link_libraries(${name} PRIVATE fb_options test_support_headers)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer -fprofile-instr-generate)
    # What was once a finding, and 5 s of looking for new ones.
    add_test(NAME ${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/smoke.sh $<TARGET_FILE:${name}> ${CMAKE_BINARY_DIR})
    set_tests_properties(${name} PROPERTIES FIXTURES_REQUIRED fuzz_seeds FIXTURES_SETUP fuzzed
        ENVIRONMENT "LLVM_PROFILE_FILE=${CMAKE_BINARY_DIR}/profiles/${name}.profraw")
endfunction()
