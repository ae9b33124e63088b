# Compiler options every target of ours is built with. Sanitizers come from the presets: FB_SANITIZE=address,undefined | thread.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(FB_SANITIZE "" CACHE STRING "sanitizers, as -fsanitize= takes them")
option(FB_FUZZ "build the libFuzzer targets (clang only)" OFF)
option(FB_MARKS "note which decisions of the standards tests reach (proto/rule.hpp)" OFF)

find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(fb_options INTERFACE)
target_compile_options(fb_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
    -Wnon-virtual-dtor -Woverloaded-virtual -Werror=return-type -Werror=switch -fno-omit-frame-pointer)
# At -O2 g++ 12 takes the optional members of coroutine frames and variants for uninitialised: false alarms only.
target_compile_options(fb_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
if(FB_MARKS)
    add_compile_definitions(FB_MARKS)
endif()
if(FB_SANITIZE)
    add_compile_options(-fsanitize=${FB_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${FB_SANITIZE})
endif()
if(FB_SANITIZE STREQUAL "thread")
    add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>) # Asio's fences, which are not what orders its threads
    link_libraries($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:$<TARGET_OBJECTS:fb_tsan>>)
    add_library(fb_tsan OBJECT ${CMAKE_SOURCE_DIR}/cmake/tsan_suppressions.cpp)
endif()
if(FB_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
