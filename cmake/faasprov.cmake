# What every folder uses: fp_library, fp_program, fp_test.
find_package(PkgConfig REQUIRED)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

option(FP_WERROR "treat warnings as errors" OFF)
option(FP_FUZZ "build the fuzzers (preset fuzz)" OFF)
set(FP_FUZZ_SECONDS 15 CACHE STRING "how long ctest runs each fuzzer")
add_custom_target(fuzzers)
add_custom_target(fp_checks) # the programs of all fp_test()
set(FP_SANITIZE "" CACHE STRING "sanitizers, e.g. address,undefined")

add_compile_definitions(_GNU_SOURCE FP_VERSION="${PROJECT_VERSION}")
add_compile_options(-Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wshadow -Wvla
                    -Wno-unused-parameter -fno-strict-aliasing -fstack-protector-strong)
add_compile_options($<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
if(FP_WERROR)
  add_compile_options(-Werror)
endif()
if(FP_SANITIZE)
  add_compile_options(-fsanitize=${FP_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FP_SANITIZE})
endif()

# fp_library(name SOURCES a.c b.c [USES lib...] [PACKAGES pkg-config-module...])
function(fp_library name)
  cmake_parse_arguments(A "" "" "SOURCES;USES;PACKAGES" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  fp_common(${name} "${A_USES}" "${A_PACKAGES}")
endfunction()

# fp_program(name SOURCES main.c [USES lib...] [PACKAGES module...])
function(fp_program name)
  cmake_parse_arguments(A "" "" "SOURCES;USES;PACKAGES" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  fp_common(${name} "${A_USES}" "${A_PACKAGES}")
endfunction()

# fp_bpf(name dir include...): dir/<name>.bpf.c as <name>.skel.h, the path of which is in <name>_skeleton, with the folders
# it includes from beside the project's root
find_program(FP_CLANG NAMES clang clang-14 clang-15 clang-16 REQUIRED)
find_program(FP_BPFTOOL bpftool PATHS /usr/sbin /sbin REQUIRED)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(FP_BPF_ARCH arm64)
else()
  set(FP_BPF_ARCH x86)
endif()
function(fp_bpf name dir)
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${dir}/${name}.bpf.c)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/${name}.skel.h)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${dir}/*.[hc] ${CMAKE_SOURCE_DIR}/agent/bpf/kernel.h
       ${CMAKE_SOURCE_DIR}/lib/schema/*.def ${CMAKE_SOURCE_DIR}/lib/schema/record.h)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${FP_CLANG} -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_${FP_BPF_ARCH} -Wall -Werror -I${CMAKE_SOURCE_DIR} ${ARGN}
            -c ${source} -o ${object}
    DEPENDS ${sources} VERBATIM)
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND sh -c "${FP_BPFTOOL} gen skeleton ${object} name ${name}_bpf > ${skeleton}.new && mv ${skeleton}.new ${skeleton}"
    DEPENDS ${object} VERBATIM)
  set(${name}_skeleton ${skeleton} PARENT_SCOPE)
endfunction()

# fp_test(name LABEL unit|golden|bpf|... SOURCES t.c [USES lib...] [PACKAGES module...]): a cmocka program
function(fp_test name)
  cmake_parse_arguments(A "" "LABEL" "SOURCES;USES;PACKAGES" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  fp_common(${name} "${A_USES}" "cmocka;${A_PACKAGES}")
  add_dependencies(fp_checks ${name})
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  # A test program exits with 77 when what it needs (privilege, BPF) is not there.
  # The longest take a minute under the sanitizers, and many where others keep the machine busy.
  set_tests_properties(${name} PROPERTIES LABELS ${A_LABEL} SKIP_RETURN_CODE 77 TIMEOUT 900)
endfunction()

# fp_fuzzer(name SOURCES f.c [USES lib...] [SEEDS dir] [DICTIONARY file]): a libFuzzer program, in the preset fuzz only.
# The test runs it for a moment; what it finds worth keeping stays in the build directory for the next time.
function(fp_fuzzer name)
  cmake_parse_arguments(A "" "SEEDS;DICTIONARY" "SOURCES;USES" ${ARGN})
  if(NOT FP_FUZZ)
    return()
  endif()
  add_executable(${name} ${A_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  fp_common(${name} "${A_USES}" "")
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers ${name})
  set(corpus ${CMAKE_BINARY_DIR}/fuzz/${name}.corpus)
  file(MAKE_DIRECTORY ${corpus})
  set(arguments -max_total_time=${FP_FUZZ_SECONDS} -timeout=10 -print_final_stats=1 ${corpus})
  if(A_SEEDS)
    list(APPEND arguments ${CMAKE_CURRENT_SOURCE_DIR}/${A_SEEDS})
  endif()
  if(A_DICTIONARY)
    list(PREPEND arguments -dict=${CMAKE_CURRENT_SOURCE_DIR}/${A_DICTIONARY})
  endif()
  add_test(NAME ${name} COMMAND ${name} ${arguments} WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 600)
endfunction()

function(fp_common name uses packages)
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/lib PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${uses})
  foreach(package ${packages})
    if(NOT TARGET PkgConfig::${package})
      pkg_check_modules(${package} REQUIRED IMPORTED_TARGET GLOBAL ${package})
    endif()
    target_link_libraries(${name} PUBLIC PkgConfig::${package})
  endforeach()
endfunction()
