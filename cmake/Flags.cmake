# SPDX-License-Identifier: BSD-3-Clause
# How every C file of the project is compiled: one interface target, vop_flags, that all others link privately.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(vop_flags INTERFACE)
target_compile_definitions(vop_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64) # VFIO's offsets begin at 2^40
target_compile_options(vop_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wcast-align=strict -Wundef -Wvla
    -Wwrite-strings -Wpointer-arith -Wformat=2 -fno-common)

if(CMAKE_C_COMPILER_ID MATCHES "Clang")
    # clang has no strict form of this warning: it goes by the alignment of the types only.
    target_compile_options(vop_flags INTERFACE -Wno-unknown-warning-option -Wcast-align)
endif()
if(VOP_WERROR)
    target_compile_options(vop_flags INTERFACE -Werror)
endif()

# vop_lto: for the library's own objects. They are optimised across files when the shared library is linked. The archive
# has machine code and what a program needs that is to be optimised together with the library: its linker takes either.
# That takes a compiler that can write both into one object.
add_library(vop_lto INTERFACE)
if(VOP_LTO)
    include(CheckCCompilerFlag)
    check_c_compiler_flag("-flto=auto -ffat-lto-objects" VOP_HAS_FAT_LTO)
    if(NOT VOP_HAS_FAT_LTO)
        message(STATUS "no link-time optimisation: ${CMAKE_C_COMPILER} has no -ffat-lto-objects")
    elseif(VOP_SANITIZE OR CMAKE_BUILD_TYPE STREQUAL "Debug")
        message(STATUS "no link-time optimisation in a build to find faults")
    else()
        target_compile_options(vop_lto INTERFACE -flto=auto -ffat-lto-objects -fno-semantic-interposition)
        target_link_options(vop_lto INTERFACE -flto=auto)
    endif()
endif()

# VOP_SANITIZE is a comma-separated list, as for -fsanitize=. A finding ends the program, so that the test fails.
if(VOP_SANITIZE)
    target_compile_options(vop_flags INTERFACE
        -fsanitize=${VOP_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(vop_flags INTERFACE -fsanitize=${VOP_SANITIZE})
    if(VOP_SANITIZE MATCHES "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
        # gcc warns that ThreadSanitizer does not understand fences. It need not: ours order a store against a load
        # only, and what one thread hands to another is ordered by acquire and release accesses (core/barrier.h).
        target_compile_options(vop_flags INTERFACE -Wno-tsan)
    endif()
endif()
