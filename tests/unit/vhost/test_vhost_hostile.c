/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vhost_hostile.c - front ends of vhost-user that lie, forget, or cut their memory short.
 *
 * Room: tests. Whatever they do, the back end says what was wrong, lets go of all that they sent, and touches no memory
 * that is not theirs.
 */
#include "support/front.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define FEATURES (F(VOP_F_VERSION_1) | F_PROTOCOL)

/* ---- Messages ---- */

static const struct {
    const char *name;
    uint32_t request, flags, size;
    uint32_t payload[10];
    unsigned fds; /* eventfds beside it */
    const char *text;
} messages[] = {
    {"no version", GET_FEATURES, 3 /* and 1: 3 */, 0, {0}, 0, "flags"},
    {"an answer", GET_FEATURES, 4, 0, {0}, 0, "flags"},
    {"a request that there is not", 0, 0, 0, {0}, 0, "not served"},
    {"one that is not served", 28, 0, 0, {0}, 0, "not served"},
    {"one beyond all", 0xffffffff, 0, 0, {0}, 0, "not served"},
    {"short features", SET_FEATURES, 0, 7, {1}, 0, "SET_FEATURES with 7 bytes"},
    {"features that were not offered", SET_FEATURES, 0, 8, {0, 1u << 31}, 0, "not offered"},
    {"protocol features that were not offered", SET_PROTOCOL, 0, 8, {1u << 2}, 0, "not offered"},
    {"descriptors with a number", SET_FEATURES, 0, 8, {0}, 1, "SET_FEATURES with descriptors"},
    {"a short table", SET_MEM_TABLE, 0, 8 + 31, {1}, 1, "a memory table of 1"},
    {"a table without files", SET_MEM_TABLE, 0, 40, {1, 0, 0x1000, 0, 0x1000}, 0, "with 0 descriptors"},
    {"a table with too many files", SET_MEM_TABLE, 0, 40, {1, 0, 0x1000, 0, 0x1000}, 2, "with 2 descriptors"},
    {"a table of nine", SET_MEM_TABLE, 0, 40, {9}, 8, "of 9 regions"},
    {"a table of very many", SET_MEM_TABLE, 0, 40, {0xffffffff}, 8, "regions"},
    {"an eventfd for memory", SET_MEM_TABLE, 0, 40, {1, 0, 0x1000, 0, 0x1000}, 1, "must be a memfd"},
    {"memory without a file", ADD_REG, 0, 40, {0}, 0, "one descriptor"},
    {"memory to remove that is not there", REM_REG, 0, 40, {0, 0, 5, 5, 5}, 0, "no memory at"},
    {"a log without a file", SET_LOG_BASE, 0, 16, {4096}, 0, "one descriptor"},
    {"an eventfd for a log", SET_LOG_BASE, 0, 16, {4096}, 1, "must be a memfd"},
    {"a log of nothing", SET_LOG_BASE, 0, 16, {0}, 1, "a log of 0 bytes"},
    {"a log that wraps", SET_LOG_BASE, 0, 16, {4096, 0, 0xfffffff0, 0xffffffff}, 1, "a log of"},
    {"a queue that there is not", SET_NUM, 0, 8, {2, 16}, 0, "no queue 2"},
    {"another", SET_ADDR, 0, 40, {2}, 0, "no queue 2"},
    {"another", SET_BASE, 0, 8, {0xffffffff}, 0, "no queue"},
    {"another", GET_BASE, 0, 8, {0x10000}, 0, "no queue 65536"},
    {"another", SET_ENABLE, 0, 8, {2, 1}, 0, "no queue 2"},
    {"another, with a descriptor", SET_KICK, 0, 8, {2}, 1, "no queue 2"},
    {"another, without", SET_CALL, 0, 8, {0x1ff}, 0, "no queue 255"},
    {"a queue of no entries", SET_NUM, 0, 8, {0, 0}, 0, "0 entries"},
    {"a queue of too many", SET_NUM, 0, 8, {0, 32769}, 0, "32769 entries"},
    {"enabled by 2", SET_ENABLE, 0, 8, {0, 2}, 0, "enabled by 2"},
    {"no descriptor where one is promised", SET_KICK, 0, 8, {0}, 0, "0 descriptors"},
    {"one where none is promised", SET_CALL, 0, 8, {0x100}, 1, "1 descriptors"},
    {"no way for requests", 21, 0, 0, {0}, 0, "0 descriptors"},
    {"two ways for requests", 21, 0, 8, {0}, 2, "2 descriptors"},
    {"two", SET_ERR, 0, 8, {0}, 2, "2 descriptors"},
    {"a status of nine bits", SET_STATUS, 0, 8, {0x100}, 0, "a status of 0x100"},
    {"messages for notifications alone", SET_PROTOCOL, 0, 8, {1u << 14 | 1u << 3}, 0, "need the back end's channel"},
    {"a notification that was not agreed on", VRING_KICK, 0, 8, {0}, 0, "not agreed on"},
    {"one of a queue that there is not", VRING_KICK, 0, 8, {9}, 0, "no queue 9"},
    {"records for no queues", GET_INFLIGHT, 0, 20, {0, 0, 0, 0, 16u << 16}, 0, "for 0 queues"},
    {"records for too many", GET_INFLIGHT, 0, 20, {0, 0, 0, 0, 16u << 16 | 3}, 0, "for 3 queues"},
    {"records for queues of nothing", GET_INFLIGHT, 0, 20, {0, 0, 0, 0, 2}, 0, "queues of 0"},
    {"records for huge queues", GET_INFLIGHT, 0, 20, {0, 0, 0, 0, 0x80010002}, 0, "queues of 32769"},
    {"records without memory", SET_INFLIGHT, 0, 20, {4096, 0, 0, 0, 16u << 16 | 2}, 0, "one descriptor"},
    {"an eventfd for records", SET_INFLIGHT, 0, 20, {4096, 0, 0, 0, 16u << 16 | 2}, 1, "must be a memfd"},
    {"records that do not fit", SET_INFLIGHT, 0, 20, {512, 0, 0, 0, 16u << 16 | 2}, 1, "records of 512 bytes"},
    {"records that wrap", SET_INFLIGHT, 0, 20, {4096, 0, 0xfffffff8, 0xffffffff, 16u << 16 | 2}, 1, "records of"},
    {"configuration to write beyond its end", SET_CONFIG, 0, 16, {5, 4}, 0, "4 bytes of configuration to write from 5"},
    {"more than there is", SET_CONFIG, 0, 12, {0, 4}, 0, "to write"},
    {"with flags that there are not", SET_CONFIG, 0, 16, {0, 4, 2}, 0, "to write"},
    {"configuration beyond its end", GET_CONFIG, 0, 12, {250, 7}, 0, "7 bytes of configuration from 250"},
    {"configuration that wraps", GET_CONFIG, 0, 12, {0xffffffff, 2}, 0, "configuration"},
    {"very much configuration", GET_CONFIG, 0, 12, {0, 0xffffffff}, 0, "configuration"},
};

