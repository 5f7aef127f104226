/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sandbox_seccomp.c - lets a process make the system calls of a list, and no others.
 *
 * Room: bridge.
 */
#include "sandbox_seccomp.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>

/* Nobody here has a use for these, ever: who calls one is not us. */
static const char *const of_intruders[] = {
    "execve",
    "execveat",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "bpf",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "unshare",
    "init_module",
    "keyctl",
    "finit_module",
    "kexec_load",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "add_key",
    "delete_module",
    "swapon",
    "reboot",
    "setuid",
    "memfd_secret",
};

int sandbox_seccomp_number(const char *name)
{
    return seccomp_syscall_resolve_name(name);
}

static int add_call(scmp_filter_ctx filter, const struct sandbox_call *call)
{
    int number = sandbox_seccomp_number(call->name);
    int ret = 0;

    if (number < 0)
        return 0;
    switch (call->rule) {
    case SANDBOX_ALWAYS:
        ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
        break;
    case SANDBOX_EQUAL: /* an int, of which the upper half may be anything */
        ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1,
                               SCMP_CMP(call->argument, SCMP_CMP_MASKED_EQ, UINT32_MAX, call->value & UINT32_MAX));
        break;
    case SANDBOX_WITHOUT:
        ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1,
                               SCMP_CMP(call->argument, SCMP_CMP_MASKED_EQ, call->value, 0));
        break;
    }
    return ret == -EEXIST ? 0 : ret;
}

static bool is_listed(const struct sandbox_list *list, const char *name)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (strcmp(list->call[i].name, name) == 0)
            return true;
    }
    return false;
}

/* What the list allows under a condition fails otherwise as all the rest does. */
static int add_refusals(scmp_filter_ctx filter, const struct sandbox_list *list)
{
    int ret = 0;

    for (const struct sandbox_refusal *r = sandbox_list_refusals(); !ret && r->name; r++) {
        int number = sandbox_seccomp_number(r->name);

        if (number >= 0 && !is_listed(list, r->name))
            ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)r->err), number, 0);
    }
    return ret;
}

static int add_intruders(scmp_filter_ctx filter, const struct sandbox_list *list)
{
    int ret = 0;

    for (size_t i = 0; !ret && i < sizeof(of_intruders) / sizeof(of_intruders[0]); i++) {
        int number = sandbox_seccomp_number(of_intruders[i]);

        if (number >= 0 && !is_listed(list, of_intruders[i]))
            ret = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, number, 0);
    }
    return ret;
}

static int fill(scmp_filter_ctx filter, const struct sandbox_list *list, bool must_end)
{
    int ret = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    for (unsigned i = 0; !ret && i < list->count; i++)
        ret = add_call(filter, &list->call[i]);
    if (!ret && must_end)
        return add_refusals(filter, list);
    return ret ? ret : add_intruders(filter, list);
}

int sandbox_seccomp_enter(const struct sandbox_list *list, bool must_end)
{
    scmp_filter_ctx filter = seccomp_init(must_end ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
    int ret;

    if (!filter)
        return -ENOMEM;
    ret = fill(filter, list, must_end);
    if (!ret)
        ret = seccomp_load(filter);
    seccomp_release(filter);
    return ret;
}
