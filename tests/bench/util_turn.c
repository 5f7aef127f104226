/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_turn.c - one process gives tasks to another through shared memory, one at a time.
 *
 * Room: tests/bench.
 */
#include "util_turn.h"

#include "util_machine.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void turn_give(struct turn *t)
{
    atomic_fetch_add_explicit(&t->given, 1, memory_order_release);
}

void turn_join(struct turn *t)
{
    uint32_t number = atomic_load_explicit(&t->given, memory_order_relaxed);

    while (atomic_load_explicit(&t->done, memory_order_acquire) != number)
        cpu_pause();
}

void turn_take(struct turn *t, uint32_t number)
{
    while (atomic_load_explicit(&t->given, memory_order_acquire) != number)
        cpu_pause();
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