static int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_true(vop__closer_wait(INT64_C(10000000000)));
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* Each of them ends the connection with words, or is refused if an answer is wanted; descriptors are let go of. */
static void test_messages(void **state)
{
    int before = open_fds();

    (void)state;
    for (size_t i = 0; i < ROWS(messages) * 2; i++) {
        bool asked = i % 2;
        struct front f;
        int fds[8];
        int ret;

        front_open(&f, FEATURES);
        assert_int_equal(front_u64(&f, SET_PROTOCOL, P_ACK | P_SLOTS), 0);
        for (unsigned k = 0; k < messages[i / 2].fds; k++)
            fds[k] = eventfd(0, EFD_CLOEXEC);
        front_send(&f, messages[i / 2].request, messages[i / 2].flags | (asked ? NEED_REPLY : 0),
                   messages[i / 2].payload, messages[i / 2].size, fds, messages[i / 2].fds);
        ret = vop_vhost_user_process(f.device);
        if (asked && !(messages[i / 2].flags & 6)) {
            uint64_t answer = 0;

            if (ret != 0)
                fail_msg("%s: %d", messages[i / 2].name, ret);
            assert_int_equal(front_answer(&f, messages[i / 2].request, &answer, sizeof(answer)), 8);
            assert_int_equal(answer, 1);
            assert_int_equal(front_u64(&f, SET_FEATURES, FEATURES), 0); /* the connection goes on */
        } else if (ret != -EPROTO || !strstr(vop_error_text(), messages[i / 2].text)) {
            fail_msg("%s: %d, %s", messages[i / 2].name, ret, vop_error_text());
        }
        fds_close(fds, messages[i / 2].fds);
        front_close(&f);
    }
    assert_int_equal(open_fds(), before);
}

