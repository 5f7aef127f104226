/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_count.c - the instructions that a piece of this program takes, counted with valgrind.
 *
 * Room: tests/bench.
 */
#include "util_count.h"

#include "util_machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool count_possible(const char **ret_why)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    *ret_why = "a program with a sanitizer does not run under valgrind";
    return false;
#else
    if (system("command -v valgrind >/dev/null 2>&1") == 0)
        return true;
    *ret_why = "valgrind is not installed";
    return false;
#endif
}

double count_instructions(const char *option, const char *argument)
{
    char command[512], own[256], line[256];
    double count = -1;
    ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

    if (length < 0)
        die(-errno, "cannot find this program");
    own[length] = 0;
    snprintf(command, sizeof(command),
             "exec valgrind --tool=callgrind --callgrind-out-file=/dev/null '%s' --%s %s 2>&1", own, option, argument);
    FILE *output = popen(command, "re");
    if (!output)
        die(-errno, "cannot start valgrind");
    while (fgets(line, sizeof(line), output)) {
        const char *at = strstr(line, "Collected : ");
        if (at)
            count = strtod(at + strlen("Collected : "), NULL);
    }
    if (pclose(output) != 0 || count < 0)
        die(0, "valgrind did not count: try `%s`", command);
    return count;
}
