# The build's own vocabulary. A new thing is one file and one of these lines:
#
#   rig_library(NAME sources... [LINK libs...])              a room of the house
#   rig_code_under_test(NAME sources... [LINK libs...])      a room that memory hooks look into
#   rig_test(NAME sources... [THREADS] [APART sources...] [LINK libs...] [LABELS l...])   one GoogleTest binary and test
#   rig_tls_library(NAME VERSION INCLUDE_DIR)                says which one was found, and that it is the one asked for
#   tls_backend(NAME sources... [LINK libs...])              a TLS library; defines rig::NAME_backend()
#   tls_door(NAME sources... INCLUDE dirs...)               the API of a library, interposed; rig_doors() links it
#   subject(NAME sources... [LINK libs...])                  a socket layer behind subject.h
#   guest_subject(NAME sources... LINK libs... INCLUDE dir PACKAGE name)   the same as a shared object, if dir is found
#   stress_suite(NAME)                                       stress/NAME.cc, defines rig::NAME_suite()
#   rig_fuzzer(NAME BACKENDS names... [LINK libs...])        fuzz/NAME.cc, one program per backend; see fuzz/README.md
#   suppression(NAME)                                        suppressions/NAME.supp
#   rig_test_environment(TESTS...)                           what a sanitizer's run needs; rig_test() does it by itself

include_guard(GLOBAL)

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 99)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(RIG_SANITIZE "" CACHE STRING "address (with undefined and leak), thread, fuzzer, or empty")
set_property(CACHE RIG_SANITIZE PROPERTY STRINGS "" address thread fuzzer)
option(RIG_COVERAGE "instrument for source-based coverage (clang)" OFF)
option(RIG_MEMORY_HOOKS "the lab can preempt subjects and backends between memory accesses (the command only)" OFF)
option(RIG_TOGETHER "the sources of a test are compiled together: less work from nothing, more after a small change")
option(RIG_BENCH "build the benchmarks" OFF)

set(RIG_TLS_PREFIX "" CACHE STRING "prefixes of TLS libraries to take in place of the packaged ones; see ci/tls-libs")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

# A search of CMake's remembers what it found, and would go on with it.
if(DEFINED RIG_TLS_PREFIX_SEARCHED AND NOT RIG_TLS_PREFIX STREQUAL RIG_TLS_PREFIX_SEARCHED)
  set(asked "${RIG_TLS_PREFIX}")
  set_property(CACHE RIG_TLS_PREFIX PROPERTY VALUE "${RIG_TLS_PREFIX_SEARCHED}")  # so that the directory stays usable
  message(FATAL_ERROR "this build directory has the TLS libraries of RIG_TLS_PREFIX='${RIG_TLS_PREFIX_SEARCHED}', and "
    "'${asked}' is asked for; name another directory with -B, or remove CMakeCache.txt from this one")
endif()
set(RIG_TLS_PREFIX_SEARCHED "${RIG_TLS_PREFIX}" CACHE INTERNAL "what the TLS libraries were looked for in")
foreach(prefix IN LISTS RIG_TLS_PREFIX)
  if(NOT IS_DIRECTORY "${prefix}/include")
    message(FATAL_ERROR "RIG_TLS_PREFIX names '${prefix}', which holds no library; ci/tls-libs builds one")
  endif()
endforeach()
list(PREPEND CMAKE_PREFIX_PATH ${RIG_TLS_PREFIX})

find_package(Threads REQUIRED)

# The lab is linked whole: nobody names the functions that it defines in place of libc's. See harness/lab.
set(RIG_LAB "$<LINK_LIBRARY:WHOLE_ARCHIVE,rig_lab>")

