# SPDX-License-Identifier: BSD-3-Clause
# The programs read their command lines with argp, which is a part of glibc and not of every C library (musl has none).

include(CheckSymbolExists)

# vop_require_argp(program option): stops the configuration with a word of advice where a program could not be linked.
function(vop_require_argp program option)
    check_symbol_exists(argp_parse "argp.h" VOP_HAS_ARGP)
    if(NOT VOP_HAS_ARGP)
        message(FATAL_ERROR "${program} needs argp, and this C library has none: glibc has it, musl has not. "
            "Build without ${program}: -D${option}=OFF. The library and the examples do not need it")
    endif()
endfunction()
