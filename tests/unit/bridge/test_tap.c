/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_tap.c - the queues of a TAP: whatever number is in use, descriptor i is the kernel's queue i.
 *
 * Room: tests. Needs the right to make a network namespace, in which the interfaces go with the test.
 */
#include "support/test.h"

#include "tap.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define QUEUES 4u

/* A program that sends every frame to one queue. */
static int load_program(unsigned queue)
{
    const struct bpf_insn program[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = (int)queue},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attr = {
        .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
        .insn_cnt = sizeof(program) / sizeof(program[0]),
        .insns = (uintptr_t)program,
        .license = (uintptr_t) "",
    };

    return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

/* Sends a frame out of the interface, as the kernel would. */
static int open_packet(const char *name)
{
    struct ifreq request = {0};
    struct sockaddr_ll address = {.sll_family = AF_PACKET};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    strcpy(request.ifr_name, name);
    assert_int_equal(ioctl(fd, SIOCGIFINDEX, &request), 0);
    address.sll_ifindex = request.ifr_ifindex;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    return fd;
}

static void open_tap(struct tap *tap)
{
    const struct tap_setup setup = {.name = "vopt0", .netns_fd = -1, .is_multi_queue = true, .queues = QUEUES};

    assert_int_equal(tap_open(&setup, tap), 0);
    assert_int_equal(tap->queues, QUEUES);
    assert_int_equal(tap->queues_in_use, QUEUES);
    assert_int_equal(tap_carrier_set(tap, true), 0);
}

static void expect_frame_at(const struct tap *tap, int packet, unsigned queue)
{
    uint8_t frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, (uint8_t)queue};
    uint8_t read_back[128];
    int program = load_program(queue);

    assert_true(program >= 0);
    assert_int_equal(ioctl(tap->queue_fd[0], TUNSETSTEERINGEBPF, &program), 0);
    close(program);
    for (unsigned i = 0; i < tap->queues; i++)
        (void)tap_drain(tap->queue_fd[i]); /* what the kernel itself had to say */
    assert_int_equal(send(packet, frame, sizeof(frame), 0), sizeof(frame));
    for (unsigned i = 0; i < tap->queues; i++) {
        bool found = false;
        ssize_t n;

        while ((n = read(tap->queue_fd[i], read_back, sizeof(read_back))) > 0)
            found |= n == 12 + sizeof(frame) && memcmp(read_back + 12, frame, sizeof(frame)) == 0;
        assert_int_equal(found, i == queue);
    }
}

static void test_order(void **state)
{
    static const unsigned numbers[] = {4, 2, 3, 1, 4, 3, 4};
    struct tap tap;
    int packet;

    (void)state;
    open_tap(&tap);
    packet = open_packet(tap.name);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_int_equal(tap_set_queues(&tap, numbers[i]), 0);
        assert_int_equal(tap.queues_in_use, numbers[i]);
        for (unsigned queue = 0; queue < QUEUES; queue++) {
            struct ifreq request = {0};

            assert_int_equal(ioctl(tap.queue_fd[queue], TUNGETIFF, &request), 0);
            assert_int_equal((request.ifr_flags & IFF_DETACH_QUEUE) != 0, queue >= numbers[i]);
        }
        for (unsigned queue = 0; numbers[i] > 1 && queue < numbers[i]; queue++)
            expect_frame_at(&tap, packet, queue);
    }
    close(packet);
    tap_close(&tap);
}

/* What the peer sends by a pair whose queue is not in use arrives all the same. */
static void test_write_to_a_queue_out_of_use(void **state)
{
    uint8_t frame[12 + 60] = {[12] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, 77};
    struct sockaddr_ll all = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    struct timeval patience = {.tv_sec = 5};
    uint8_t seen[128];
    struct tap tap;
    int packet;
    ssize_t n;

    (void)state;
    open_tap(&tap);
    packet = open_packet(tap.name);
    assert_int_equal(bind(packet, (struct sockaddr *)&all, sizeof(all)), 0);
    assert_int_equal(setsockopt(packet, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(tap_set_queues(&tap, 1), 0);
    assert_int_equal(write(tap.queue_fd[QUEUES - 1], frame, sizeof(frame)), sizeof(frame));
    do {
        n = recv(packet, seen, sizeof(seen), 0);
    } while (n > 0 && (n != 60 || memcmp(seen, frame + 12, 60) != 0));
    assert_int_equal(n, 60);
    close(packet);
    tap_close(&tap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_write_to_a_queue_out_of_use),
    };

    if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) < 0 || unshare(CLONE_NEWNET) < 0) {
        puts("needs root: a network namespace and /dev/net/tun");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