# rig_warnings is what every source is compiled with; rig_flags adds the preset's instrumentation.
add_library(rig_warnings INTERFACE)
target_include_directories(rig_warnings INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(rig_warnings INTERFACE -Wall -Wextra -Werror -Wshadow -fno-omit-frame-pointer
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>)
target_link_libraries(rig_warnings INTERFACE Threads::Threads)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(rig_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wthread-safety>)
endif()
add_library(rig_flags INTERFACE)
target_link_libraries(rig_flags INTERFACE rig_warnings)

if(RIG_SANITIZE STREQUAL "address" OR RIG_SANITIZE STREQUAL "fuzzer")
  set(sanitizer -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(RIG_SANITIZE STREQUAL "thread")
  set(sanitizer -fsanitize=thread)
elseif(NOT RIG_SANITIZE STREQUAL "")
  message(FATAL_ERROR "RIG_SANITIZE is '${RIG_SANITIZE}'; it can be address, thread, fuzzer or empty")
endif()
if(RIG_SANITIZE)
  target_compile_options(rig_flags INTERFACE ${sanitizer})
  target_link_options(rig_flags INTERFACE ${sanitizer})
endif()
if(RIG_COVERAGE)
  target_compile_options(rig_flags INTERFACE -fprofile-instr-generate -fcoverage-mapping)
  target_link_options(rig_flags INTERFACE -fprofile-instr-generate)
endif()

function(rig_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINK")
  add_library(${name} STATIC ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC rig_flags ${arg_LINK})
endfunction()

# rig_guides_fuzzers has the coverage of TARGET lead the fuzzers. Only what is tested does: edges of the lab or of the
# laws would lead them into the rig itself, and cost time.
function(rig_guides_fuzzers target)
  if(RIG_SANITIZE STREQUAL "fuzzer")
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# rig_code_under_test is a rig_library() of the layer that is tested: with memory hooks its accesses to memory are
# points of the lab's schedule.
function(rig_code_under_test name)
  rig_library(${name} ${ARGN})
  rig_guides_fuzzers(${name})
  if(RIG_MEMORY_HOOKS)
    target_compile_options(${name} PRIVATE -fsanitize=thread)
    target_link_libraries(${name} PUBLIC rig_lab_hooks)
  endif()
endfunction()

# What tests are compiled with in place of the preset's own: they are most of the build, and what they call is not in
# them.
set(RIG_TEST_OPTIMISATION -O1 -g1)
if(RIG_SANITIZE)
  set(RIG_TEST_OPTIMISATION -O0)
endif()

# With RIG_TOGETHER those of APART are compiled by themselves: their names are those of another source. A test has one
# thread, and is no test of the preset tsan then: there is nothing to see in it. THREADS says that it has
# more, or is linked with what has. One that starts a thread without that is ended with a sentence. One of many cases
# that take long is SHARDS entries of ctest, NAME.1 and on, each with its share of the cases.
function(rig_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "THREADS" "SHARDS" "APART;LINK;LABELS")
  if(NOT BUILD_TESTING OR (RIG_SANITIZE STREQUAL "thread" AND NOT arg_THREADS))
    return()
  endif()
  find_package(GTest REQUIRED)
  string(REPLACE "." "_" target "test_${name}")
  add_executable(${target} ${arg_UNPARSED_ARGUMENTS} ${arg_APART})
  if(arg_APART)
    set_source_files_properties(${arg_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD "${RIG_TOGETHER}")
  target_link_libraries(${target} PRIVATE rig_flags ${arg_LINK} GTest::gtest GTest::gtest_main)
  target_compile_options(${target} PRIVATE ${RIG_TEST_OPTIMISATION})
  if(NOT arg_THREADS)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:rig_one_thread>)
  endif()
  string(REGEX MATCH "^[^.]+" kind "${name}")
  set(entries ${name})
  if(arg_SHARDS)
    set(entries "")
    foreach(shard RANGE 1 ${arg_SHARDS})
      list(APPEND entries ${name}.${shard})
    endforeach()
  endif()
  set(index 0)
  foreach(entry IN LISTS entries)
    add_test(NAME ${entry} COMMAND ${target})
    set_tests_properties(${entry} PROPERTIES LABELS "${kind};${arg_LABELS}")
    if(arg_SHARDS)
      set_tests_properties(${entry} PROPERTIES
        ENVIRONMENT "GTEST_TOTAL_SHARDS=${arg_SHARDS};GTEST_SHARD_INDEX=${index}")
      math(EXPR index "${index} + 1")
    endif()
    rig_test_environment(${entry})
  endforeach()
endfunction()

# The options of the sanitizers, as ENVIRONMENT_MODIFICATION of a test: where the assembled suppressions are, and checks
# that are off by default. The libraries of the system are not instrumented, so their functions have names only with a
# symbolizer. `suppression()` fills the files; an empty one is in order.
set(RIG_SUPPRESSIONS_DIR "${CMAKE_BINARY_DIR}/suppressions")
set(RIG_TEST_ENVIRONMENT "")
if(RIG_SANITIZE)
  find_program(RIG_SYMBOLIZER NAMES llvm-symbolizer-19 llvm-symbolizer)
  set(symbolizer "")
  if(RIG_SYMBOLIZER)
    set(symbolizer ":external_symbolizer_path=${RIG_SYMBOLIZER}")
  endif()
  foreach(tool IN ITEMS lsan tsan ubsan)
    string(TOUPPER "${tool}" variable)
    set(${tool}_options "${variable}_OPTIONS=set:suppressions=${RIG_SUPPRESSIONS_DIR}/${tool}.supp${symbolizer}")
  endforeach()
  set(RIG_TEST_ENVIRONMENT
    "ASAN_OPTIONS=set:detect_leaks=1:detect_stack_use_after_return=1:strict_init_order=1${symbolizer}"
    "${lsan_options}:print_suppressions=0"
    "${tsan_options}:second_deadlock_stack=1:atexit_sleep_ms=0:print_suppressions=0"
    "${ubsan_options}:print_stacktrace=1")
endif()

function(rig_test_environment)
  if(RIG_TEST_ENVIRONMENT)
    set_property(TEST ${ARGN} APPEND PROPERTY ENVIRONMENT_MODIFICATION "${RIG_TEST_ENVIRONMENT}")
  endif()
endfunction()

# rig_stress_tests registers the quick matrix with ctest, one test per case of PROGRAM. gtest_discover_tests would keep
# only the first of several labels, so that tlsrig writes the lines itself.
function(rig_stress_tests program)
  set(cases "${CMAKE_CURRENT_BINARY_DIR}/stress_cases.cmake")
  add_custom_command(OUTPUT "${cases}"
    COMMAND tlsrig list cases --matrix quick --ctest "$<TARGET_FILE:${program}>" --output "${cases}"
    DEPENDS tlsrig VERBATIM)
  add_custom_target(stress_cases ALL DEPENDS "${cases}")
  set(include "${CMAKE_CURRENT_BINARY_DIR}/stress_tests.cmake")
  file(CONFIGURE OUTPUT "${include}" @ONLY CONTENT [[
set(RIG_TEST_ENVIRONMENT "@RIG_TEST_ENVIRONMENT@")
if(EXISTS "@cases@")
  include("@cases@")
else()
  add_test(stress.not_built not_built)
endif()
]])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${include}")
endfunction()

# suppression adds suppressions/NAME.supp to the file of the tool that its header names.
function(suppression name)
  set(fragment "${CMAKE_CURRENT_SOURCE_DIR}/${name}.supp")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${fragment}")
  file(READ "${fragment}" text)
  if(NOT text MATCHES "# tool: (lsan|tsan|ubsan)\n")
    message(FATAL_ERROR "${fragment} names no tool: the line '# tool: lsan', tsan or ubsan is missing")
  endif()
  set_property(GLOBAL APPEND_STRING PROPERTY RIG_SUPPRESSIONS_${CMAKE_MATCH_1} "${text}")
endfunction()

# rig_write_suppressions writes the file of each tool, after the last suppression().
function(rig_write_suppressions)
  foreach(tool IN ITEMS lsan tsan ubsan)
    get_property(text GLOBAL PROPERTY RIG_SUPPRESSIONS_${tool})
    file(CONFIGURE OUTPUT "${RIG_SUPPRESSIONS_DIR}/${tool}.supp" CONTENT "${text}" @ONLY)
  endforeach()
endfunction()

# rig_tls_library prints what was found of the library NAME. A prefix that has it and was passed over is an error: the
# program would run, and say nothing of the library that was meant. What is linked from a prefix has its path in the
# program (CMake's own RPATH of the build), so that it is loaded from there.
function(rig_tls_library name version include)
  cmake_path(GET include PARENT_PATH found)
  foreach(prefix IN LISTS RIG_TLS_PREFIX)
    if(IS_DIRECTORY "${prefix}/include/${name}" AND NOT "${found}" PATH_EQUAL "${prefix}")
      message(FATAL_ERROR "${name} is in ${prefix}, and was found in ${found}; remove CMakeCache.txt")
    endif()
  endforeach()
  message(STATUS "TLS library: ${name} ${version}, of ${found}")
  set_property(GLOBAL PROPERTY RIG_TLS_VERSION_${name} "${version}")
endfunction()

# tls_backend records the library; backends/CMakeLists.txt generates the list that rig::backends() returns.
function(tls_backend name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINK")
  rig_code_under_test(backend_${name} ${arg_UNPARSED_ARGUMENTS} LINK rig_engine)
  target_link_libraries(backend_${name} PRIVATE ${arg_LINK})
  set_property(GLOBAL APPEND PROPERTY RIG_BACKEND_NAMES ${name})
endfunction()

# tls_door adds the door of a library: functions of its names, in place of its own. Nobody names them, so that they are
# linked as objects; they are exported by rig_doors(). A door is linked with no library: it looks for one in the
# process. It is not instrumented, as the laws behind it are not.
function(tls_door name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "INCLUDE")
  add_library(door_${name} OBJECT ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(door_${name} PRIVATE rig_warnings)
  target_include_directories(door_${name} SYSTEM PRIVATE ${arg_INCLUDE})
  set_property(TARGET door_${name} PROPERTY RIG_EXPORTS "${CMAKE_CURRENT_SOURCE_DIR}/exports.list")
  set_property(GLOBAL APPEND PROPERTY RIG_DOORS ${name})
endfunction()

# rig_doors puts the doors of LIBRARIES into an executable and exports them, so that shared objects call them too.
function(rig_doors target)
  foreach(name IN LISTS ARGN)
    get_property(exports TARGET door_${name} PROPERTY RIG_EXPORTS)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:door_${name}>)
    target_link_options(${target} PRIVATE "LINKER:--dynamic-list=${exports}")
  endforeach()
endfunction()

# rig_generate_list writes a source from a template: a declaration and an entry for each name of a global property.
function(rig_generate_list property template target)
  get_property(names GLOBAL PROPERTY ${property})
  set(declarations "")
  set(entries "")
  foreach(name IN LISTS names)
    string(REPLACE "@name@" "${name}" declaration "${ARGV3}")
    string(REPLACE "@name@" "${name}" entry "${ARGV4}")
    string(APPEND declarations "${declaration}\n")
    string(APPEND entries "${entry}, ")
  endforeach()
  configure_file("${template}" "${target}" @ONLY)
endfunction()

# subject adds a socket layer; harness/subjects/CMakeLists.txt generates the list that rig::subjects() returns.
function(subject name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINK")
  if(arg_UNPARSED_ARGUMENTS)
    rig_code_under_test(subject_${name} ${arg_UNPARSED_ARGUMENTS} LINK rig_subject_abi)
    target_link_libraries(subject_${name} PRIVATE ${arg_LINK})
    set_property(GLOBAL APPEND PROPERTY RIG_SUBJECT_LIBRARIES subject_${name})
  endif()
  set_property(GLOBAL APPEND PROPERTY RIG_SUBJECTS ${name})
endfunction()

# guest_subject builds a layer from elsewhere as the shared object libNAME_subject.so, of which nothing is visible but
# rig_subject_entry(). It is left out where its headers are not found; `tlsrig doctor` says so, and names the package.
function(guest_subject name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "INCLUDE;PACKAGE" "LINK")
  set(path "")
  if(arg_INCLUDE)
    add_library(${name}_subject MODULE ${arg_UNPARSED_ARGUMENTS})
    target_link_libraries(${name}_subject PRIVATE rig_flags ${arg_LINK})
    target_include_directories(${name}_subject SYSTEM PRIVATE "${arg_INCLUDE}")
    set_target_properties(${name}_subject PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
    set(path "${CMAKE_CURRENT_BINARY_DIR}/lib${name}_subject.so")
  endif()
  set_property(GLOBAL APPEND PROPERTY RIG_GUEST_SUBJECTS "{\"${name}\", \"${path}\", \"${arg_PACKAGE}\"}")
endfunction()

# stress_suite adds stress/NAME.cc; stress/CMakeLists.txt generates the list that rig::suites() returns.
function(stress_suite name)
  set_property(GLOBAL APPEND PROPERTY RIG_SUITES ${name})
endfunction()
