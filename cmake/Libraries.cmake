# SPDX-License-Identifier: BSD-3-Clause
# Libraries that a program cannot do without.

# vop_require_library(NAME module package program option): PkgConfig::NAME, of a module of pkg-config. Where that is not
# found the user is told which package of Debian has it, and which option leaves the program out.
macro(vop_require_library NAME module package program option)
    find_package(PkgConfig QUIET)
    if(PKG_CONFIG_FOUND)
        pkg_check_modules(${NAME} QUIET IMPORTED_TARGET ${module})
    endif()
    if(NOT TARGET PkgConfig::${NAME})
        message(FATAL_ERROR "${program} needs ${module}, and pkg-config does not find it. "
            "Install it (Debian: ${package}), or build without ${program}: -D${option}=OFF")
    endif()
endmacro()
