/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_opener.c - what the library opens by name goes through the program's function, if it has one; and what such a
 * request does.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "sys/opener.h"

#include <vopipc/channel.h>
#include <vopipc/error.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/vop-opener-XXXXXX";
static char path[64];

static int make_directory(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/a.sock", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

/* ---- What a request does ---- */

static void test_unknown(void **state)
{
    const uint32_t wrong[] = {0, VOP_OPENER_MEMORY + 1, UINT32_MAX};
    struct vop_opener_answer answer;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const struct vop_opener_request request = {.what = wrong[i], .path = "/dev/null"};

        assert_int_equal(vop_opener_do(&request, &answer), -EINVAL);
        assert_int_equal(answer.fd, -1);
    }
}

static void test_file(void **state)
{
    struct vop_opener_answer facts;
    int fd = vop__open("/dev/null", O_RDWR, 0);

    (void)state;
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    assert_int_equal(vop__open(path, O_RDONLY, 0), -ENOENT);
    assert_int_equal(vop__open_facts("/dev/null", &facts), 0);
    assert_true(S_ISCHR(facts.mode));
    assert_int_equal(vop__open_facts(path, &facts), -ENOENT);
    assert_non_null(strstr(facts.text, "no such socket"));
}

static void test_names(void **state)
{
    char name[32], link[80];

    (void)state;
    assert_int_equal(vop__open_first(directory, name, sizeof(name)), -ENOENT); /* nothing in it */
    snprintf(link, sizeof(link), "%s/link", directory);
    assert_int_equal(symlink("/here/and/there", link), 0);
    assert_int_equal(vop__open_first(directory, name, sizeof(name)), 0);
    assert_string_equal(name, "link");
    assert_int_equal(vop__open_link(link, name, sizeof(name)), 0);
    assert_string_equal(name, "there");
    assert_int_equal(vop__open_link("/dev/null", name, sizeof(name)), -EINVAL);
    unlink(link);
}

static void test_sockets(void **state)
{
    struct vop_opener_answer facts;
    int listener, socket;

    (void)state;
    assert_int_equal(vop__open_connected(path, SOCK_STREAM), -ENOENT);
    listener = vop__open_listening(path, SOCK_STREAM, 0640, 4);
    assert_true(listener >= 0);
    assert_int_equal(vop__open_listening(path, SOCK_STREAM, 0600, 4), -EADDRINUSE);
    assert_int_equal(vop__open_connected(path, SOCK_SEQPACKET), -EPROTO);
    socket = vop__open_connected(path, SOCK_STREAM);
    assert_true(socket >= 0);
    assert_true(fcntl(socket, F_GETFL) & O_NONBLOCK);
    close(socket);
    assert_int_equal(vop__open_facts(path, &facts), 0);
    assert_true(S_ISSOCK(facts.mode));
    assert_int_equal(facts.mode & 0777, 0640);
    assert_int_equal(vop__open_remove(path, facts.device, facts.inode + 1), -ESTALE);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(vop__open_remove(path, facts.device, facts.inode), 0);
    assert_int_equal(vop__open_remove(path, facts.device, facts.inode), -ENOENT);
    close(listener);
}

static void test_nameless(void **state)
{
    int epoll = vop__new_epoll(), timer = vop__new_timer(), event = vop__new_event(), ends[2];
    int memory = vop__new_memory("vop-test", 8192);
    uint64_t one = 1;
    struct stat st;

    (void)state;
    assert_true(epoll >= 0 && timer >= 0 && event >= 0 && memory >= 0);
    assert_int_equal(write(event, &one, sizeof(one)), sizeof(one));
    assert_int_equal(fstat(memory, &st), 0);
    assert_int_equal(st.st_size, 8192);
    assert_int_equal(ftruncate(memory, 4096), -1); /* sealed */
    assert_int_equal(vop__new_pair(ends), 0);
    assert_int_equal(write(ends[0], "!", 1), 1);
    assert_int_equal(vop__new_memory("vop-test", 0), -EINVAL);
    assert_int_equal(vop__new_memory("vop-test", ((size_t)1 << 31) + 1), -EINVAL);
    close(epoll);
    close(timer);
    close(event);
    close(memory);
    close(ends[0]);
    close(ends[1]);
}

/* ---- By whom ---- */

static unsigned asked[VOP_OPENER_MEMORY + 1];
static bool is_refusing;

static int ask(void *context, const struct vop_opener_request *request, struct vop_opener_answer *ret_answer)
{
    assert_ptr_equal(context, asked);
    asked[request->what]++;
    if (!is_refusing || request->what != VOP_OPENER_CONNECT)
        return vop_opener_do(request, ret_answer);
    snprintf(ret_answer->text, sizeof(ret_answer->text), "the broker says no");
    return -EPERM;
}

/* A listener and a connector open nothing by themselves. */
static void test_link(void **state)
{
    struct vop_options options;
    vop_listener *listener;
    vop_channel *channel;
    char uri[80];

    (void)state;
    snprintf(uri, sizeof(uri), "shm:%s", path);
    vop_options_init(&options, sizeof(options));
    assert_int_equal(vop_opener_set(ask, asked), 0);
    assert_int_equal(vop_listener_open(uri, &options, &listener), 0);
    assert_int_equal(asked[VOP_OPENER_LISTEN], 1);
    assert_int_equal(vop_channel_connect(uri, &options, 0, &channel), -ETIMEDOUT); /* nobody accepts */
    assert_int_equal(asked[VOP_OPENER_CONNECT], 1);
    is_refusing = true;
    assert_int_equal(vop_channel_connect(uri, &options, 0, &channel), -EPERM);
    assert_string_equal(vop_error_text(), "the broker says no");
    is_refusing = false;
    vop_listener_close(listener);
    assert_int_equal(asked[VOP_OPENER_REMOVE], 1);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(vop_opener_set(NULL, NULL), 0);
    assert_int_equal(vop_listener_open(uri, &options, &listener), 0);
    vop_listener_close(listener);
    assert_int_equal(asked[VOP_OPENER_LISTEN], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown), cmocka_unit_test(test_file),     cmocka_unit_test(test_names),
        cmocka_unit_test(test_sockets), cmocka_unit_test(test_nameless), cmocka_unit_test(test_link),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
