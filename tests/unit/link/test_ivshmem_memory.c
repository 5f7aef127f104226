/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ivshmem_memory.c - two sides that do not have the same memory: of another size, or another file of one name.
 *
 * Room: tests. Two sizes of one memory: a side has mapped the file when it was smaller.
 */
#include "support/link.h"

#include <pthread.h>
#include <vopipc/log.h>

#define SMALL (512 * 1024)
#define LARGE (1024 * 1024)

static char path[64];
static char uri[2][128];
static struct vop_options options;

static struct {
    pthread_mutex_t lock;
    char text[4096];
} heard = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void hear(void *context, enum vop_log_level level, const char *line)
{
    size_t length;

    (void)context;
    (void)level;
    pthread_mutex_lock(&heard.lock);
    length = strlen(heard.text);
    snprintf(heard.text + length, sizeof(heard.text) - length, "%s\n", line);
    pthread_mutex_unlock(&heard.lock);
}

/* How often a word was logged. */
static unsigned times_heard(const char *word)
{
    unsigned count = 0;

    pthread_mutex_lock(&heard.lock);
    for (const char *at = heard.text; (at = strstr(at, word)); at++)
        count++;
    pthread_mutex_unlock(&heard.lock);
    return count;
}

static void await(const char *word)
{
    for (unsigned i = 0; i < 1000 && times_heard(word) == 0; i++)
        test_sleep_ms(10);
    if (times_heard(word) == 0)
        print_error("logged: %s", heard.text);
    assert_int_not_equal(times_heard(word), 0);
}

static void resize(off_t size)
{
    assert_int_equal(truncate(path, size), 0);
}

static void make_anew(off_t size)
{
    int fd;

    unlink(path);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    check(fd >= 0 && ftruncate(fd, size) == 0);
    close(fd);
}

static int setup(void **state)
{
    snprintf(path, sizeof(path), "/dev/shm/vop-t.%d", (int)getpid());
    for (unsigned side = 0; side < 2; side++)
        snprintf(uri[side], sizeof(uri[side]), "ivshmem:%s?side=%u", path, side);
    make_anew(SMALL);
    options = link_options(16, 256, 50);
    heard.text[0] = 0;
    vop_log_set(hear, NULL, VOP_LOG_INFO);
    return test_guard(state);
}

static int teardown(void **state)
{
    (void)state;
    vop_log_set(NULL, NULL, VOP_LOG_ERROR);
    unlink(path);
    return 0;
}

/* ---- A side in a thread of its own ---- */

struct helper {
    pthread_t thread;
    const char *uri; /* to connect to, or */
    vop_listener *listener;
    int timeout_ms;
    int ret;
    char text[256];
    vop_channel *channel;
};

static void *help(void *arg)
{
    struct helper *h = arg;

    if (h->listener)
        h->ret = vop_listener_accept(h->listener, h->timeout_ms, &h->channel);
    else
        h->ret = vop_channel_connect(h->uri, &options, h->timeout_ms, &h->channel);
    snprintf(h->text, sizeof(h->text), "%s", vop_error_text());
    return NULL;
}

/* The side has the memory as it is now, when this returns. */
static void listen_in_thread(struct helper *h, unsigned side)
{
    *h = (struct helper){.timeout_ms = 20000};
    assert_int_equal(vop_listener_open(uri[side], &options, &h->listener), 0);
    assert_int_equal(pthread_create(&h->thread, NULL, help, h), 0);
}

static void connect_in_thread(struct helper *h, unsigned side, int timeout_ms)
{
    unsigned maps = test_count_maps(path);

    *h = (struct helper){.uri = uri[side], .timeout_ms = timeout_ms};
    assert_int_equal(pthread_create(&h->thread, NULL, help, h), 0);
    while (test_count_maps(path) < maps + 2)
        test_sleep_ms(1);
}

static void stop(struct helper *h)
{
    vop_listener_interrupt(h->listener);
    pthread_join(h->thread, NULL);
    assert_int_equal(h->ret, -ECANCELED);
    vop_listener_close(h->listener);
}

/* Both are up: a message goes through. */
static void meet(struct helper *h, unsigned side)
{
    vop_channel *c;
    uint8_t byte = 7;

    assert_int_equal(vop_channel_connect(uri[side], &options, 20000, &c), 0);
    pthread_join(h->thread, NULL);
    assert_int_equal(h->ret, 0);
    assert_int_equal(vop_channel_send(c, &byte, 1, 1000), 0);
    assert_int_equal(vop_channel_recv(h->channel, &byte, 1, 1000), 1);
    vop_channel_close(c);
    vop_channel_close(h->channel);
    vop_listener_close(h->listener);
}

static void refused(unsigned side, int timeout_ms, int error, const char *words)
{
    vop_channel *c;
    int ret = vop_channel_connect(uri[side], &options, timeout_ms, &c);

    if (ret != error || !strstr(vop_error_text(), words))
        print_error("%d: %s\n", ret, vop_error_text());
    assert_int_equal(ret, error);
    assert_non_null(strstr(vop_error_text(), words));
}

