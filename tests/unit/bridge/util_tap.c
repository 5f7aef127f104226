/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_tap.c - finds out which queue of a TAP is the kernel's queue of a number.
 *
 * Room: tests.
 */
#include "util_tap.h"

#include "offload.h"
#include "support/test.h"

#include <linux/bpf.h>
#include <linux/if.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

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

int tap_open_packet(const char *name)
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

void tap_expect_frame_at(const struct tap *tap, int packet, unsigned queue)
{
    uint8_t frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, (uint8_t)queue};
    uint8_t read_back[128];
    size_t header = offload_header_size(tap->offload);
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
            found |= n == (ssize_t)(header + sizeof(frame)) && memcmp(read_back + header, frame, sizeof(frame)) == 0;
        assert_int_equal(found, i == queue);
    }
}
