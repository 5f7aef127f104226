/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sandbox.c - what code can do that runs in a bridge whose sandbox is closed: nothing that a bridge does not do.
 *
 * Room: tests. Each attempt is made in a child, which has entered all stages. It must fail, or be the end of the child.
 */
#include "support/test.h"

#include "options.h"
#include "sandbox.h"
#include "sandbox_list.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void set_options(struct options *ret_options, const char *link)
{
    memset(ret_options, 0, sizeof(*ret_options));
    snprintf(ret_options->link, sizeof(ret_options->link), "%s", link);
    ret_options->has_user = getuid() == 0;
    ret_options->user_uid = ret_options->user_gid = 65534;
}

/* ---- The list ---- */

static void test_list_is_short(void **state)
{
    const char *links[] = {"shm:/run/a.sock", "shm:fd:3"};

    (void)state;
    if (SANDBOX_SANITIZED)
        skip();
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        struct sandbox_list list;
        struct options options;

        set_options(&options, links[i]);
        sandbox_list_worker(&options, &list);
        print_message("%s: %u system calls\n", links[i], list.names);
        assert_true(list.names <= SANDBOX_CALLS_MAX);
        assert_true(list.count < SANDBOX_LIST_MAX);
        snprintf(options.config, sizeof(options.config), "/etc/a.conf"); /* a reload may change --affinity */
        sandbox_list_worker(&options, &list);
        assert_true(list.names <= SANDBOX_CALLS_MAX + 1);
    }
}

/* Whatever the link: nothing in its list opens a file, makes a process, or changes what this one may do. */
static void test_list_is_harmless(void **state)
{
    const char *links[] = {"shm:/a",
                           "ivshmem:/dev/shm/a",
                           "ivshmem:0000:00:04.0",
                           "mpc8349:02:00.0",
                           "mpc8349:board",
                           "vhost-user:/a",
                           "vhost-user:/a?front",
                           "virtio-pci:0000:00:05.0",
                           "mpc8349-2009:board?device=0"};
    const char *harmful[] = {"open",   "openat", "openat2", "creat",  "execve", "fork",   "vfork",  "clone",
                             "clone3", "socket", "connect", "bind",   "ptrace", "bpf",    "mount",  "setuid",
                             "capset", "prctl",  "kill",    "tgkill", "setns",  "unlink", "rename", "chmod"};

    (void)state;
    if (SANDBOX_SANITIZED)
        skip();
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        struct sandbox_list list;
        struct options options;

        set_options(&options, links[i]);
        sandbox_list_worker(&options, &list);
        for (unsigned c = 0; c < list.count; c++) {
            for (size_t h = 0; h < sizeof(harmful) / sizeof(harmful[0]); h++)
                assert_string_not_equal(list.call[c].name, harmful[h]);
        }
    }
}

/* ---- Attempts: each returns what the system call has returned ---- */

static long open_file(void)
{
    return open("/dev/null", O_RDONLY);
}

static long open_raw(void)
{
#ifdef SYS_open
    return syscall(SYS_open, "/dev/null", O_RDONLY);
#else
    return -1;
#endif
}

static long make_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long make_inet(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

static long run_program(void)
{
    char *words[] = {(char *)(uintptr_t) "/bin/true", NULL};

    return execv("/bin/true", words);
}

static long make_process(void)
{
    long ret = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

    if (ret == 0)
        _exit(0);
    return ret;
}

static long make_namespace(void)
{
    return unshare(CLONE_NEWUSER);
}

static long trace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long write_other(void)
{
    char byte = 0;
    struct iovec iov = {&byte, 1};

    return process_vm_writev(getppid(), &iov, 1, &iov, 1, 0);
}

static long become_root(void)
{
    return syscall(SYS_setuid, 0);
}

static long take_capabilities(void)
{
    struct {
        uint32_t version;
        int pid;
    } header = {0x20080522, 0};
    uint32_t data[6] = {1u << 12, 1u << 12};

    return syscall(SYS_capset, &header, data);
}

static long load_bpf(void)
{
    return syscall(SYS_bpf, 0, NULL, 0);
}

static long mount_something(void)
{
    return syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL);
}

