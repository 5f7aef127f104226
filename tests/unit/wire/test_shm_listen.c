/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_shm_listen.c - the socket of the shm wire as a name: who may have it, who may connect.
 *
 * Room: tests. What needs another user is done in a child. bind is wrapped, so that somebody can act right after it.
 */
#include "support/test.h"
#include "unit/wire/util_shm.h"

#include "wire/shm.h"

#include <vopipc/channel.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

static char directory[64];
static char path[128];
static void (*after_bind)(void);

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
    int ret = (int)syscall(SYS_bind, fd, address, size);

    if (after_bind)
        after_bind();
    return ret;
}

static int setup(void **state)
{
    test_directory(directory);
    snprintf(path, sizeof(path), "%s/a.sock", directory);
    return test_guard(state);
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static int connect_to(const char *to)
{
    struct vop__wire *wire = NULL;
    int ret = shm_connect(to, 8192, 1, &wire);

    if (ret == 0)
        wire->ops->close(wire);
    else
        check(wire == NULL);
    return ret;
}

static mode_t mode_of(const char *file)
{
    struct stat st;

    check(lstat(file, &st) == 0);
    return st.st_mode & 07777;
}

static void test_mode(void **state)
{
    static const mode_t modes[] = {0600, 0660, 0666, 0777, 0400};
    static const mode_t masks[] = {0, 022, 0777};
    int listener;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 3; j++) {
            mode_t before = umask(masks[j]);
            int ret = vop__shm_listen(path, modes[i], &listener);

            umask(before);
            assert_int_equal(ret, 0);
            assert_int_equal(mode_of(path), modes[i]);
            assert_int_equal(fcntl(listener, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
            close(listener);
            assert_int_equal(unlink(path), 0);
        }
    }
}

static char victim[128];

static void swap_for_link(void)
{
    check(unlink(path) == 0 && symlink(victim, path) == 0);
}

static void swap_for_file(void)
{
    check(unlink(path) == 0 && rename(victim, path) == 0);
}

/* Somebody with the same directory replaces the fresh socket by something else, whose mode does not change. */
static void test_mode_of_another_file(void **state)
{
    int listener;

    (void)state;
    snprintf(victim, sizeof(victim), "%s/victim", directory);
    for (unsigned i = 0; i < 2; i++) {
        struct stat st;
        mode_t before = umask(077);
        int fd = open(victim, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

        check(fd >= 0);
        after_bind = i ? swap_for_file : swap_for_link;
        assert_true(vop__shm_listen(path, 0666, &listener) < 0);
        after_bind = NULL;
        umask(before);
        check(fstat(fd, &st) == 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        close(fd);
        unlink(victim);
        unlink(path);
    }
}

static void test_stale_is_replaced(void **state)
{
    unsigned fds = test_count_fds();
    int listener;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vop__shm_listen(path, 0600, &listener), 0);
        assert_int_equal(connect_to(path), 0);
        close(listener); /* the file stays, as after a kill -9 */
        assert_int_equal(connect_to(path), -ECONNREFUSED);
    }
    unlink(path);
    assert_int_equal(connect_to(path), -ENOENT);
    assert_int_equal(test_count_fds(), fds);
}

static void test_live_is_refused(void **state)
{
    unsigned fds = test_count_fds();
    int listener, other = -77;

    (void)state;
    assert_int_equal(vop__shm_listen(path, 0600, &listener), 0);
    assert_int_equal(vop__shm_listen(path, 0600, &other), -EADDRINUSE);
    assert_int_equal(other, -77);
    assert_non_null(strstr(vop_error_text(), path));
    assert_int_equal(connect_to(path), 0); /* the server is unhurt */
    close(listener);
    unlink(path);
    assert_int_equal(test_count_fds(), fds);
}

static int open_raw(int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, path, strlen(path));
    check(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

/* A live socket of another type is not stale either. */
static void test_other_types_of_socket(void **state)
{
    int listener, other;

    (void)state;
    other = open_raw(SOCK_STREAM);
    check(listen(other, 1) == 0);
    assert_int_equal(vop__shm_listen(path, 0600, &listener), -EADDRINUSE);
    assert_int_equal(connect_to(path), -EPROTO);
    close(other);
    unlink(path);
    other = open_raw(SOCK_DGRAM);
    assert_int_equal(vop__shm_listen(path, 0600, &listener), -EADDRINUSE);
    assert_int_equal(connect_to(path), -EPROTO);
    close(other);
    unlink(path);
}

/* A server of another program that has not got to listen(2) is live, and one that has ended there is not. */
static void test_bound_is_not_stale(void **state)
{
    int listener, other = open_raw(SOCK_SEQPACKET);

    (void)state;
    assert_int_equal(vop__shm_listen(path, 0600, &listener), -EADDRINUSE);
    check(listen(other, 1) == 0);
    assert_int_equal(vop__shm_listen(path, 0600, &listener), -EADDRINUSE);
    assert_int_equal(connect_to(path), 0);
    unlink(path); /* it listens on, without a file, and the file that is there next is another's */
    close(open_raw(SOCK_SEQPACKET));
    assert_int_equal(vop__shm_listen(path, 0600, &listener), 0);
    close(listener);
    close(other);
    unlink(path);
}

/* Whoever may only read the directory delays nobody, and while another server starts nobody goes on without the lock.
 */
static void test_locks(void **state)
{
    char name[140];
    double start = test_seconds();
    int listener, lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    check(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0);
    assert_int_equal(vop__shm_listen(path, 0600, &listener), 0);
    assert_true(test_seconds() - start < 0.9);
    close(listener);
    close(lock);

    snprintf(name, sizeof(name), "%s.lock", path);
    lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    check(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0);
    assert_int_equal(vop__shm_listen(path, 0600, &listener), -EADDRINUSE);
    assert_non_null(strstr(vop_error_text(), name));
    close(lock); /* its holder has died, and the file stays: that is no lock any more */
    assert_int_equal(vop__shm_listen(path, 0600, &listener), 0);
    close(listener);
    assert_int_equal(access(name, F_OK), -1);
    unlink(path);
}

/* A socket that somebody else listens on. */
static void test_descriptor(void **state)
{
    int other = open_raw(SOCK_SEQPACKET), stream[2], listener = -77, fd;
    unsigned fds = test_count_fds();
    char name[32];

    (void)state;
    snprintf(name, sizeof(name), "fd:%d", other);
    assert_int_equal(vop__shm_listen(name, 0600, &listener), -EINVAL); /* not yet */
    check(listen(other, 8) == 0);
    assert_int_equal(vop__shm_listen(name, 0600, &listener), 0);
    assert_int_not_equal(listener, other);
    assert_true(fcntl(listener, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(vop__shm_accept(listener, &fd), -EAGAIN); /* it does not block */
    assert_int_equal(connect_to(path), 0);
    assert_int_equal(vop__shm_accept(listener, &fd), 0);
    close(fd);
    close(listener);
    assert_int_equal(connect_to(path), 0); /* the socket is still its owner's */
    assert_int_equal(test_count_fds(), fds);
    close(other);
    unlink(path);

    assert_int_equal(vop__shm_listen(name, 0600, &listener), -EINVAL); /* closed */
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) == 0);
    snprintf(name, sizeof(name), "fd:%d", stream[0]);
    assert_int_equal(vop__shm_listen(name, 0600, &listener), -EINVAL);
    close(stream[0]);
    close(stream[1]);
    for (unsigned i = 0; i < 6; i++) {
        static const char *const wrong[] = {"fd:", "fd:x", "fd:-1", "fd: 3", "fd:3x", "fd:99999999999999999999"};

        assert_int_equal(vop__shm_listen(wrong[i], 0600, &listener), -EINVAL);
        assert_non_null(strstr(vop_error_text(), wrong[i]));
    }
    assert_int_equal(connect_to("fd:3"), -EINVAL);
}

/* Names that are no paths. A file may be called so, and is then named with its directory. */
static void test_abstract(void **state)
{
    int listener;

    (void)state;
    assert_int_equal(vop__shm_listen("@abstract", 0600, &listener), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "./@abstract"));
    assert_int_equal(connect_to("@abstract"), -EINVAL);
    assert_true(chdir(directory) == 0);
    assert_int_equal(access("@abstract", F_OK), -1);
    assert_int_equal(vop__shm_listen("./@abstract", 0600, &listener), 0);
    assert_int_equal(connect_to("./@abstract"), 0);
    close(listener);
    assert_int_equal(unlink("@abstract"), 0);
    assert_true(chdir("/") == 0);
}

static void test_other_files(void **state)
{
    int listener, fd;
    struct stat st;

    (void)state;
    fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    check(fd >= 0 && write(fd, "mine", 4) == 4 && close(fd) == 0);
    assert_int_equal(vop__shm_listen(path, 0600, &listener), -EADDRINUSE);
    assert_true(stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 4);
    assert_int_equal(connect_to(path), -ECONNREFUSED);
    unlink(path);
    check(symlink("/dev/null", path) == 0);
    assert_int_equal(vop__shm_listen(path, 0600, &listener), -EADDRINUSE);
    unlink(path);
    assert_int_equal(vop__shm_listen(directory, 0600, &listener), -EADDRINUSE);
}

static void test_paths(void **state)
{
    char longer[200];
    int listener;

    (void)state;
    assert_int_equal(vop__shm_listen("", 0600, &listener), -EINVAL);
    assert_int_equal(connect_to(""), -EINVAL);
    snprintf(longer, sizeof(longer), "%s/none/a.sock", directory);
    assert_int_equal(vop__shm_listen(longer, 0600, &listener), -ENOENT);
    assert_int_equal(connect_to(longer), -ENOENT);
    assert_int_equal(vop__shm_listen("/dev/null/a.sock", 0600, &listener), -ENOTDIR);
    for (size_t length = 106; length < 112; length++) {
        int n = snprintf(longer, sizeof(longer), "%s/", directory);

        memset(longer + n, 'x', length - (size_t)n);
        longer[length] = 0;
        assert_int_equal(connect_to(longer), length < 108 ? -ENOENT : -ENAMETOOLONG);
        assert_int_equal(vop__shm_listen(longer, 0600, &listener), length < 108 ? 0 : -ENAMETOOLONG);
        if (length < 108) {
            assert_int_equal(connect_to(longer), 0);
            close(listener);
            assert_int_equal(unlink(longer), 0);
        }
    }
    assert_true(chdir(directory) == 0); /* a name without a slash */
    assert_int_equal(vop__shm_listen("a.sock", 0600, &listener), 0);
    assert_int_equal(connect_to("a.sock"), 0);
    assert_true(chdir("/") == 0);
    close(listener);
    unlink(path);
}

/* Runs a step as a user without rights; its result is the exit status. */
static int as_nobody(int (*step)(void))
{
    pid_t child = test_child();
    int status;

    if (child == 0) {
        if (getuid() == 0)
            check(setgid(65534) == 0 && setuid(65534) == 0);
        _exit(-step());
    }
    check(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -1;
}

static int try_listen(void)
{
    int listener;

    return vop__shm_listen(path, 0600, &listener);
}

static int try_connect(void)
{
    return connect_to(path);
}

static void test_permissions(void **state)
{
    int listener;

    (void)state;
    chmod(directory, 0555);
    assert_int_equal(as_nobody(try_listen), -EACCES);
    chmod(directory, 0777);
    assert_int_equal(vop__shm_listen(path, 0400, &listener), 0);
    assert_int_equal(as_nobody(try_connect), -EACCES);
    assert_int_equal(as_nobody(try_listen), -EACCES); /* nobody can say whether it is stale */
    assert_int_equal(mode_of(path), 0400);
    close(listener);
    assert_int_equal(vop__shm_listen(path, 0666, &listener), getuid() == 0 ? 0 : -EACCES);
    if (getuid() == 0) {
        assert_int_equal(as_nobody(try_connect), 0);
        assert_int_equal(as_nobody(try_listen), -EADDRINUSE);
        close(listener);
    }
    unlink(path);
}

/* One of them: reports the result, and stays a live server until told to end. */
static _Noreturn void serve_one(int start, int result, int stop)
{
    int listener;
    uint8_t byte;

    check(read(start, &byte, 1) == 0);
    byte = (uint8_t)-vop__shm_listen(path, 0600, &listener);
    check(write(result, &byte, 1) == 1);
    check(read(stop, &byte, 1) == 0);
    _exit(0);
}

/* Many servers start over one stale socket at once: exactly one gets it. */
static void test_one_of_many(void **state)
{
    enum {
        SERVERS = 8
    };
    int start[2], result[2], stop[2], listener;
    unsigned winners;
    uint8_t byte;

    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        winners = 0;
        assert_int_equal(vop__shm_listen(path, 0600, &listener), 0);
        close(listener);
        check(pipe2(start, O_CLOEXEC) == 0 && pipe2(result, O_CLOEXEC) == 0 && pipe2(stop, O_CLOEXEC) == 0);
        for (unsigned i = 0; i < SERVERS; i++) {
            pid_t child = test_child();

            if (child == 0) {
                close(start[1]);
                close(stop[1]);
                serve_one(start[0], result[1], stop[0]);
            }
        }
        close(start[1]);
        for (unsigned i = 0; i < SERVERS; i++) {
            check(read(result[0], &byte, 1) == 1);
            assert_true(byte == 0 || byte == EADDRINUSE);
            winners += byte == 0;
        }
        close(stop[1]);
        while (wait(NULL) > 0)
            continue;
        close(start[0]);
        close(stop[0]);
        close(result[0]);
        close(result[1]);
        assert_int_equal(winners, 1);
        unlink(path);
    }
}

/* Nobody accepts and the backlog is full: that is said, and nobody waits. */
static void test_full_backlog(void **state)
{
    int sockets[300], listener, ret = 0;
    unsigned count = 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)state;
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(vop__shm_listen(path, 0600, &listener), 0);
    while (ret == 0 && count < 300) {
        sockets[count] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        ret = connect(sockets[count++], (struct sockaddr *)&address, sizeof(address));
    }
    assert_int_equal(ret, -1);
    assert_int_equal(connect_to(path), -EAGAIN);
    assert_int_equal(vop__shm_probe(path), 0); /* somebody listens */
    while (count > 0)
        close(sockets[--count]);
    close(listener);
    unlink(path);
}

static void test_accept(void **state)
{
    int listener, fd = -77;

    (void)state;
    assert_int_equal(vop__shm_listen(path, 0600, &listener), 0);
    assert_int_equal(vop__shm_accept(listener, &fd), -EAGAIN);
    assert_int_equal(fd, -77);
    assert_int_equal(connect_to(path), 0); /* and it is gone again */
    assert_int_equal(vop__shm_accept(listener, &fd), 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(fd);
    close(listener);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mode),
        cmocka_unit_test(test_mode_of_another_file),
        cmocka_unit_test(test_stale_is_replaced),
        cmocka_unit_test(test_live_is_refused),
        cmocka_unit_test(test_other_types_of_socket),
        cmocka_unit_test(test_bound_is_not_stale),
        cmocka_unit_test(test_locks),
        cmocka_unit_test(test_descriptor),
        cmocka_unit_test(test_abstract),
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_one_of_many),
        cmocka_unit_test(test_full_backlog),
        cmocka_unit_test(test_accept),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
