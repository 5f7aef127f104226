# SPDX-License-Identifier: BSD-3-Clause
# The version is written once, in lib/include/vopipc/version.h; this reads it from there.

function(vop_read_version header ret_version)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${header}")
    set(version "")
    foreach(part MAJOR MINOR PATCH)
        file(STRINGS "${header}" line REGEX "^#define VOP_VERSION_${part} [0-9]+$")
        if(NOT line MATCHES "^#define VOP_VERSION_${part} ([0-9]+)$")
            message(FATAL_ERROR "${header} does not define VOP_VERSION_${part}")
        endif()
        list(APPEND version ${CMAKE_MATCH_1})
    endforeach()
    list(JOIN version . version)
    set(${ret_version} ${version} PARENT_SCOPE)
endfunction()
