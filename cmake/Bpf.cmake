# SPDX-License-Identifier: BSD-3-Clause
# Programs for the kernel (eBPF), embedded in ours: clang compiles them, bpftool makes a header of the object, and
# libbpf loads what is in the header. Neither needs a description of the kernel's own types.

# vop_find_bpf(ret_lacks): finds all three. Sets the list of Debian packages that are missing.
function(vop_find_bpf ret_lacks)
    set(lacks "")
    pkg_check_modules(BPF IMPORTED_TARGET GLOBAL libbpf>=1.0)
    find_program(VOP_BPF_CLANG clang)
    find_program(VOP_BPFTOOL bpftool PATHS /usr/sbin /sbin)
    if(NOT BPF_FOUND)
        list(APPEND lacks libbpf-dev)
    endif()
    if(NOT VOP_BPF_CLANG)
        list(APPEND lacks clang)
    endif()
    if(NOT VOP_BPFTOOL)
        list(APPEND lacks bpftool)
    endif()
    set(${ret_lacks} "${lacks}" PARENT_SCOPE)
endfunction()

# vop_bpf_program(target name source): the target can include <name>.skel.h, which has the program of that source.
function(vop_bpf_program target name source)
    set(directory "${CMAKE_CURRENT_BINARY_DIR}/skeleton")
    set(object "${directory}/${name}.o")
    set(skeleton "${directory}/${name}.skel.h")
    set(machine bpfel)
    if(CMAKE_C_BYTE_ORDER STREQUAL BIG_ENDIAN)
        set(machine bpfeb)
    endif()
    file(MAKE_DIRECTORY "${directory}")
    add_custom_command(OUTPUT "${object}"
        COMMAND "${VOP_BPF_CLANG}" -target ${machine} -mcpu=v3 -O2 -g -Wall -Wextra -Werror
            -idirafter "/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}" -MD -MF "${object}.d" -MT "${object}"
            -c "${CMAKE_CURRENT_SOURCE_DIR}/${source}" -o "${object}"
        DEPENDS ${source} DEPFILE "${object}.d" COMMENT "Compiling ${source} for the kernel" VERBATIM)
    add_custom_command(OUTPUT "${skeleton}"
        COMMAND "${VOP_BPFTOOL}" gen skeleton "${object}" name ${name} > "${skeleton}"
        COMMAND sed -i -e "1i /* NOLINTBEGIN: not ours */" -e "\$a /* NOLINTEND */" "${skeleton}"
        DEPENDS "${object}" COMMENT "Embedding ${source}" VERBATIM)
    target_sources(${target} PRIVATE "${skeleton}")
    target_include_directories(${target} SYSTEM PRIVATE "${directory}")
    target_link_libraries(${target} PUBLIC PkgConfig::BPF)
endfunction()
