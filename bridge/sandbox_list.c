/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sandbox_list.c - the system calls that a bridge with these options makes, gathered from all parts.
 *
 * Room: bridge.
 */
#include "sandbox_list.h"

#include "broker.h"
#include "broker_serve.h"
#include "crew.h"
#include "forward.h"
#include "link.h"
#include "log.h"
#include "netlink_watch.h"
#include "sandbox_seccomp.h"
#include "server.h"
#include "tap.h"

#include <errno.h>
#include <string.h>

/* ---- What belongs to no part ---- */

/* The C library: its heap, and the end of a process. */
static const struct sandbox_call heap_calls[] = {
    SANDBOX_CALL(brk),
    SANDBOX_CALL_WITHOUT(mmap, 2, 4), /* PROT_EXEC */
    SANDBOX_CALL(munmap),
    SANDBOX_CALL(exit_group),
};
static const struct sandbox_need heap_need = SANDBOX_NEED("heap", heap_calls);

#if SANDBOX_SANITIZED /* reports, and the look for leaks at the end */
static const struct sandbox_call sanitizer_calls[] = {
    SANDBOX_CALL(mprotect),
    SANDBOX_CALL(mremap),
    SANDBOX_CALL(openat),
    SANDBOX_CALL(open),
    SANDBOX_CALL(readlink),
    SANDBOX_CALL(getdents),
    SANDBOX_CALL(arch_prctl),
    SANDBOX_CALL(tkill),
    SANDBOX_CALL(waitid),
    SANDBOX_CALL(getdents64),
    SANDBOX_CALL(getpid),
    SANDBOX_CALL(gettid),
    SANDBOX_CALL(clone),
    SANDBOX_CALL(ptrace),
    SANDBOX_CALL(wait4),
    SANDBOX_CALL(prctl),
    SANDBOX_CALL(sigaltstack),
    SANDBOX_CALL(rt_sigaction),
    SANDBOX_CALL(rt_sigprocmask),
    SANDBOX_CALL(rt_sigreturn),
    SANDBOX_CALL(kill),
    SANDBOX_CALL(tgkill),
    SANDBOX_CALL(lseek),
    SANDBOX_CALL(pipe),
    SANDBOX_CALL(pipe2),
    SANDBOX_CALL(getrlimit),
    SANDBOX_CALL(prlimit64),
    SANDBOX_CALL(setrlimit),
    SANDBOX_CALL(newfstatat),
    SANDBOX_CALL(stat),
    SANDBOX_CALL(lstat),
    SANDBOX_CALL(fstat),
    SANDBOX_CALL(clock_nanosleep),
    SANDBOX_CALL(nanosleep),
    SANDBOX_CALL(sched_yield),
    SANDBOX_CALL(getrusage),
    SANDBOX_CALL(process_vm_readv),
    SANDBOX_CALL(getppid),
    SANDBOX_CALL(sysinfo),
    SANDBOX_CALL(sched_getaffinity),
    SANDBOX_CALL(madvise),
    SANDBOX_CALL(munlock),
    SANDBOX_CALL(writev),
    SANDBOX_CALL(mmap),
    SANDBOX_CALL(clock_gettime),
    SANDBOX_CALL(getuid),
    SANDBOX_CALL(faccessat),
    SANDBOX_CALL(access),
    SANDBOX_CALL(ioctl),
    SANDBOX_CALL(set_robust_list),
    SANDBOX_CALL(rseq),
    SANDBOX_CALL(exit),
    SANDBOX_CALL(uname),
    SANDBOX_CALL(dup),
    SANDBOX_CALL(dup2),
    SANDBOX_CALL(pread64),
    SANDBOX_CALL(membarrier),
    SANDBOX_CALL(fcntl),
};
static const struct sandbox_need sanitizer_need = SANDBOX_NEED("sanitizer", sanitizer_calls);
#endif

/*
 * What the C library and ours try, and can do without: names of threads, robust mutexes, restartable sequences, a heap
 * chunk that grows in place, the unlocking of memory that is not locked. A wait that was stopped (SIGSTOP) is begun
 * anew by whoever waited. And what a library would open is simply not there.
 */
const struct sandbox_refusal *sandbox_list_refusals(void)
{
    static const struct sandbox_refusal refusals[] = {
        {"rseq", ENOSYS},
        {"set_robust_list", ENOSYS},
        {"clone3", ENOSYS},
        {"clone", EPERM},
        {"restart_syscall", EINTR},
        {"mremap", ENOMEM},
        {"mprotect", EPERM},
        {"munlock", EPERM},
        {"prctl", EPERM},
        {"sched_getaffinity", EPERM},
        {"sched_getattr", EPERM},
        {"rt_sigprocmask", EPERM},
        {"getpid", EPERM},
        {"gettid", EPERM},
        {"inotify_rm_watch", EPERM},
        {"open", EPERM},
        {"openat", EPERM},
        {"socket", EPERM},
        {NULL, 0},
    };

    return refusals;
}

/* ---- Gathering ---- */

static bool is_there(const struct sandbox_list *list, const struct sandbox_call *call)
{
    for (unsigned i = 0; i < list->count; i++) {
        const struct sandbox_call *known = &list->call[i];

        if (strcmp(known->name, call->name) == 0 &&
            (known->rule == SANDBOX_ALWAYS ||
             (known->rule == call->rule && known->argument == call->argument && known->value == call->value)))
            return true;
    }
    return false;
}

static bool has_name(const struct sandbox_list *list, const char *name)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (strcmp(list->call[i].name, name) == 0)
            return true;
    }
    return false;
}

static void add_call(struct sandbox_list *list, const struct sandbox_call *call)
{
    if (is_there(list, call) || list->count == SANDBOX_LIST_MAX)
        return;
    if (!has_name(list, call->name) && sandbox_seccomp_number(call->name) >= 0)
        list->names++;
    list->call[list->count++] = *call;
}

/* What is allowed without a condition comes first, so that conditions for the same call are left out. */
static void gather(const struct sandbox_need *const *needs, size_t count, struct sandbox_list *ret_list)
{
    *ret_list = (struct sandbox_list){.count = 0};
    for (int with_rules = 0; with_rules < 2; with_rules++) {
        for (size_t i = 0; i < count; i++) {
            for (size_t j = 0; needs[i] && j < needs[i]->count; j++) {
                if ((needs[i]->calls[j].rule != SANDBOX_ALWAYS) == with_rules)
                    add_call(ret_list, &needs[i]->calls[j]);
            }
        }
    }
}

void sandbox_list_worker(const struct options *options, struct sandbox_list *ret_list)
{
    const struct sandbox_need *const needs[] = {
        &heap_need,
        &log_need,
        &crew_need,
        &forward_need,
        &tap_need,
        &netlink_watch_need,
        &broker_need,
        &server_need,
        options->config[0] ? &crew_reload_need : NULL,
        link_kind_of(options->link)->need(options->link),
#if SANDBOX_SANITIZED
        &sanitizer_need,
#endif
    };

    gather(needs, sizeof(needs) / sizeof(needs[0]), ret_list);
}

void sandbox_list_broker(struct sandbox_list *ret_list)
{
    const struct sandbox_need *const needs[] = {
        &heap_need,
        &broker_serve_need,
#if SANDBOX_SANITIZED
        &sanitizer_need,
#endif
    };

    gather(needs, sizeof(needs) / sizeof(needs[0]), ret_list);
}
