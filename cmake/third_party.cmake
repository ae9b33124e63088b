# Asio and Beast are compiled once, here, and everybody else sees declarations only.
add_library(fb_asio STATIC EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/cmake/boost_asio.cpp)
target_compile_definitions(fb_asio PUBLIC BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
    BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_VISIBILITY)
target_link_libraries(fb_asio PUBLIC Boost::headers Threads::Threads)

# spdlog, too: see cmake/spdlog.cpp.
add_library(fb_spdlog STATIC EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/cmake/spdlog.cpp)
target_compile_definitions(fb_spdlog PUBLIC SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
target_link_libraries(fb_spdlog PUBLIC fmt::fmt Threads::Threads)

add_library(fb_rapidjson INTERFACE)
target_compile_definitions(fb_rapidjson INTERFACE RAPIDJSON_HAS_STDSTRING=1)
# RapidJSON's stack grows from a null pointer plus an offset, which clang's sanitizer reports from inlined code of ours.
target_compile_options(fb_rapidjson INTERFACE $<$<CXX_COMPILER_ID:Clang>:-fno-sanitize=pointer-overflow>)
find_path(FB_RAPIDJSON_INCLUDE rapidjson/document.h REQUIRED)
target_include_directories(fb_rapidjson SYSTEM INTERFACE ${FB_RAPIDJSON_INCLUDE})
