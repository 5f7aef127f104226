/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_pair.c - two processes that measure together, and a third one that only waits for them and cleans up.
 *
 * Room: tests/bench.
 */
#include "util_pair.h"

#include "util_machine.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIDES 2
#define CLOSE_S 20 /* a side that has not ended so long after the other one hangs */

/* ---- The directory ---- */

static char directory[] = "/tmp/bench-ipc.XXXXXX";
static pid_t directory_owner; /* others inherit what is done at exit */

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP};
#define ENDING_SIGNALS (sizeof(ending_signals) / sizeof(ending_signals[0]))

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    remove(path); /* if that fails, there is nothing else to try */
    return 0;
}

static void remove_directory(void)
{
    if (getpid() == directory_owner)
        nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* While the two run, these signals are waited for instead. They are not blocked all the time, because programs that a
 * carrier starts would inherit that. */
static void end_at_once(int number)
{
    remove_directory();
    signal(number, SIG_DFL);
    raise(number);
}

const char *pair_directory(void)
{
    for (size_t i = 0; i < ENDING_SIGNALS; i++)
        signal(ending_signals[i], end_at_once);
    if (!mkdtemp(directory))
        die(-errno, "cannot make %s", directory);
    directory_owner = getpid();
    if (atexit(remove_directory) != 0)
        die(-ENOMEM, "atexit");
    return directory;
}

/* ---- The two ---- */

/* Both at once: neither is to complain that the other is gone. */
static void kill_sides(const pid_t sides[SIDES])
{
    for (int i = 0; i < SIDES; i++) {
        if (sides[i] > 0)
            kill(sides[i], SIGKILL);
    }
    for (int i = 0; i < SIDES; i++) {
        if (sides[i] > 0)
            waitpid(sides[i], NULL, 0);
    }
}

/* A side has ended badly: ends the other one, and this process. */
_Noreturn static void report_end(pid_t sides[SIDES], int side, int status)
{
    sides[side] = 0;
    kill_sides(sides);
    if (WIFSIGNALED(status))
        die(0, "side %d was killed by signal %d (%s)", side, WTERMSIG(status), strsignal(WTERMSIG(status)));
    die(0, "side %d has ended with status %d", side, WEXITSTATUS(status));
}

/* Other children of this process are not ours to judge. Returns how many sides are left. */
static int reap(pid_t sides[SIDES])
{
    int status, left = 0;

    for (pid_t child; (child = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (int i = 0; i < SIDES; i++) {
            if (child != sides[i])
                continue;
            if (status != 0)
                report_end(sides, i, status);
            sides[i] = 0;
        }
    }
    for (int i = 0; i < SIDES; i++)
        left += sides[i] > 0;
    return left;
}

static void wait_for_both(pid_t sides[SIDES], const sigset_t *awaited)
{
    for (int left = SIDES; left > 0; left = reap(sides)) {
        const struct timespec limit = {.tv_sec = CLOSE_S};
        int number = sigtimedwait(awaited, NULL, &limit);

        if (number < 0 && errno == EAGAIN && left < SIDES) {
            kill_sides(sides);
            die(0, "one side has ended, and the other does not");
        }
        if (number > 0 && number != SIGCHLD) {
            kill_sides(sides);
            remove_directory();
            signal(number, SIG_DFL);
            raise(number);
            sigprocmask(SIG_UNBLOCK, awaited, NULL); /* it takes effect here */
        }
    }
}

/* A side ignores SIGINT: the terminal sends that to all three, and the third decides. */
static void become_side(pid_t parent, const sigset_t *mask)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    if (sigprocmask(SIG_SETMASK, mask, NULL) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        die(-errno, "cannot begin a side");
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
}

void pair_run(void (*side)(void *context, int number), void *context)
{
    pid_t sides[SIDES] = {0}, self = getpid();
    sigset_t awaited, before;

    sigemptyset(&awaited);
    sigaddset(&awaited, SIGCHLD);
    for (size_t i = 0; i < ENDING_SIGNALS; i++)
        sigaddset(&awaited, ending_signals[i]);
    if (sigprocmask(SIG_BLOCK, &awaited, &before) < 0)
        die(-errno, "sigprocmask");
    fflush(NULL); /* otherwise buffered output would be written twice */
    for (int i = 0; i < SIDES; i++) {
        sides[i] = fork();
        if (sides[i] < 0) {
            int err = -errno;
            kill_sides(sides);
            die(err, "fork");
        }
        if (sides[i] == 0) {
            become_side(self, &before);
            side(context, i);
            exit(EXIT_SUCCESS);
        }
    }
    wait_for_both(sides, &awaited);
    if (sigprocmask(SIG_SETMASK, &before, NULL) < 0)
        die(-errno, "sigprocmask");
}
