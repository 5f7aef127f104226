/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_steer_queues.c - steering on a TAP with four queues, in a network namespace of its own: how flows are spread,
 * that changes move only what they mean, and that nothing is left at the end.
 *
 * Room: tests. Frames are sent by a packet socket, as many flows as asked for, each frame with its number.
 */
#include "support/test.h"

#include "steer.h"
#include "util_steer.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define QUEUES 4
#define FLOWS 64
#define HEADERS 42 /* Ethernet, IPv4, UDP */

static int queues[QUEUES];
static int sender;
static struct steer steer;

/* ---- The TAP ---- */

static int open_queue(void)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    strcpy(request.ifr_name, "steer0");
    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
    return fd;
}

static void bring_up(void)
{
    struct ifreq request = {.ifr_flags = 0};
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
    int size = 1 << 20;

    sender = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    assert_true(sender >= 0);
    strcpy(request.ifr_name, "steer0");
    request.ifr_qlen = 10000;
    assert_int_equal(ioctl(sender, SIOCSIFTXQLEN, &request), 0);
    request.ifr_flags = IFF_UP;
    assert_int_equal(ioctl(sender, SIOCSIFFLAGS, &request), 0);
    address.sll_ifindex = (int)if_nametoindex("steer0");
    assert_int_equal(bind(sender, (struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(sender, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* An interface that comes up says so to its neighbours, now and a second later; every frame counts where tests count.
 */
static void silence_ipv6(void)
{
    int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return; /* a kernel without IPv6 */
    assert_int_equal(write(fd, "1", 1), 1);
    close(fd);
}

/* What came before the test began. */
static void drain(void)
{
    char frame[2048];

    for (unsigned i = 0; i < QUEUES; i++) {
        while (read(queues[i], frame, sizeof(frame)) > 0)
            continue;
    }
}

static void set_up_with(const struct steer_wish *wish)
{
    for (unsigned i = 0; i < QUEUES; i++)
        queues[i] = open_queue();
    bring_up();
    steer_open(&steer, queues[0], QUEUES, wish);
    drain();
}

static int set_up(void **state)
{
    (void)state;
    set_up_with(&(struct steer_wish){.mode = STEER_MODE_PROGRAM});
    assert_int_equal(steer.mode, STEER_MODE_PROGRAM);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    steer_close(&steer);
    for (unsigned i = 0; i < QUEUES; i++)
        close(queues[i]);
    close(sender);
    return 0;
}

/* ---- Frames ---- */

/* As if the kernel had chosen it: by chance, from those that it keeps for that. */
static uint16_t get_port(unsigned flow)
{
    uint64_t seed = flow;

    return (uint16_t)(32768 + test_random(&seed) % 28232);
}

static size_t make_frame(unsigned flow, uint32_t number, uint8_t frame[128])
{
    char source[16];
    size_t length = add_ethernet(frame, 0, 0x0800);

    snprintf(source, sizeof(source), "10.0.%u.%u", flow / 256 % 256, flow % 256);
    length = add_ipv4(frame, length, source, "10.1.0.1", 17);
    length = add_ports(frame, length, get_port(flow), 53);
    memcpy(frame + HEADERS, &number, sizeof(number));
    return length;
}

static void send_frame(const uint8_t *frame, size_t length)
{
    while (send(sender, frame, length, 0) < 0)
        assert_true(errno == ENOBUFS || errno == EAGAIN);
}

static void send_number(unsigned flow, uint32_t number)
{
    uint8_t frame[128];

    send_frame(frame, make_frame(flow, number, frame));
}

/* Takes one frame of a queue: which flow, and its number. False: none is there. */
static bool take(unsigned queue, unsigned *ret_flow, uint32_t *ret_number)
{
    uint8_t frame[2048];
    ssize_t length;

    do {
        length = read(queues[queue], frame, sizeof(frame));
        if (length < 0)
            return false;
    } while (length < HEADERS + 4 || frame[12] != 8 || frame[13] != 0 || frame[26] != 10); /* not one of ours */
    *ret_flow = frame[28] * 256u + frame[29];
    memcpy(ret_number, frame + HEADERS, 4);
    return true;
}

/* Sends one frame and finds the queue that it came to. */
static unsigned find_queue(unsigned flow)
{
    unsigned found = QUEUES, got;
    uint32_t number;

    send_number(flow, 7);
    for (unsigned i = 0; i < QUEUES; i++) {
        while (take(i, &got, &number)) {
            assert_int_equal(got, flow);
            assert_int_equal(found, QUEUES);
            found = i;
        }
    }
    assert_true(found < QUEUES);
    return found;
}

/* ---- Tests ---- */

/* 64 flows over four queues: no queue has more than twice the mean, whatever the hash. */
static void test_spread(void **state)
{
    (void)state;
    for (unsigned hash = STEER_HASH_TOEPLITZ; hash <= STEER_HASH_SYMMETRIC; hash++) {
        unsigned count[QUEUES] = {0};
        struct steer_rss rss = {.has_hash = true, .hash = hash};
        struct steer_stats before, stats;

        assert_int_equal(steer_rss(&steer, &rss), 0);
        steer_stats(&steer, &before);
        for (unsigned flow = 0; flow < FLOWS; flow++)
            count[find_queue(flow)]++;
        steer_stats(&steer, &stats);
        for (unsigned i = 0; i < QUEUES; i++) {
            print_message("%u ", count[i]);
            assert_true(count[i] <= 2 * FLOWS / QUEUES);
            assert_int_equal(stats.frames[i] - before.frames[i], count[i]);
        }
        print_message("flows by %s\n", hash == STEER_HASH_TOEPLITZ ? "Toeplitz" : "the symmetric hash");
        assert_int_equal(stats.stages[STEER_HASH] - before.stages[STEER_HASH], FLOWS);
    }
}

static void test_chain(void **state)
{
    struct steer_flow flow = {.source = {10, 0, 0, 5},
                              .destination = {10, 1, 0, 1},
                              .source_port = {(uint8_t)(get_port(5) >> 8), (uint8_t)get_port(5)},
                              .destination_port = {0, 53},
                              .protocol = 17,
                              .version = 4};
    struct steer_rss rss = {.has_spread = true, .spread = {.kind = STEER_SPREAD_WEIGHTS, .count = 1, .weight = {1}}};
    int mark = 77, priority = 5;

    (void)state;
    assert_int_equal(steer_rss(&steer, &rss), 0);
    assert_int_equal(find_queue(5), 0);
    assert_int_equal(steer_class(&steer, STEER_PRIORITY, 5, 1), 0);
    assert_int_equal(find_queue(5), 0);
    assert_int_equal(setsockopt(sender, SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority)), 0);
    assert_int_equal(find_queue(5), 1);
    assert_int_equal(steer_class(&steer, STEER_USER, geteuid(), 3), 0);
    assert_int_equal(find_queue(5), 3);
    assert_int_equal(steer_class(&steer, STEER_MARK, 77, 2), 0);
    assert_int_equal(setsockopt(sender, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
    assert_int_equal(find_queue(5), 2);
    assert_int_equal(steer_pin(&steer, &flow, 3), 0);
    assert_int_equal(find_queue(5), 3);
    assert_int_equal(find_queue(6), 2); /* not this one */
    assert_int_equal(steer_pin(&steer, &flow, STEER_NO_QUEUE), 0);
    assert_int_equal(find_queue(5), 2);
    assert_int_equal(steer_reset(&steer), 0);
    assert_int_equal(steer_class(&steer, STEER_CPU, (uint32_t)sched_getcpu(), 1),
                     0); /* where this test stays for now */
    assert_int_equal(steer_policy(&steer)->classes, 1u << STEER_CPU);
    assert_true(steer_changes(&steer) > 5);
}

static void test_refusals_change_nothing(void **state)
{
    struct steer_flow flow = {.version = 4};
    struct steer_rss rss = {.has_spread = true, .spread = {.kind = STEER_SPREAD_EQUAL, .count = QUEUES + 1}};
    unsigned changes = steer_changes(&steer);

    (void)state;
    assert_int_equal(steer_rss(&steer, &rss), -ERANGE);
    rss.spread = (struct steer_spread){.kind = STEER_SPREAD_WEIGHTS, .count = 2};
    assert_int_equal(steer_rss(&steer, &rss), -ERANGE);
    rss.spread = (struct steer_spread){.kind = STEER_SPREAD_LIST, .list = {[127] = QUEUES}};
    assert_int_equal(steer_rss(&steer, &rss), -ERANGE);
    rss = (struct steer_rss){.has_default = true, .default_queue = QUEUES};
    assert_int_equal(steer_rss(&steer, &rss), -ERANGE);
    assert_int_equal(steer_pin(&steer, &flow, QUEUES), -ERANGE);
    assert_int_equal(steer_pin(&steer, &flow, STEER_NO_QUEUE), -ENOENT);
    assert_int_equal(steer_class(&steer, STEER_PCP, 1, QUEUES), -ERANGE);
    assert_int_equal(steer_class(&steer, STEER_PCP, 9, 1), -ERANGE);
    assert_int_equal(steer_changes(&steer), changes);
}

/* Fewer queues, and as many again: what was meant for one that has gone falls through, and comes back. */
static void test_queue_count(void **state)
{
    unsigned count[QUEUES] = {0};
    struct ifreq detach = {.ifr_flags = IFF_DETACH_QUEUE};
    unsigned changes;

    (void)state;
    assert_int_equal(steer_class(&steer, STEER_USER, geteuid(), 3), 0);
    assert_int_equal(find_queue(1), 3);
    assert_int_equal(ioctl(queues[3], TUNSETQUEUE, &detach), 0); /* the last one: no other moves */
    steer_set_queues(&steer, 3);
    for (unsigned flow = 0; flow < FLOWS; flow++)
        count[find_queue(flow)]++;
    assert_true(count[0] && count[1] && count[2] && !count[3]);
    detach.ifr_flags = IFF_ATTACH_QUEUE;
    assert_int_equal(ioctl(queues[3], TUNSETQUEUE, &detach), 0);
    steer_set_queues(&steer, 4);
    assert_int_equal(find_queue(1), 3);
    changes = steer_changes(&steer);
    steer_set_queues(&steer, 4);
    assert_int_equal(steer_changes(&steer), changes);
}

/* ---- Sparse flows ---- */

/* A hundred long frames of one flow, and then a short one of another. */
static void send_flood(unsigned flood, unsigned sparse)
{
    uint8_t frame[1400] = {0};

    (void)make_frame(flood, 0, frame);
    for (unsigned i = 0; i < 100; i++)
        send_frame(frame, sizeof(frame));
    send_number(sparse, 1);
}

static uint64_t count_escapes(void)
{
    struct steer_stats stats;

    steer_stats(&steer, &stats);
    return stats.stages[STEER_SPARSE];
}

/* It escapes from the queue of a flood, the flood stays; and it is back when the flood is over. */
static void test_sparse(void **state)
{
    unsigned queue = find_queue(0), flood = 1;
    struct steer_rss rss = {.has_sparse = true};
    struct steer_stats before, stats;
    double until = test_seconds() + 20;

    (void)state;
    while (find_queue(flood) != queue)
        flood++;
    for (unsigned i = 0; i < 20; i++)
        send_flood(flood, 0);
    drain();
    steer_stats(&steer, &before);
    do {
        assert_true(test_seconds() < until);
        send_flood(flood, 0);
        steer_stats(&steer, &stats);
    } while (stats.stages[STEER_SPARSE] == before.stages[STEER_SPARSE]);
    assert_int_equal((stats.frames[queue] - before.frames[queue]) % 100, 0);
    assert_true(stats.moved > 0);
    drain();
    test_sleep_ms(200);
    assert_int_equal(find_queue(0), queue);

    rss.is_sparse = false;
    assert_int_equal(steer_rss(&steer, &rss), 0);
    before.stages[STEER_SPARSE] = count_escapes();
    for (unsigned i = 0; i < 50; i++)
        send_flood(flood, 0);
    assert_int_equal(count_escapes(), before.stages[STEER_SPARSE]);
    rss = (struct steer_rss){.has_sparse = true, .is_sparse = true, .has_spread = true};
    rss.spread = (struct steer_spread){.kind = STEER_SPREAD_WEIGHTS, .count = 1, .weight = {1}};
    assert_int_equal(steer_rss(&steer, &rss), 0); /* no other queue is in the table */
    for (unsigned i = 0; i < 50; i++)
        send_flood(flood, 0);
    assert_int_equal(count_escapes(), before.stages[STEER_SPARSE]);
}

/* ---- Changes under load ---- */

enum {
    LOAD_FLOWS = 32,
    ROUNDS = 4000
};

static atomic_bool is_sent;
static atomic_uint sent;

static void *send_all_flows(void *unused)
{
    uint8_t frames[LOAD_FLOWS][128];
    double until = test_seconds() + 20; /* on a slow machine fewer do, too */
    size_t length = 0;

    (void)unused;
    for (unsigned flow = 0; flow < LOAD_FLOWS; flow++)
        length = make_frame(flow, 0, frames[flow]);
    for (uint32_t round = 0; round < ROUNDS && test_seconds() < until; round++) {
        for (unsigned flow = 0; flow < LOAD_FLOWS; flow++) {
            memcpy(frames[flow] + HEADERS, &round, sizeof(round));
            send_frame(frames[flow], length);
        }
        sent += LOAD_FLOWS;
        if (round % 8 == 7)
            test_sleep_ms(1); /* whoever reads them may have no other processor */
    }
    is_sent = true;
    return NULL;
}

/* A table of 128 entries of which half stay, half change each time; and some other change. */
static void change(unsigned number)
{
    struct steer_rss rss = {.has_spread = true, .spread = {.kind = STEER_SPREAD_LIST}};
    struct steer_flow flow = {.source = {99}, .version = 4, .protocol = 6};

    for (unsigned i = 0; i < STEER_TABLE; i++)
        rss.spread.list[i] = (uint16_t)(i % 2 ? i / 2 % QUEUES : (i / 2 + number) % QUEUES);
    check(steer_rss(&steer, &rss) == 0);
    check(steer_pin(&steer, &flow, number % QUEUES) == 0);
    check(steer_class(&steer, STEER_MARK, 1000 + number % 3, number % QUEUES) == 0);
}

/*
 * No frame of a flow whose queue did not change is seen on another queue or out of its order, while the tables change a
 * hundred times a second and more.
 */
static void test_changes_under_load(void **state)
{
    struct {
        uint32_t next; /* on any queue, if it is one of those that stay */
        unsigned queue;
    } flows[LOAD_FLOWS];
    struct steer_rss rss = {.has_sparse = true}; /* none escapes, which is a move, too */
    unsigned stays[LOAD_FLOWS], received = 0, staying = 0, number = 0;
    double begin = test_seconds(), next_change = begin;
    pthread_t thread;
    bool is_done = false;

    (void)state;
    memset(flows, 0, sizeof(flows));
    memset(stays, 0, sizeof(stays));
    is_sent = false;
    sent = 0;
    assert_int_equal(steer_rss(&steer, &rss), 0);
    change(0);
    for (unsigned flow = 0; flow < LOAD_FLOWS;
         flow++) { /* whose entry is an odd one: it is on one queue all four times */
        stays[flow] = 1;
        flows[flow].queue = find_queue(flow);
        for (unsigned i = 1; i < 4; i++) {
            change(i);
            stays[flow] &= find_queue(flow) == flows[flow].queue;
        }
        change(0);
        staying += stays[flow];
    }
    assert_true(staying > 0 && staying < LOAD_FLOWS);
    assert_int_equal(pthread_create(&thread, NULL, send_all_flows, NULL), 0);
    while (!is_done) {
        unsigned flow;
        uint32_t round;

        is_done = is_sent;
        if (test_seconds() >= next_change) {
            change(++number);
            next_change += 0.005;
        }
        for (unsigned queue = 0; queue < QUEUES; queue++) {
            while (take(queue, &flow, &round)) {
                assert_true(flow < LOAD_FLOWS);
                received++;
                if (stays[flow]) {
                    assert_int_equal(queue, flows[flow].queue);
                    assert_true(round >= flows[flow].next);
                    flows[flow].next = round + 1;
                }
            }
        }
        if (is_done)
            break;
    }
    pthread_join(thread, NULL);
    print_message("%u changes in %.1f s; %u of %u frames; %u of %u flows stay\n", number * 3, test_seconds() - begin,
                  received, sent, staying, LOAD_FLOWS);
    assert_true(received > sent / 2);
    assert_true(number >= 20);
}

/* Each queue keeps the order of what it gets: so does a flow, from one of its moves to the next. */
static void test_moved_flows_are_reordered_at_a_move_only(void **state)
{
    uint32_t number = 0, last[QUEUES] = {0};
    unsigned moves = 0, pieces = 0, queue_before = QUEUES;
    unsigned mover = 0, first;

    (void)state;
    do { /* one that moves */
        change(0);
        first = find_queue(++mover);
        change(1);
    } while (find_queue(mover) == first);
    for (unsigned i = 0; i < 40; i++) {
        unsigned queue;

        change(i);
        queue = find_queue(mover);
        moves += queue != queue_before;
        queue_before = queue;
        for (unsigned j = 0; j < 10; j++)
            send_number(mover, ++number);
        for (unsigned j = 0; j < QUEUES; j++) {
            unsigned flow, count = 0;
            uint32_t got;

            while (take(j, &flow, &got)) {
                assert_true(got > last[j]);
                last[j] = got;
                count++;
            }
            assert_true(count == 0 || (count == 10 && j == queue));
            pieces += count != 0;
        }
    }
    assert_int_equal(pieces, 40);
    assert_true(moves > 20);
    print_message("%u moves\n", moves);
}

/* ---- The end, and other beginnings ---- */

/* A persistent TAP keeps its program: not ours. */
static void test_close_detaches(void **state)
{
    struct steer_stats before, after;
    struct bpf_prog_info info = {.id = 0};
    uint32_t size = sizeof(info);
    unsigned tries = 5000;
    int fd;

    (void)state;
    assert_int_equal(bpf_obj_get_info_by_fd(steer.program.fd, &info, &size), 0);
    find_queue(1);
    steer_stats(&steer, &before);
    assert_true(before.stages[STEER_HASH] > 0);
    assert_int_equal(ioctl(queues[0], TUNSETSTEERINGEBPF, &(int){-1}), 0);
    find_queue(1);
    steer_stats(&steer, &after);
    assert_int_equal(after.stages[STEER_HASH], before.stages[STEER_HASH]);
    assert_int_equal(ioctl(queues[0], TUNSETSTEERINGEBPF, &steer.program.fd), 0);
    steer_close(&steer);
    steer_close(&steer); /* does nothing */
    assert_true(find_queue(2) < QUEUES);
    while ((fd = bpf_prog_get_fd_by_id(info.id)) >= 0 && tries--) { /* the kernel frees it a moment later */
        close(fd);
        test_sleep_ms(1);
    }
    assert_true(fd < 0);
}

static void test_falls_back(void **state)
{
    static const struct steer_wish wishes[] = {
        {.mode = STEER_MODE_USER, .object = "/nowhere/at/all.o", .program = "x"},
        {.mode = STEER_MODE_USER, .object = "/proc/self/exe", .program = "x"},
        {.mode = STEER_MODE_USER, .object = "/etc/passwd", .program = "x"},
    };
    unsigned fds = test_count_fds();

    (void)state;
    for (unsigned i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        struct steer_rss rss = {.has_hash = true};

        set_up_with(&wishes[i]);
        assert_int_equal(steer.mode, STEER_MODE_KERNEL);
        assert_true(steer.has_fallen_back);
        assert_non_null(strstr(steer.why, wishes[i].object));
        assert_int_equal(steer_rss(&steer, &rss), -EOPNOTSUPP);
        assert_null(steer_policy(&steer));
        assert_true(find_queue(3) < QUEUES);
        tear_down(NULL);
    }
    set_up_with(&(struct steer_wish){.mode = STEER_MODE_KERNEL});
    assert_int_equal(steer.mode, STEER_MODE_KERNEL);
    assert_false(steer.has_fallen_back);
    tear_down(NULL);
    assert_int_equal(test_count_fds(), fds);
}

/* Without privilege: changes, not loading. */
static void test_changes_need_no_privilege(void **state)
{
    pid_t child = test_child();
    int status;

    (void)state;
    if (child == 0) {
        struct steer_rss rss = {.has_hash = true, .hash = STEER_HASH_NONE};
        struct steer_program other;
        steer_why why;

        check(setgid(65534) == 0 && setuid(65534) == 0);
        check(steer_rss(&steer, &rss) == 0);
        steer_set_queues(&steer, 2);
        check(steer_program_load(&other, why) == -EPERM && strstr(why, "CAP_BPF"));
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(steer_policy(&steer)->hash, STEER_HASH_NONE); /* of the same memory */
    assert_int_equal(steer_policy(&steer)->queues, 2);
    for (unsigned flow = 0; flow < 8; flow++)
        assert_int_equal(find_queue(flow), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_spread),
        TEST(test_chain),
        TEST(test_refusals_change_nothing),
        TEST(test_queue_count),
        TEST(test_sparse),
        TEST(test_changes_under_load),
        TEST(test_moved_flows_are_reordered_at_a_move_only),
        TEST(test_close_detaches),
        cmocka_unit_test(test_falls_back),
        TEST(test_changes_need_no_privilege),
    };

    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
        printf("needs root, a network namespace and /dev/net/tun\n");
        return 77;
    }
    silence_ipv6();
    return cmocka_run_group_tests(tests, test_guard, NULL);
}
