/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_kill.c - one end of a virtqueue is killed at any moment: the other finds all that was published and nothing
 * else, and after a reset goes on with a new peer.
 *
 * Room: tests. Case 78 of CASES.md. 20 rounds for each layout and role; 500 with VOP_LONG.
 *
 * The victim never sleeps, so that it dies at work: killed from outside, or at its next store into a page that it
 * has made read-only. The areas lie so that a page ends where a publication can be torn: in the middle of the
 * descriptors, and between an index and the entries that it publishes. The victim counts in shared words what it has
 * begun and what it has published; the survivor must have found a number between the two.
 */
#include "unit/ring/util_vq.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define N 16
#define CELLS (2 * N)
#define CELL_SIZE 64u
#define HALF 32u /* of a cell: the driver's half, the device's half */
#define BATCH 5
#define RESUMED 300
#define PAGE 4096u
#define PAGES 6u /* two for each area */

static struct shared {
    uint8_t page[PAGES][PAGE] __attribute__((aligned(PAGE)));
    uint8_t tables[N * 4 * 16];
    uint8_t cell[CELLS][CELL_SIZE];
    uint32_t begun, published; /* by the victim */
} * shared;

struct end {
    bool driver, victim;
    enum vop_ring_layout layout;
    uint64_t features, seed;
    vop_virtqueue *vq;
    uint32_t limit;   /* buffers in this session */
    uint32_t moved;   /* driver: added. device: taken */
    uint32_t through; /* driver: got back. device: completed */
    bool held[CELLS]; /* driver: the device has it */
    uint32_t number[CELLS];
    uint32_t fatal; /* at the beginning of this buffer the victim makes `page` read-only; 0: never */
    unsigned page;
    int bell[2]; /* eventfds: of the driver's sleep, of the device's */
};

/* ---- The queue, in shared memory ---- */