/* A size that no payload has, more descriptors than any message, and answers that nobody reads. */
static void test_floods(void **state)
{
    const uint32_t huge[3] = {SET_FEATURES, 1, 0xffffffff};
    int before = open_fds();
    struct front f;
    int fds[9], ret = 0;

    (void)state;
    front_open(&f, FEATURES);
    assert_int_equal(send(f.socket, huge, sizeof(huge), 0), sizeof(huge));
    assert_int_equal(vop_vhost_user_process(f.device), -EPROTO);
    front_close(&f);

    front_open(&f, FEATURES);
    for (unsigned i = 0; i < 9; i++)
        fds[i] = eventfd(0, EFD_CLOEXEC);
    front_send(&f, GET_FEATURES, 0, NULL, 0, fds, 9);
    assert_int_equal(vop_vhost_user_process(f.device), -EPROTO);
    fds_close(fds, 9);
    front_close(&f);

    front_open(&f, FEATURES);
    for (unsigned i = 0; i < 100000 && ret == 0; i++) {
        front_send(&f, GET_FEATURES, 0, NULL, 0, NULL, 0);
        ret = vop_vhost_user_process(f.device);
    }
    assert_int_equal(ret, -EPROTO);
    assert_non_null(strstr(vop_error_text(), "does not read"));
    front_close(&f);

    front_open(&f, FEATURES); /* gone in the middle of a message */
    fds[0] = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(fds_send(f.socket, huge, 4, fds, 1, 0), 4);
    fds_close(fds, 1);
    assert_int_equal(vop_vhost_user_process(f.device), 0);
    assert_int_equal(shutdown(f.socket, SHUT_RDWR), 0);
    assert_int_equal(vop_vhost_user_process(f.device), -EPIPE);
    front_close(&f);
    assert_int_equal(open_fds(), before);
}

/* ---- Memory ---- */

#define S MEMORY_SIZE

static const struct {
    const char *name;
    struct region region[2];
    unsigned count;
    const char *text;
} tables[] = {
    {"of size 0", {{GUEST, 0, USER, 0}}, 1, "size is 0"},
    {"that wraps in the machine", {{UINT64_MAX - 4095, 8192, USER, 0}}, 1, "passes the end"},
    {"that wraps in the front end", {{GUEST, 8192, UINT64_MAX - 4095, 0}}, 1, "passes the end"},
    {"that wraps in its file", {{GUEST, 8192, USER, UINT64_MAX - 4095}}, 1, "passes the end"},
    {"that wraps in this process", {{GUEST, UINT64_C(1) << 63, USER, 0}}, 1, "passes the end"},
    {"that is longer than its file", {{GUEST, S + 1, USER, 0}}, 1, "a file of"},
    {"behind the end of its file", {{GUEST, 4096, USER, S}}, 1, "a file of"},
    {"that overlaps in the machine", {{GUEST, 8192, USER, 0}, {GUEST + 8191, 4096, USER + S, 0}}, 2, "overlaps"},
    {"that overlaps in the front end", {{GUEST, 8192, USER, 0}, {GUEST + S, 4096, USER + 8191, 0}}, 2, "overlaps"},
    {"that is there twice", {{GUEST, 8192, USER, 0}, {GUEST, 8192, USER, 0}}, 2, "overlaps"},
};

