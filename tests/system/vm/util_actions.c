/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_actions.c - programs that do what their arguments say, in order.
 *
 * Room: tests.
 */
#include "util_actions.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sigjmp_buf on_fault;

static void fault(int number)
{
    siglongjmp(on_fault, number);
}

unsigned long action_number(char **words, unsigned long fallback)
{
    char *word = strsep(words, ":");

    return word && *word ? strtoul(word, NULL, 0) : fallback;
}

static void act(const char *name, void (*run)(char *words), char *words)
{
    int number = sigsetjmp(on_fault, 1);

    if (number == 0)
        run(words);
    else
        printf("%s SIG%s\n", name, sigabbrev_np(number));
}

int actions_run(const struct action *table, int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGBUS, fault);
    signal(SIGSEGV, fault);
    for (int i = 1; i < argc; i++) {
        char *words = argv[i], *name = strsep(&words, "=");
        const struct action *action = table;

        while (action->name && strcmp(action->name, name) != 0)
            action++;
        if (!action->name) {
            fprintf(stderr, "no action %s\n", name);
            return 2;
        }
        act(name, action->run, words);
    }
    return 0;
}