static int notify(void *context, uint32_t value)
{
    const struct end *e = context;
    uint64_t one = 1;

    (void)value;
    return write(e->bell[e->driver], &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

static const struct vop_virtqueue_events events = {.notify = notify};

static struct vop_virtqueue_options options(struct end *e)
{
    static struct vop_region regions[2];
    struct vop_virtqueue_options o;
    struct vop_ring_offsets at;
    size_t header = e->layout == VOP_RING_2009 ? 8 : 4; /* flags and index */

    regions[0] = (struct vop_region){DATA_ADDRESS, sizeof(shared->cell), shared->cell, 0};
    regions[1] = (struct vop_region){TABLE_ADDRESS, sizeof(shared->tables), shared->tables, 0};
    check(vop_ring_layout_offsets(e->layout, N, 64, &at) == 0);
    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = e->driver ? VOP_VIRTQUEUE_DRIVER : VOP_VIRTQUEUE_DEVICE;
    o.layout = e->layout;
    o.features[0] = (uint32_t)e->features;
    o.features[1] = (uint32_t)(e->features >> 32);
    o.regions = regions;
    o.region_count = 2;
    o.events = &events;
    o.context = e;
    o.place = (struct vop_virtqueue_place){
        .size = N,
        .desc = {shared->page[1] - at.desc_size / 2, at.desc_size, 0},
        .driver = {shared->page[3] - header, at.driver_size, 0},
        .device = {shared->page[5] - header, at.device_size, 0},
        .tables = {shared->tables, e->features & F_INDIRECT ? sizeof(shared->tables) : 0, 0},
        .tables_address = TABLE_ADDRESS,
        .tables_entries = 4,
    };
    return o;
}

/* ---- One step of either role; returns how many buffers it moved ---- */

static void fill(uint8_t *half, uint32_t number, bool driver)
{
    uint64_t seed = number * 2ull + driver;

    for (uint32_t i = 0; i < HALF; i++)
        half[i] = (uint8_t)test_random(&seed);
}

static void check_filled(const uint8_t *half, uint32_t number, bool driver)
{
    uint8_t expected[HALF];

    fill(expected, number, driver);
    check(memcmp(half, expected, HALF) == 0);
}

static void begin(const struct end *e, uint32_t number)
{
    if (!e->victim)
        return;
    __atomic_store_n(&shared->begun, number, __ATOMIC_RELEASE);
    if (number == e->fatal)
        check(mprotect(shared->page[e->page], PAGE, PROT_READ) == 0);
}

static void end_at(const struct end *e, uint32_t number)
{
    if (e->victim)
        __atomic_store_n(&shared->published, number, __ATOMIC_RELEASE);
}

/* Two segments each way, of changing lengths. */
static bool add(struct end *e, uint32_t i)
{
    uint32_t out = 1 + e->moved % (HALF - 1), in = 1 + e->moved % 7;
    uint8_t *cell = shared->cell[i];
    const struct iovec iov[4] = {
        {cell, out}, {cell + out, HALF - out}, {cell + HALF, in}, {cell + HALF + in, HALF - in}};
    int ret;

    fill(cell, e->moved, true);
    begin(e, e->moved + 1);
    ret = vop_virtqueue_add_buf(e->vq, iov, 2, 2, &e->number[i]);
    if (ret == -ENOSPC) {
        begin(e, e->moved);
        return false;
    }
    check(ret == 0);
    e->held[i] = true;
    e->number[i] = e->moved++;
    return true;
}

static uint32_t driver_step(struct end *e)
{
    uint32_t before = e->moved + e->through, len;
    uint64_t burst = test_random(&e->seed) % BATCH;
    void *token;
    int ret;

    for (uint32_t i = 0; i < CELLS && burst > 0 && e->moved < e->limit; i++) {
        if (e->held[i])
            continue;
        if (!add(e, i))
            break;
        burst--;
    }
    check(vop_virtqueue_kick(e->vq) >= 0);
    end_at(e, e->moved);
    while ((ret = vop_virtqueue_get_buf(e->vq, &token, &len)) == 1) {
        uint32_t i = (uint32_t)((uint32_t *)token - e->number);

        check(i < CELLS && e->held[i] && len == HALF);
        if (e->features & F_ORDER)
            check(e->number[i] == e->through);
        check_filled(shared->cell[i] + HALF, e->number[i], false);
        e->held[i] = false;
        e->through++;
    }
    check(ret == 0);
    return e->moved + e->through - before;
}

/* The halves of a cell lie one after the other, however its buffer was cut. */
static void work(const struct end *e, const struct iovec *iov, const struct vop_taken_buf *buf)
{
    uint8_t *cell = iov[0].iov_base;

    check(buf->readable == 2 && buf->writable == 2 && buf->readable_bytes == HALF && buf->writable_bytes == HALF);
    check(cell >= shared->cell[0] && (size_t)(cell - shared->cell[0]) % CELL_SIZE == 0);
    check(iov[2].iov_base == cell + HALF);
    check_filled(cell, e->moved, true);
    fill(cell + HALF, e->moved, false);
}

static uint32_t device_step(struct end *e)
{
    uint64_t batch = 1 + test_random(&e->seed) % BATCH;
    struct vop_taken_buf buf[BATCH];
    struct iovec iov[4];
    uint32_t count = 0;
    int ret = 1;

    while (count < batch && (ret = vop_virtqueue_take(e->vq, iov, 4, &buf[count])) == 1) {
        work(e, iov, &buf[count++]);
        e->moved++;
    }
    check(ret >= 0);
    for (uint32_t i = count; i > 0; i--) {
        begin(e, e->through + 1);
        check(vop_virtqueue_complete(e->vq, buf[i - 1].handle, HALF) == 0);
        e->through++;
    }
    check(vop_virtqueue_call(e->vq) >= 0);
    end_at(e, e->through);
    return count;
}

static uint32_t step(struct end *e)
{
    return e->driver ? driver_step(e) : device_step(e);
}

/* ---- The victim, and the peer that comes after it ---- */

static void die(int signal)
{
    (void)signal;
    (void)kill(getpid(), SIGKILL);
}

static _Noreturn void be_peer(const struct end *survivor, uint32_t limit, int life)
{
    struct end e = *survivor;
    struct vop_virtqueue_options o;

    e.driver = !e.driver;
    e.victim = true;
    e.limit = limit;
    e.moved = e.through = 0;
    memset(e.held, 0, sizeof(e.held));
    check(signal(SIGSEGV, die) != SIG_ERR);
    o = options(&e);
    check(vop_virtqueue_new(&o, &e.vq) == 0);
    check(write(life, "", 1) == 1); /* the words are in place: begin */
    while (e.through < limit) {
        if (step(&e) == 0)
            sched_yield();
    }
    vop_virtqueue_free(e.vq);
    _exit(0);
}

/* Starts a peer and waits until its end of the queue is ready. Returns a descriptor that hangs up when it dies. */
static int start_peer(const struct end *survivor, uint32_t limit, pid_t *ret_child)
{
    int life[2];
    char byte;

    shared->begun = shared->published = 0;
    check(pipe2(life, O_CLOEXEC) == 0);
    *ret_child = test_child();
    if (*ret_child == 0) {
        close(life[0]);
        be_peer(survivor, limit, life[1]);
    }
    close(life[1]);
    check(read(life[0], &byte, 1) == 1);
    return life[0];
}

static int join(pid_t child)
{
    int status;

    check(waitpid(child, &status, 0) == child);
    return status;
}

/* ---- The survivor ---- */

/* Sleeps until the peer notifies, and returns true, or dies. */
static bool rest(struct end *e, int life)
{
    struct pollfd fds[2] = {{.fd = e->bell[!e->driver], .events = POLLIN}, {.fd = life}};
    uint64_t rung;
    int ret = vop_virtqueue_restart(e->vq);

    check(ret >= 0);
    if (ret == 0)
        return true;
    check(poll(fds, 2, 60000) > 0); /* else a wake-up was lost */
    if (fds[0].revents)
        check(read(fds[0].fd, &rung, sizeof(rung)) == sizeof(rung));
    return fds[0].revents != 0;
}

/* Runs until `through` buffers went through, or the peer has died. */
static void run_until(struct end *e, uint32_t through, int life)
{
    bool alive = true;

    while (e->through < through && alive) {
        if (step(e) == 0 && (!e->driver || e->moved > e->through))
            alive = rest(e, life);
    }
}

static void recover(struct end *e)
{
    struct vop_virtqueue_options o = options(e);
    void *token;

    vop_virtqueue_shutdown(e->vq);
    while (e->driver && vop_virtqueue_detach_buf(e->vq, &token) == 1) {
        uint32_t i = (uint32_t)((uint32_t *)token - e->number);

        check(i < CELLS && e->held[i]);
        e->held[i] = false;
        e->through++;
    }
    if (e->driver)
        assert_int_equal(e->through, e->moved); /* each came back once, by get or by detach */
    assert_int_equal(vop_virtqueue_reset(e->vq, &o.place), 0);
    e->moved = e->through = 0;
    e->limit = RESUMED;
    e->fatal = 0;
}

/* Returns whether the victim died between the beginning and the end of a publication. */
static bool one_round(struct end *e)
{
    struct vop_virtqueue_options o = options(e);
    uint32_t found;
    bool inside;
    pid_t child;
    int life;

    e->moved = e->through = 0;
    e->limit = UINT32_MAX;
    e->fatal = 1 + (uint32_t)test_random(&e->seed) % 500;
    assert_int_equal(vop_virtqueue_new(&o, &e->vq), 0);
    life = start_peer(e, UINT32_MAX, &child);
    run_until(e, e->fatal + (uint32_t)test_random(&e->seed) % 500, life);
    check(kill(child, SIGKILL) == 0);
    e->limit = e->moved; /* a driver that goes on adding would never drain the queue */
    while (step(e) > 0)
        continue;
    assert_int_equal(join(child), SIGKILL);
    while (step(e) > 0)
        continue;
    close(life);

    found = e->through;
    inside = shared->begun != shared->published;
    assert_true(found >= shared->published && found <= shared->begun);
    assert_int_equal(vop_virtqueue_error(e->vq), 0);

    recover(e);
    life = start_peer(e, RESUMED, &child);
    run_until(e, RESUMED, life);
    assert_int_equal(e->through, RESUMED);
    assert_int_equal(join(child), 0);
    close(life);
    assert_int_equal(vop_virtqueue_error(e->vq), 0);
    vop_virtqueue_free(e->vq);
    return inside;
}

static void rounds(enum vop_ring_layout layout, bool driver)
{
    unsigned count = getenv("VOP_LONG") ? 500 : 20, inside = 0, fds = test_count_fds();
    struct end e = {.layout = layout, .driver = driver, .seed = (uint64_t)layout * 2 + driver};

    e.bell[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    e.bell[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    check(e.bell[0] >= 0 && e.bell[1] >= 0);
    for (unsigned i = 0; i < count; i++) {
        e.features = (i & 1 ? F_ORDER : 0) | (layout == VOP_RING_PACKED ? F_PACKED : 0);
        if (layout != VOP_RING_2009)
            e.features |= (i & 2 ? F_EVENT : 0) | (i & 4 ? F_INDIRECT : 0);
        e.page = i % PAGES;
        inside += one_round(&e);
    }
    close(e.bell[0]);
    close(e.bell[1]);
    assert_int_equal(test_count_fds(), fds);
    assert_true(inside > 0);
    print_message("    %u of %u died while they published\n", inside, count);
}

#define BOTH_ROLES(name, layout)                  \
    static void test_driver_dies_##name(void **s) \
    {                                             \
        (void)s;                                  \
        rounds(layout, false);                    \
    }                                             \
    static void test_device_dies_##name(void **s) \
    {                                             \
        (void)s;                                  \
        rounds(layout, true);                     \
    }

BOTH_ROLES(split, VOP_RING_SPLIT)
BOTH_ROLES(packed, VOP_RING_PACKED)
BOTH_ROLES(2009, VOP_RING_2009)

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, test_guard)
    const struct CMUnitTest tests[] = {
        TEST(test_driver_dies_split),  TEST(test_device_dies_split), TEST(test_driver_dies_packed),
        TEST(test_device_dies_packed), TEST(test_driver_dies_2009),  TEST(test_device_dies_2009),
    };

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(shared != MAP_FAILED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
