/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_actions.h - programs that do what their arguments say, in order: name=number:number:...
 *
 * Room: tests.
 */
#ifndef TESTS_SYSTEM_VM_UTIL_ACTIONS_H
#define TESTS_SYSTEM_VM_UTIL_ACTIONS_H

/** What stands before the "=", and what does it with the rest. It prints one line, which begins with the name. */
struct action {
    const char *name;
    void (*run)(char *words);
};

/**
 * Runs an action for each argument. One that touches memory which is not there prints "NAME SIGBUS" or "NAME SIGSEGV".
 * The table ends with a NULL. Returns an exit status.
 */
int actions_run(const struct action *table, int argc, char **argv);

/** The next number of "0:0x10:5"; `fallback` if there is none. */
unsigned long action_number(char **words, unsigned long fallback);

#endif
