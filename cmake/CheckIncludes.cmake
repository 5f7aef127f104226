# SPDX-License-Identifier: BSD-3-Clause
# cmake -DSTAMP=file -P CheckIncludes.cmake file...
# Fails if a file includes another by "..", or by an absolute path; otherwise touches STAMP. See Rooms.cmake.

math(EXPR last "${CMAKE_ARGC} - 1")
set(after_script FALSE)
set(wrong FALSE)
foreach(i RANGE ${last})
    set(file "${CMAKE_ARGV${i}}")
    if(after_script)
        file(STRINGS "${file}" lines REGEX "^[ \t]*#[ \t]*include[ \t]*[\"<](/|\\.\\.|[^\">]*/\\.\\./)")
        foreach(line IN LISTS lines)
            message(NOTICE "${file}: error: an #include must not leave its room: ${line}")
            set(wrong TRUE)
        endforeach()
    elseif(file MATCHES "CheckIncludes\\.cmake$")
        set(after_script TRUE)
    endif()
endforeach()
if(wrong)
    message(FATAL_ERROR "Name the file from the root of lib/, as in \"core/clock.h\", if its room may see it.")
endif()
file(TOUCH "${STAMP}")
