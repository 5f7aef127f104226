# SPDX-License-Identifier: BSD-3-Clause
# Rooms and the direction of their dependencies: a wrong #include does not compile.
#
#   programs -> include/vopipc -> link -> channel -> native, wire
#   include/vopipc -> vhost -> sys, and ring through include/vopipc
#   include/vopipc -> net2009 -> ring, wire
#   wire -> pci -> sys      ring, net and all others -> core
#
# One program sees more than the public headers: vop looks at PCI devices through the room pci, and at the registers and
# memory of a board with what the headers of wire say of them.
#
# Each room is an object library. Its include path is not lib/ but a directory of its own in the build tree, which
# holds a symbolic link for each room that it may see:
#
#   build/<preset>/rooms/ring/ring -> lib/ring
#   build/<preset>/rooms/ring/core -> lib/core
#
# so "wire/wire.h" does not exist for a file in lib/ring. The only way around that, "../wire/wire.h", is refused by
# CheckIncludes.cmake, which runs before a room is compiled. tests/project/check_rooms proves both.

# vop_check_includes(target file...): no file of the target may leave its room with "..", or by an absolute path.
function(vop_check_includes target)
    set(stamp "${CMAKE_CURRENT_BINARY_DIR}/${target}.includes")
    list(TRANSFORM ARGN PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/" REGEX "^[^/]")
    add_custom_command(OUTPUT "${stamp}"
        COMMAND "${CMAKE_COMMAND}" "-DSTAMP=${stamp}" -P "${PROJECT_SOURCE_DIR}/cmake/CheckIncludes.cmake" ${ARGN}
        DEPENDS ${ARGN} "${PROJECT_SOURCE_DIR}/cmake/CheckIncludes.cmake"
        COMMENT "Checking #include lines of ${target}" VERBATIM)
    add_custom_target(${target}_includes DEPENDS "${stamp}")
    add_dependencies(${target} ${target}_includes)
endfunction()

# vop_listed(file...): sources are listed by name, and one that is in no list stops the configuration.
function(vop_listed)
    list(GET ARGN 0 first)
    get_filename_component(directory "${first}" DIRECTORY)
    file(GLOB present CONFIGURE_DEPENDS RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" "./${directory}/*.c")
    list(REMOVE_ITEM present ${ARGN})
    if(present)
        message(FATAL_ERROR "in no list of ${CMAKE_CURRENT_LIST_FILE}: ${present}")
    endif()
endfunction()

# vop_view(name ret_directory room...): a directory to include from that holds these rooms of lib/ and nothing else.
function(vop_view name ret_directory)
    set(view "${PROJECT_BINARY_DIR}/rooms/${name}")
    file(REMOVE_RECURSE "${view}")
    file(MAKE_DIRECTORY "${view}")
    foreach(room IN LISTS ARGN)
        file(CREATE_LINK "${PROJECT_SOURCE_DIR}/lib/${room}" "${view}/${room}" SYMBOLIC)
    endforeach()
    set(${ret_directory} "${view}" PARENT_SCOPE)
endfunction()

# vop_room(name SEES room... SOURCES file...): the room lib/<name>, compiled once for the shared and the static library.
function(vop_room name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SEES;SOURCES")
    vop_view(${name} view ${name} ${arg_SEES})
    list(TRANSFORM arg_SOURCES PREPEND "${name}/")
    vop_listed(${arg_SOURCES})
    file(GLOB headers CONFIGURE_DEPENDS RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" "${name}/*.h")
    add_library(vop_${name} OBJECT ${arg_SOURCES})
    target_include_directories(vop_${name} PRIVATE "${view}" "${PROJECT_SOURCE_DIR}/lib/include")
    target_compile_options(vop_${name} PRIVATE -include "${PROJECT_SOURCE_DIR}/lib/export.h")
    target_link_libraries(vop_${name} PRIVATE vop_flags vop_lto)
    vop_check_includes(vop_${name} ${arg_SOURCES} ${headers})

    set_property(GLOBAL APPEND PROPERTY VOP_ROOMS ${name})
    set_property(GLOBAL APPEND PROPERTY VOP_ROOM_SOURCES ${arg_SOURCES})
endfunction()