static void test_tables(void **state)
{
    int before = open_fds();

    (void)state;
    for (size_t i = 0; i < ROWS(tables); i++) {
        struct front f;
        int ret;

        front_open(&f, FEATURES);
        ret = front_table(&f, tables[i].region, (const int[]){f.memory, f.memory}, tables[i].count);
        if (ret != -EPROTO || !strstr(vop_error_text(), tables[i].text))
            fail_msg("memory %s: %d, %s", tables[i].name, ret, vop_error_text());
        front_close(&f);
    }
    assert_int_equal(open_fds(), before);
}

/* Files that could hold up whoever touches them, or are none. */
static void test_files(void **state)
{
    static const char *const names[] = {"/dev/zero", "/proc/self/mem", "/dev/null", "/"};
    const struct region all = front_region();
    struct front f;

    (void)state;
    for (size_t i = 0; i < ROWS(names); i++) {
        int fd = open(names[i], O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        front_open(&f, FEATURES);
        assert_int_equal(front_table(&f, &all, &fd, 1), -EPROTO);
        front_close(&f);
        close(fd);
    }
    for (unsigned request = SET_KICK; request <= SET_CALL; request++) {
        const uint64_t number = 0;

        front_open(&f, FEATURES);
        assert_int_equal(front_ask(&f, request, &number, 8, &f.memory, 1), -EPROTO);
        front_close(&f);
    }
}

static void send_addr(struct front *f, uint64_t desc, uint64_t avail, uint64_t used)
{
    const struct {
        uint32_t index, flags;
        uint64_t desc, used, avail, log;
    } addr = {0, 0, desc, used, avail, 0};

    front_send(f, SET_ADDR, 0, &addr, sizeof(addr), NULL, 0);
}

/* Areas outside the memory, across its end, misaligned, and over each other; sizes and positions that no queue has. */
static void test_rings(void **state)
{
    static const struct {
        uint64_t desc, avail, used;
        uint32_t num, base;
        bool packed;
    } rows[] = {
        {USER - 16, USER + 0x1000, USER + 0x2000, N, 0, false},
        {USER + S - 16 * N + 16, USER + 0x1000, USER + 0x2000, N, 0, false},
        {USER, USER + S - 2, USER + 0x2000, N, 0, false},
        {USER, USER + 0x1000, UINT64_MAX - 15, N, 0, false},
        {USER, USER + 0x1000, 0, N, 0, false},
        {GUEST, GUEST + 0x1000, GUEST + 0x2000, N, 0, false}, /* addresses of the machine, not of the front end */
        {USER + 8, USER + 0x1000, USER + 0x2000, N, 0, false},
        {USER, USER + 0x1001, USER + 0x2000, N, 0, false},
        {USER, USER + 0x1000, USER + 0x2002, N, 0, false},
        {USER, USER + 0x10, USER + 0x2000, N, 0, false},
        {USER, USER + 0x1000, USER + 0x1002, N, 0, false},
        {USER, USER + 0x1000, USER + 0x2000, 12, 0, false},
        {USER, USER + 0x1000, USER + 0x2000, N, 0x00100010, true},
        {USER, USER + 0x1000, USER + 0x2000, N, 0x00100005, true},
        {USER, USER + 0x1000, USER + 0x2000, N, 0xffffffff, true},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        const uint64_t number = 0;
        struct front f;
        int ret;

        front_open(&f, FEATURES | (rows[i].packed ? F(VOP_F_RING_PACKED) : 0));
        front_negotiate(&f, P_LOG);
        f.kick[0] = eventfd(0, EFD_CLOEXEC);
        assert_int_equal(front_state(&f, SET_NUM, 0, rows[i].num), 0);
        assert_int_equal(front_state(&f, SET_BASE, 0, rows[i].base), 0);
        send_addr(&f, rows[i].desc, rows[i].avail, rows[i].used);
        assert_int_equal(vop_vhost_user_process(f.device), 0);
        assert_int_equal(front_ask(&f, SET_KICK, &number, 8, &f.kick[0], 1), 0);
        ret = front_state(&f, SET_ENABLE, 0, 1);
        if (ret != -EPROTO)
            fail_msg("row %zu: %d, %s", i, ret, vop_error_text());
        assert_int_equal(f.starts, 0);
        front_close(&f);
    }
}

/* What no queue may be told while it runs; and memory that goes from under it. */
static void test_running(void **state)
{
    static const struct region elsewhere = {GUEST + S, S, USER + S, 0};

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        struct {
            uint64_t padding;
            struct region region;
        } one = {0, front_region()};
        struct front f;
        int ret;

        front_open(&f, FEATURES);
        front_negotiate(&f, P_SLOTS);
        front_start(&f, 0, 0);
        front_add(&f, 0, 1);
        if (i == 0)
            ret = front_state(&f, SET_NUM, 0, N);
        else if (i == 1)
            ret = front_state(&f, SET_BASE, 0, 5);
        else if (i == 2)
            ret = front_u64(&f, SET_FEATURES, FEATURES | F(0));
        else if (i == 3)
            ret = front_table(&f, &elsewhere, &f.memory, 1);
        else
            ret = front_ask(&f, REM_REG, &one, sizeof(one), NULL, 0);
        assert_int_equal(ret, i == 4 ? 0 : -EPROTO);
        assert_int_equal(f.starts - f.stops, i > 2 ? 0 : 1);
        front_close(&f);
    }
}

