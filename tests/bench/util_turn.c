/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_turn.c - one process gives tasks to another through shared memory, one at a time.
 *
 * Room: tests/bench.
 */
#include "util_turn.h"

#include "util_machine.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPINS 256 /* of some microseconds altogether */

/* Spins, and then lets others run between two looks: threads of a library that is measured may have to share this
 * processor, and what is waited for may be their work. */
static void wait_for(_Atomic uint32_t *word, uint32_t number)
{
    unsigned spins = 0;

    while (atomic_load_explicit(word, memory_order_acquire) != number) {
        cpu_pause();
        if (spins < SPINS)
            spins++;
        else
            sched_yield();
    }
}

void turn_give(struct turn *t)
{
    atomic_fetch_add_explicit(&t->given, 1, memory_order_release);
}

void turn_join(struct turn *t)
{
    wait_for(&t->done, atomic_load_explicit(&t->given, memory_order_relaxed));
}

void turn_take(struct turn *t, uint32_t number)
{
    wait_for(&t->given, number);
}

void turn_finish(struct turn *t, uint32_t number)
{
    atomic_store_explicit(&t->done, number, memory_order_release);
}

void *shared_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        die(-errno, "cannot share %zu bytes", size);
    return memory;
}

static const char *directory_to_remove;

static void child_has_died(int signal_number)
{
    static const char text[] = "the other process has ended, so there is nothing to measure\n";
    int status;

    (void)signal_number;
    if (waitpid(-1, &status, WNOHANG) > 0 && status != 0) {
        if (directory_to_remove)
            rmdir(directory_to_remove);
        _exit(write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ? 3 : EXIT_FAILURE);
    }
}

void child_start(void (*child)(void *context), void *context, const char *directory)
{
    directory_to_remove = directory;
    signal(SIGCHLD, child_has_died);
    fflush(NULL); /* otherwise buffered output would be written twice */
    pid_t pid = fork();
    if (pid < 0)
        die(-errno, "fork");
    if (pid > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    child(context);
    exit(EXIT_SUCCESS);
}
