/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_tap.c - the queues of a TAP: whatever number is in use, descriptor i is the kernel's queue i.
 *
 * Room: tests. Needs the right to make a network namespace, in which the interfaces go with the test.
 */
#include "support/test.h"

#include "tap.h"
#include "util_tap.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define QUEUES 4u

static void open_tap(struct tap *tap)
{
    const struct tap_setup setup = {.name = "vopt0", .netns_fd = -1, .is_multi_queue = true, .queues = QUEUES};

    assert_int_equal(tap_open(&setup, tap), 0);
    assert_int_equal(tap->queues, QUEUES);
    assert_int_equal(tap->queues_in_use, QUEUES);
    assert_int_equal(tap_carrier_set(tap, true), 0);
}

static void test_order(void **state)
{
    static const unsigned numbers[] = {4, 2, 3, 1, 4, 3, 4};
    struct tap tap;
    int packet;

    (void)state;
    open_tap(&tap);
    packet = tap_open_packet(tap.name);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_int_equal(tap_set_queues(&tap, numbers[i]), 0);
        assert_int_equal(tap.queues_in_use, numbers[i]);
        for (unsigned queue = 0; queue < QUEUES; queue++) {
            struct ifreq request = {0};

            assert_int_equal(ioctl(tap.queue_fd[queue], TUNGETIFF, &request), 0);
            assert_int_equal((request.ifr_flags & IFF_DETACH_QUEUE) != 0, queue >= numbers[i]);
        }
        for (unsigned queue = 0; numbers[i] > 1 && queue < numbers[i]; queue++)
            tap_expect_frame_at(&tap, packet, queue);
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
    packet = tap_open_packet(tap.name);
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
