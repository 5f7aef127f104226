/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_control_socket.c - the control socket's file: where it is made, who is in the way, and that it goes again.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "control_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char directory[64];
static char path[CONTROL_PATH_SIZE];

static bool is_there(const char *format, long number)
{
    char name[256];
    struct stat st;

    snprintf(name, sizeof(name), "%s/", directory);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(name + strlen(name), sizeof(name) - strlen(name), format, number);
#pragma GCC diagnostic pop
    return lstat(name, &st) == 0;
}

static unsigned count_files(void)
{
    DIR *dir = opendir(directory);
    unsigned count = 0;

    if (!dir)
        return 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static int make_name(void **state)
{
    (void)state;
    test_guard(NULL);
    test_directory(directory);
    strcat(directory, "/x");
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    rmdir(directory);
    directory[strlen(directory) - 2] = '\0';
    return rmdir(directory); /* fails where something is left in it */
}

static void connect_to(const char *to, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, to);
    *ret_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(*ret_fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(*ret_fd);
        *ret_fd = -errno;
    }
}

static void test_open_and_close(void **state)
{
    struct control_socket socket;
    struct stat st;
    int fd;

    (void)state;
    umask(077);
    assert_int_equal(control_socket_open(directory, "vop0", 0660, &socket, path), 0);
    assert_string_equal(path, directory);
    assert_true(is_there("vop0.%ld.sock", getpid()));
    assert_int_equal(count_files(), 1);
    assert_int_equal(lstat(socket.file.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    connect_to(socket.file.path, &fd);
    assert_true(fd >= 0);
    close(fd);
    control_socket_close(&socket);
    assert_int_equal(access(directory, F_OK), -1);
    control_socket_close(&socket); /* does nothing */
}

/* Two bridges of one name, as in two network namespaces, have two sockets; and neither takes the other's. */
static void test_two_of_one_name(void **state)
{
    struct control_socket ours;
    pid_t child;
    int go[2], end[2], fd, status;
    char byte = 0;
    char other[160];

    (void)state;
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(end), 0);
    assert_int_equal(control_socket_open(directory, "vop0", 0600, &ours, path), 0);
    child = test_child();
    if (child == 0) {
        struct control_socket its;

        check(control_socket_open(directory, "vop0", 0600, &its, path) == 0);
        check(write(go[1], &byte, 1) == 1 && read(end[0], &byte, 1) == 1);
        control_socket_close(&its);
        _exit(0);
    }
    assert_int_equal(read(go[0], &byte, 1), 1);
    assert_int_equal(count_files(), 2);
    snprintf(other, sizeof(other), "%s/vop0.%ld.sock", directory, (long)child);
    connect_to(other, &fd);
    assert_true(fd >= 0);
    close(fd);
    connect_to(ours.file.path, &fd);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(write(end[1], &byte, 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(count_files(), 1); /* the child left the directory alone, as it is not empty */
    control_socket_close(&ours);
    for (int i = 0; i < 2; i++) {
        close(go[i]);
        close(end[i]);
    }
}

/* Of a bridge that was killed: its socket goes when the next one starts. Other files stay. */
static void test_dead_ones_are_removed(void **state)
{
    struct control_socket socket;
    char other[160];
    pid_t child;
    int status, fd;

    (void)state;
    child = test_child();
    if (child == 0) {
        struct control_socket its;

        check(control_socket_open(directory, "vop9", 0600, &its, path) == 0);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(is_there("vop9.%ld.sock", child));
    snprintf(other, sizeof(other), "%s/notes.1.sock", directory); /* no socket */
    fd = open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    assert_int_equal(control_socket_open(directory, "vop0", 0600, &socket, path), 0);
    assert_false(is_there("vop9.%ld.sock", child));
    control_socket_close(&socket);
    assert_int_equal(access(directory, F_OK), 0);
    unlink(other);
}

/* Our own name: it is that of a dead process, or of a live one in another PID namespace. */
static void test_name_is_there(void **state)
{
    struct control_socket first, second;

    (void)state;
    assert_int_equal(control_socket_open(directory, "vop0", 0600, &first, path), 0);
    assert_int_equal(control_socket_open(directory, "vop0", 0600, &second, path), -EADDRINUSE);
    assert_int_equal(count_files(), 1);
    close(first.file.fd);
    assert_int_equal(control_socket_open(directory, "vop0", 0600, &second, path), 0);
    assert_int_equal(count_files(), 1);
    control_socket_close(&second);
}

/* Somebody has removed it, and has another there. */
static void test_name_is_not_ours_any_more(void **state)
{
    struct control_socket first, second;

    (void)state;
    assert_int_equal(control_socket_open(directory, "vop0", 0600, &first, path), 0);
    assert_int_equal(unlink(first.file.path), 0);
    assert_int_equal(control_socket_open(directory, "vop0", 0600, &second, path), 0);
    control_socket_close(&first);
    assert_int_equal(count_files(), 1);
    control_socket_close(&second);
}

static void test_directory_of_somebody_else(void **state)
{
    struct control_socket socket;
    struct stat st;

    (void)state;
    assert_int_equal(mkdir(directory, 0700), 0);
    assert_int_equal(chmod(directory, 02750), 0);
    assert_int_equal(control_socket_open(directory, "vop0", 0600, &socket, path), 0);
    control_socket_close(&socket);
    assert_int_equal(stat(directory, &st), 0);
    assert_int_equal(st.st_mode & 07777, 02750);
}

static void test_failures_leave_nothing(void **state)
{
    struct control_socket socket;
    char longer[128];
    unsigned fds = test_count_fds();

    (void)state;
    snprintf(longer, sizeof(longer), "%s/%0*d", directory, 90 - (int)strlen(directory), 0);
    assert_int_equal(mkdir(directory, 0755), 0);
    assert_int_equal(control_socket_open(longer, "a-name-of-15-by", 0600, &socket, path), -ENAMETOOLONG);
    assert_int_equal(count_files(), 0);
    snprintf(longer, sizeof(longer), "%s/a/b", directory);
    assert_int_equal(control_socket_open(longer, "vop0", 0600, &socket, path), -ENOENT);
    assert_int_equal(control_socket_open("/proc", "vop0", 0600, &socket, path) < 0, 1);
    assert_int_equal(test_count_fds(), fds);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_name, remove_directory)
    const struct CMUnitTest tests[] = {
        TEST(test_open_and_close),         TEST(test_two_of_one_name),           TEST(test_dead_ones_are_removed),
        TEST(test_name_is_there),          TEST(test_name_is_not_ours_any_more), TEST(test_directory_of_somebody_else),
        TEST(test_failures_leave_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