/* ---- A file that is cut short ---- */

static vop_vhost_user *survivor;
static volatile sig_atomic_t faults;

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    faults++;
    if (!vop_vhost_user_survive(survivor, info->si_addr))
        _exit(3);
}

static void test_cut(void **state)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO, .sa_sigaction = on_sigbus}, before;

    (void)state;
    sigaction(SIGBUS, &action, &before);
    for (unsigned packed = 0; packed < 2; packed++) {
        struct vop_taken_buf buf;
        struct iovec iov;
        struct front f;

        faults = 0;
        front_open(&f, FEATURES | (packed ? F(VOP_F_RING_PACKED) : 0));
        survivor = f.device;
        front_negotiate(&f, P_LOG);
        front_start(&f, 0, packed ? 0x80008000 : 0);
        assert_false(vop_vhost_user_survive(f.device, &f));
        assert_int_equal(ftruncate(f.memory, 0), 0);
        (void)vop_virtqueue_take(f.running[0], &iov, 1, &buf); /* whatever it says */
        assert_int_equal(faults, 1);
        assert_true(test_readable(vop_vhost_user_fd(f.device)));
        assert_int_equal(vop_vhost_user_process(f.device), -EPROTO);
        assert_non_null(strstr(vop_error_text(), "cut"));
        front_close(&f);
    }
    survivor = NULL;
    sigaction(SIGBUS, &before, NULL);
}

/* ---- A descriptor that blocks ---- */

static void *call(void *argument)
{
    check(vop_virtqueue_call(argument) >= 0);
    return NULL;
}

/* A front end that fills its descriptor, and has the kernel wait for it, holds up a thread until another ends that. */
static void test_blocked(void **state)
{
    const uint64_t full = UINT64_MAX - 1;
    struct vop_taken_buf buf;
    pthread_t thread;
    struct iovec iov;
    struct front f;

    (void)state;
    front_open(&f, FEATURES);
    front_negotiate(&f, P_LOG);
    front_start(&f, 0, 0);
    front_add(&f, 0, 0);
    assert_int_equal(vop_virtqueue_take(f.running[0], &iov, 1, &buf), 1);
    assert_int_equal(vop_virtqueue_complete(f.running[0], buf.handle, 64), 0);
    assert_false(vop_vhost_user_would_wait(f.device, 0));
    assert_int_equal(write(f.call[0], &full, sizeof(full)), sizeof(full));
    assert_true(vop_vhost_user_would_wait(f.device, 0));
    assert_false(vop_vhost_user_would_wait(f.device, VOP_VHOST_USER_QUEUES_MAX));
    assert_int_equal(fcntl(f.call[0], F_SETFL, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, call, f.running[0]), 0);
    while (pthread_tryjoin_np(thread, NULL) != 0) {
        vop_vhost_user_unblock(f.device);
        (void)usleep(1000);
    }
    assert_int_equal(fcntl(f.call[0], F_SETFL, O_NONBLOCK), 0);
    front_close(&f);
}

