/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vhost_record.c - a back end that dies, and the next one, which goes on: by records that the front end keeps, and
 * by a file of its own.
 *
 * Room: tests. What was in flight at each moment of a death: tests/unit/hooked/test_vq_inflight.c.
 */
#include "support/front.h"

#include <sys/mman.h>
#include <sys/stat.h>

#define RINGS (F(VOP_F_VERSION_1) | F(VOP_F_EVENT_IDX) | F_PROTOCOL)
#define PACKED F(VOP_F_RING_PACKED)
#define PACKED_START 0x80008000u

struct inflight {
    uint64_t size, offset;
    uint16_t queues, num;
    uint32_t padding;
};
#define INFLIGHT_SIZE 20u

static char path[] = "/dev/shm/vop-test-record-XXXXXX";

/* Records that the front end keeps. */
struct keeper {
    struct inflight answer;
    int fd;
    uint8_t *base;
};

static void get_records(struct front *f, struct keeper *k)
{
    const struct inflight wanted = {.queues = QUEUES, .num = N};

    assert_int_equal(front_ask(f, GET_INFLIGHT, &wanted, INFLIGHT_SIZE, NULL, 0), 0);
    assert_true(front_answer_fd(f, GET_INFLIGHT, &k->answer, sizeof(k->answer), &k->fd) >= INFLIGHT_SIZE);
    assert_true(k->fd >= 0);
    assert_int_equal(k->answer.queues, QUEUES);
    assert_int_equal(k->answer.num, N);
    k->base = mmap(NULL, k->answer.size, PROT_READ | PROT_WRITE, MAP_SHARED, k->fd, (off_t)k->answer.offset);
    assert_ptr_not_equal(k->base, MAP_FAILED);
    assert_int_equal(ftruncate(k->fd, 0), -1); /* nobody can cut it short */
}

static void give_records(struct front *f, const struct keeper *k)
{
    assert_int_equal(front_ask(f, SET_INFLIGHT, &k->answer, INFLIGHT_SIZE, &k->fd, 1), 0);
}

static void put_records(struct keeper *k)
{
    munmap(k->base, k->answer.size);
    close(k->fd);
}

/* Takes four of six buffers, returns the third, and completes the first without a call. */
static void begin(struct front *f)
{
    struct vop_taken_buf buf[4];
    struct iovec iov[4];

    for (unsigned i = 0; i < 6; i++)
        front_add(f, 1, i);
    assert_int_equal(vop_virtqueue_take_bufs(f->running[1], iov, 4, buf, 4), 4);
    memset(iov[2].iov_base, 22, 64);
    assert_int_equal(vop_virtqueue_complete(f->running[1], buf[2].handle, 64), 0);
    assert_true(vop_virtqueue_call(f->running[1]) >= 0);
    front_check(f, 1, 2, 22);
    assert_int_equal(vop_virtqueue_complete(f->running[1], buf[0].handle, 64), 0);
}

/* The rest, in order; then the queue goes on. */
static void go_on(struct front *f)
{
    static const unsigned left[] = {0, 1, 3, 4, 5};
    struct vop_taken_buf buf;
    struct iovec iov;

    for (unsigned i = 0; i < ROWS(left); i++)
        front_serve(f, 1, (uint8_t)left[i]);
    assert_int_equal(vop_virtqueue_take(f->running[1], &iov, 1, &buf), 0);
    for (unsigned i = 0; i < ROWS(left); i++)
        front_check(f, 1, left[i], (uint8_t)left[i]);
    front_add(f, 1, 7);
    front_serve(f, 1, 77);
    front_check(f, 1, 7, 77);
}

/* What a front end says of a queue whose back end has died: QEMU does not know where a packed one is. */
static uint32_t base_after_death(const struct front *f)
{
    return f->features & PACKED ? PACKED_START : 1;
}

static void test_kept(void **state)
{
    (void)state;
    for (unsigned packed = 0; packed < 2; packed++) {
        struct keeper k;
        struct front f;
        uint32_t base;

        front_open(&f, RINGS | (packed ? PACKED : 0));
        front_negotiate(&f, P_INFLIGHT);
        get_records(&f, &k);
        give_records(&f, &k);
        front_start(&f, 1, packed ? PACKED_START : 0);
        begin(&f);
        front_kill(&f, k.base, k.answer.size);
        front_negotiate(&f, P_INFLIGHT);
        give_records(&f, &k);
        front_start(&f, 1, base_after_death(&f));
        go_on(&f);
        base = front_stop(&f, 1); /* with nothing in flight: the record says no more */
        front_start(&f, 1, base);
        front_add(&f, 1, 3);
        front_serve(&f, 1, 33);
        front_check(&f, 1, 3, 33);
        (void)front_stop(&f, 1);
        put_records(&k);
        front_close(&f);
    }
}