/* ---- Of another size ---- */

static void test_side_0_has_less(void **state)
{
    struct helper h;

    (void)state;
    listen_in_thread(&h, 0);
    resize(LARGE);
    refused(1, 20000, -EPROTO, "side 0 sees 512 KiB of memory, this side 1024 KiB: give both one size");
    stop(&h);
    assert_true(times_heard("halves of 524288 bytes, this side of 262144: give both memory of one size") <= 1);
}

/* Side 1 cannot see that block; but side 0 sees both sizes, and side 1 says its own. */
static void test_side_1_has_less(void **state)
{
    vop_listener *listener;
    struct helper h;

    (void)state;
    listen_in_thread(&h, 1);
    resize(LARGE);
    refused(0, 20000, -EPROTO, "peer sees halves of 262144 bytes, this side of 524288: give both memory of one size");
    stop(&h);

    resize(SMALL);
    heard.text[0] = 0;
    connect_in_thread(&h, 1, 500);
    resize(LARGE);
    assert_int_equal(vop_listener_open(uri[0], &options, &listener), 0);
    assert_int_equal(vop_listener_accept(listener, 300, &(vop_channel *){NULL}), -EAGAIN);
    assert_int_equal(times_heard("halves of 262144 bytes"), 1);
    pthread_join(h.thread, NULL);
    vop_listener_close(listener);
    assert_int_equal(h.ret, -ETIMEDOUT);
    assert_non_null(strstr(h.text, "nobody answers on side 0"));
    assert_non_null(strstr(h.text, "the same 512 KiB"));
}

/* A listener says it as well, once, and goes on. */
static void test_a_listener_says_it_once(void **state)
{
    struct helper small, large;

    (void)state;
    listen_in_thread(&small, 0);
    resize(LARGE);
    listen_in_thread(&large, 1);
    await("side 0 sees 512 KiB");
    test_sleep_ms(500);
    assert_int_equal(times_heard("side 0 sees 512 KiB"), 1);
    stop(&small);
    listen_in_thread(&small, 0);
    pthread_join(small.thread, NULL);
    pthread_join(large.thread, NULL);
    assert_true(small.ret == 0 && large.ret == 0);
    vop_channel_close(small.channel);
    vop_channel_close(large.channel);
    vop_listener_close(small.listener);
    vop_listener_close(large.listener);
}

/* What was left where another size had its block says nothing: nobody keeps it alive. */
static void test_left_behind(void **state)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct vop_announce block;
    struct helper h;

    (void)state;
    listen_in_thread(&h, 0);
    test_sleep_ms(100);
    resize(LARGE);
    /* As kill -9 leaves it: the whole block, with a heart that stands still. */
    assert_int_equal(pread(fd, &block, sizeof(block), SMALL / 2), sizeof(block));
    assert_int_equal(vop_from_le64(block.half_size), SMALL / 2);
    stop(&h);
    assert_int_equal(pwrite(fd, &block, sizeof(block), SMALL / 2), sizeof(block));
    close(fd);
    refused(1, 700, -ETIMEDOUT, "nobody answers");
}

/* ---- Another file of one name ---- */

static void test_made_anew(void **state)
{
    unsigned fds = test_count_fds();
    struct helper h;

    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        listen_in_thread(&h, side);
        test_sleep_ms(50);
        make_anew(LARGE);
        meet(&h, 1 - side);
        assert_int_equal(times_heard("was made anew: side"), side + 1);
    }
    connect_in_thread(&h, 0, 20000); /* who connects follows, too */
    make_anew(LARGE);
    meet(&h, 1);
    assert_int_equal(test_count_fds(), fds);
    assert_int_equal(test_count_maps(path), 0);
}

/* A virtual machine's monitor makes the file first, and gives it a size then. */
static void test_not_ready_yet(void **state)
{
    struct helper h;

    (void)state;
    listen_in_thread(&h, 0);
    test_sleep_ms(50);
    make_anew(0);
    await("was made anew and cannot be used yet");
    assert_int_equal(times_heard("too few"), 1);
    test_sleep_ms(300);
    assert_int_equal(times_heard("too few"), 1);
    resize(LARGE);
    meet(&h, 1);
}

/* Without a successor the old memory is still where both may meet. */
static void test_deleted(void **state)
{
    struct helper h, other;

    (void)state;
    listen_in_thread(&h, 0);
    connect_in_thread(&other, 1, 20000);
    unlink(path);
    pthread_join(h.thread, NULL);
    pthread_join(other.thread, NULL);
    assert_true(h.ret == 0 && other.ret == 0);
    vop_channel_close(other.channel);
    vop_channel_close(h.channel);
    vop_listener_close(h.listener);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_side_0_has_less), TEST(test_side_1_has_less), TEST(test_a_listener_says_it_once),
        TEST(test_left_behind),     TEST(test_made_anew),       TEST(test_not_ready_yet),
        TEST(test_deleted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
