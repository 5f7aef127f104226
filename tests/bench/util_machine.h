/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_machine.h - what every benchmark needs of the machine: a clock, a processor of its own, a short pause, a way to
 * fail.
 *
 * Room: tests/bench.
 */
#ifndef BENCH_UTIL_MACHINE_H
#define BENCH_UTIL_MACHINE_H

#include <stdint.h>

/** Monotonic time in nanoseconds. */
uint64_t clock_ns(void);

/** Tells the processor that this is a spin loop. */
static inline void cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/** Takes the first two processors this process may run on. Ends the program if there is only one. */
void cpu_pick_two(int ret_cpus[2]);

/** Pins this process to one processor. Ends the program if that is not possible. */
void cpu_pin(int cpu);

/** Prints "program: text" on standard error, followed by the meaning of `err` (a negative errno value) if not 0, and
 * ends with status 1. */
_Noreturn void die(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Prints "program: text, see --help" and ends with status 2. */
_Noreturn void die_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