/* A record that says what no queue says is refused, in words. */
static void test_spoilt(void **state)
{
    struct keeper k;
    struct front f;

    (void)state;
    front_open(&f, RINGS);
    front_negotiate(&f, P_INFLIGHT);
    get_records(&f, &k);
    give_records(&f, &k);
    front_start(&f, 1, 0);
    begin(&f);
    front_kill(&f, k.base, k.answer.size);
    k.base[k.answer.size / QUEUES + 8] = 9; /* its version */
    front_negotiate(&f, P_INFLIGHT);
    give_records(&f, &k);
    assert_int_equal(front_state(&f, SET_NUM, 1, N), 0);
    assert_int_equal(front_addr(&f, 1), 0);
    assert_int_equal(front_state(&f, SET_ENABLE, 1, 1), 0);
    f.kick[1] = -1;
    assert_int_equal(front_u64(&f, SET_KICK, 1 | 0x100), -EPROTO);
    assert_non_null(strstr(vop_error_text(), "another version"));
    put_records(&k);
    front_close(&f);
}

static void test_file(void **state)
{
    struct front f;

    (void)state;
    front_open_with(&f, RINGS | PACKED, path, 0);
    front_negotiate(&f, 0);
    front_start(&f, 1, PACKED_START);
    begin(&f);
    front_kill(&f, NULL, 0);
    front_negotiate(&f, 0);
    front_start(&f, 1, base_after_death(&f));
    go_on(&f);

    /* One that ends while the queue runs leaves its file to the next one as well. */
    vop_vhost_user_close(f.device);
    f.device = NULL;
    assert_int_equal(access(path, R_OK), 0);
    (void)close(f.socket);
    f.socket = -1;
    front_kill(&f, NULL, 0);
    front_negotiate(&f, 0);
    front_start(&f, 1, base_after_death(&f));
    front_add(&f, 1, 8);
    front_serve(&f, 1, 88);
    front_check(&f, 1, 8, 88);

    /* A queue that was stopped begins where the front end says, and the file is of no use any more. */
    (void)front_stop(&f, 1);
    front_close(&f);
    assert_int_equal(access(path, F_OK), -1);
}

/* A driver that began anew while nobody served it is known by its rings; so is a queue that lies elsewhere. */
static void test_file_of_before(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct front f;

        front_open_with(&f, RINGS | PACKED, path, 0);
        front_negotiate(&f, 0);
        front_start(&f, 1, PACKED_START);
        begin(&f);
        front_kill(&f, NULL, 0);
        vop_virtqueue_free(f.driver[1]);
        f.driver[1] = NULL;
        front_negotiate(&f, 0);
        memset(f.base + RING(1), 0, 0x4000);
        if (i == 1) {
            f.offsets.device += 64;
            f.base[RING(1) + f.offsets.device] = 1;
        }
        front_start(&f, 1, PACKED_START);
        front_add(&f, 1, 0);
        front_serve(&f, 1, 5);
        front_check(&f, 1, 0, 5);
        (void)front_stop(&f, 1);
        front_close(&f);
    }
}

/* Another program that uses the file is not disturbed, and a file that is none is refused. */
static void test_file_taken(void **state)
{
    static const struct vop_vhost_user_events events = {.start = (void (*)(void *, unsigned, vop_virtqueue *))abort,
                                                        .stop = (void (*)(void *, unsigned, vop_virtqueue *))abort};
    struct vop_vhost_user_options o;
    vop_vhost_user *other;
    struct front f;

    (void)state;
    front_open_with(&f, RINGS, path, 0);
    vop_vhost_user_options_init(&o, sizeof(o));
    o.queues = QUEUES;
    o.events = &events;
    o.record = path;
    assert_int_equal(vop_vhost_user_open(f.socket, &o, &other), -EWOULDBLOCK);
    o.record = "/dev/shm";
    assert_true(vop_vhost_user_open(f.socket, &o, &other) < 0);
    front_close(&f);
}

static int remove_file(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_kept, test_guard),       cmocka_unit_test_setup(test_spoilt, test_guard),
        cmocka_unit_test_setup(test_file, test_guard),       cmocka_unit_test_setup(test_file_of_before, test_guard),
        cmocka_unit_test_setup(test_file_taken, test_guard),
    };

    close(mkstemp(path));
    return cmocka_run_group_tests(tests, NULL, remove_file);
}