/* ---- Chance ---- */

/* Requests, indexes, sizes, addresses and descriptors by chance; the device serves whatever runs. */
static void test_chance(void **state)
{
    static const uint32_t requests[] = {
        GET_FEATURES, SET_FEATURES, SET_MEM_TABLE, SET_NUM,    SET_ADDR,   SET_BASE,   GET_BASE,   SET_KICK,
        SET_CALL,     SET_PROTOCOL, GET_SLOTS,     ADD_REG,    REM_REG,    SET_ENABLE, GET_CONFIG, RESET_DEVICE,
        SET_CONFIG,   GET_INFLIGHT, SET_INFLIGHT,  VRING_KICK, SET_STATUS, GET_STATUS, SET_REQ,    99};
    unsigned connections = getenv("VOP_LONG") ? 20000 : 600;
    int before = open_fds();
    uint64_t seed = 14;

    (void)state;
    for (unsigned i = 0; i < connections; i++) {
        bool packed = test_random(&seed) % 2;
        struct front f;
        int ret = 0;

        front_open(&f, FEATURES | (packed ? F(VOP_F_RING_PACKED) : 0));
        if (test_random(&seed) % 4) {
            front_negotiate(&f, P_ACK | P_SLOTS);
            front_start(&f, 0, packed ? 0x80008000 : 0);
            front_add(&f, 0, 0);
        }
        for (unsigned k = 0; k < 30 && ret == 0; k++) {
            uint64_t payload[9];
            uint32_t request = requests[test_random(&seed) % ROWS(requests)];
            int fds[2] = {test_random(&seed) % 2 ? f.memory : f.socket, f.memory};
            struct vop_taken_buf buf;
            uint8_t answer[1024];
            struct iovec iov[4];

            for (unsigned word = 0; word < ROWS(payload); word++) {
                static const uint64_t likely[] = {0, 1, 2, N, GUEST, USER, S, 0x1000, 0x2000, USER + S / 2, FEATURES};

                payload[word] = likely[test_random(&seed) % ROWS(likely)];
                if (test_random(&seed) % 8 == 0)
                    payload[word] = test_random(&seed) >> test_random(&seed) % 64;
            }
            if (request == SET_KICK || request == SET_CALL)
                fds[0] = f.kick[0] >= 0 ? f.kick[0] : f.memory;
            front_send(&f, request, test_random(&seed) % 8 ? NEED_REPLY : 0, payload,
                       (uint32_t)(test_random(&seed) % 8 ? 40 : test_random(&seed) % sizeof(payload)), fds,
                       (unsigned)(test_random(&seed) % 3));
            ret = vop_vhost_user_process(f.device);
            for (unsigned index = 0; index < QUEUES; index++) {
                if (f.running[index] && vop_virtqueue_take(f.running[index], iov, 4, &buf) > 0)
                    (void)vop_virtqueue_complete(f.running[index], buf.handle, buf.writable_bytes);
            }
            while (recv(f.socket, answer, sizeof(answer), MSG_DONTWAIT) > 0)
                continue;
        }
        assert_true(ret == 0 || ret == -EPROTO || ret == -ENOMEM);
        front_close(&f);
    }
    assert_int_equal(open_fds(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_messages, test_guard), cmocka_unit_test_setup(test_floods, test_guard),
        cmocka_unit_test_setup(test_tables, test_guard),   cmocka_unit_test_setup(test_files, test_guard),
        cmocka_unit_test_setup(test_rings, test_guard),    cmocka_unit_test_setup(test_running, test_guard),
        cmocka_unit_test_setup(test_cut, test_guard),      cmocka_unit_test_setup(test_blocked, test_guard),
        cmocka_unit_test_setup(test_chance, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