static long kill_parent(void)
{
    return syscall(SYS_kill, getppid(), 0);
}

static long drop_no_new_privs(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long map_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static long make_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page == MAP_FAILED ? -1 : mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static long make_memfd(void)
{
    return (long)syscall(SYS_memfd_create, "code", 0);
}

static long use_io_uring(void)
{
    uint8_t parameters[120] = {0};

    return syscall(SYS_io_uring_setup, 1, parameters);
}

static long use_keys(void)
{
    return syscall(SYS_keyctl, 0, -3, 0); /* the id of the session's keyring */
}

static long steal_interface(void)
{
    uint8_t request[40] = "vop0";

    return ioctl(STDIN_FILENO, TUNSETIFF, request);
}

static long push_input(void)
{
    return ioctl(STDIN_FILENO, TIOCSTI, "x");
}

static long send_file(void)
{
    return syscall(SYS_sendfile, 1, 0, NULL, 1);
}

static long add_filter(void)
{
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &(uint32_t){SECCOMP_RET_ALLOW});
}

static const struct attempt {
    const char *what;
    long (*make)(void);
} attempts[] = {
    {"open a file", open_file},
    {"open a file, by the old call", open_raw},
    {"make a Unix socket", make_socket},
    {"make an Internet socket", make_inet},
    {"run a program", run_program},
    {"make a process", make_process},
    {"make a namespace", make_namespace},
    {"be traced", trace},
    {"write another process", write_other},
    {"become root", become_root},
    {"take a capability", take_capabilities},
    {"load BPF", load_bpf},
    {"mount", mount_something},
    {"send a signal", kill_parent},
    {"change what it may do", drop_no_new_privs},
    {"map code", map_code},
    {"make code of data", make_code},
    {"make a memfd", make_memfd},
    {"use io_uring", use_io_uring},
    {"use keys", use_keys},
    {"take another interface", steal_interface},
    {"type on a terminal", push_input},
    {"send a file", send_file},
    {"look at filters", add_filter},
};

/* 0: it did not succeed. 1: it did. 2: no sandbox. */
static int run_inside(long (*make)(void))
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct options options;
        int ret;

        set_options(&options, "shm:/tmp/vop-none.sock");
        if (!make) /* how it is without: the attempts would notice */
            ret = open_file() >= 0 && make_process() >= 0;
        else
            ret = sandbox_enter(&options) || sandbox_close(&options) ? 2 : make() >= 0;
        syscall(SYS_exit_group, ret);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? 0 : 3;
    return WEXITSTATUS(status);
}

static void test_attempts(void **state)
{
    (void)state;
    if (SANDBOX_SANITIZED)
        skip();
    assert_int_equal(run_inside(NULL), 1);
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        int ret = run_inside(attempts[i].make);

        if (ret != 0)
            fail_msg("code in a bridge could %s (%d)", attempts[i].what, ret);
    }
}

/* What a bridge does goes on. */
static long do_allowed(void)
{
    char *memory = malloc(3 << 20),
         *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    bool is_fine = memory && page != MAP_FAILED && flags >= 0 && sched_yield() == 0 && munmap(page, 4096) == 0;

    free(memory);
    return is_fine ? 0 : -1;
}

static void test_allowed(void **state)
{
    (void)state;
    assert_int_equal(run_inside(do_allowed), 1);
}

/* ---- Who may not ---- */

static void test_user(void **state)
{
    struct options options;

    (void)state;
    set_options(&options, "shm:/a");
    options.has_user = true;
    options.no_sandbox = true;
    assert_int_equal(sandbox_enter(&options), -EINVAL); /* nobody keeps the rights */
    options.no_sandbox = false;
    if (getuid() == 0) {
        options.user_uid = 0;
        assert_int_equal(sandbox_enter(&options), -EINVAL);
    } else {
        options.user_uid = getuid() + 1;
        assert_int_equal(sandbox_enter(&options), -EPERM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_is_short), cmocka_unit_test(test_list_is_harmless),
        cmocka_unit_test(test_attempts),      cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
