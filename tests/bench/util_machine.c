/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_machine.c - what every benchmark needs of the machine: a clock, a processor of its own, a short pause, a way to
 * fail.
 *
 * Room: tests/bench.
 */
#include "util_machine.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void cpu_pick_two(int ret_cpus[2])
{
    cpu_set_t allowed;
    unsigned found = 0;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        die(-errno, "cannot find out which processors are allowed");
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
        if (CPU_ISSET(cpu, &allowed))
            ret_cpus[found++] = (int)cpu;
    if (found < 2)
        die(0, "one processor only: the two sides need one each (see nproc, taskset)");
}

void cpu_pin(int cpu)
{
    cpu_set_t only;

    CPU_ZERO(&only);
    CPU_SET((size_t)cpu, &only);
    if (sched_setaffinity(0, sizeof(only), &only) < 0)
        die(-errno, "cannot pin to processor %d (see nproc, taskset)", cpu);
}

__attribute__((format(printf, 1, 0))) static void complain(const char *format, va_list arguments)
{
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, arguments);
}

void die(int err, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    if (err < 0)
        fprintf(stderr, ": %s", strerror(-err));
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

void die_usage(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    fprintf(stderr, ", see --help\n");
    exit(2);
}
