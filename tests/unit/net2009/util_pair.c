/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_pair.c - host and board of a link of 2009 in one thread, the model between.
 *
 * Room: tests.
 */
#include "unit/net2009/util_pair.h"

#include <poll.h>

#define WAIT 20.0 /* s: guards against hangs */

void pair_init(struct pair *p, const struct m8349_options *options, uint32_t half)
{
    memset(p, 0, sizeof(*p));
    p->ends = ends_open(options, half);
    for (unsigned side = 0; side < 2; side++) {
        vop_net2009_options_init(&p->options[side], sizeof(p->options[side]));
        for (unsigned i = 0; i < VOP_NET2009_DEVICES; i++) {
            struct vop_net2009_offer *offer = &p->options[side].offer[i];

            offer->features =
                VOP_NET_FEATURE(VOP_NET_F_MAC) | VOP_NET_FEATURE(VOP_NET_F_MTU) | VOP_NET_FEATURE(VOP_NET_F_STATUS);
            offer->config = (struct vop_net_config){.mac = {2, 0, 0, 0, (uint8_t)side, (uint8_t)i},
                                                    .status = vop_to_le16(VOP_NET_S_LINK_UP),
                                                    .mtu = vop_to_le16(1500)};
        }
    }
}

void pair_open(struct pair *p, unsigned side)
{
    struct vop__mpc8349_end end = ends_end(p->ends, side);

    if (vop__net2009_adopt(&end, side, &p->options[side], &p->link[side]) < 0)
        fail_msg("%s", vop_error_text());
    for (unsigned i = 0; i < VOP_NET2009_DEVICES; i++) {
        if (vop_net2009_devices(p->link[side]) & 1u << i)
            vop_net2009_start(p->link[side], i);
    }
}

void pair_close(struct pair *p, unsigned side)
{
    vop_net2009_close(p->link[side]);
    p->link[side] = NULL;
}

void pair_end(struct pair *p)
{
    pair_close(p, HOST);
    pair_close(p, BOARD);
    ends_close(p->ends);
}

void pair_step(struct pair *p)
{
    struct pollfd fds[2] = {{.fd = -1}, {.fd = -1}};

    for (unsigned side = 0; side < 2; side++) {
        if (p->link[side])
            fds[side] = (struct pollfd){.fd = vop_net2009_fd(p->link[side]), .events = POLLIN};
    }
    (void)poll(fds, 2, 1);
    for (unsigned side = 0; side < 2; side++) {
        if (fds[side].revents)
            (void)vop_net2009_process(p->link[side]);
    }
}

void pair_wait(struct pair *p, unsigned side, unsigned device, bool is_up)
{
    double begin = test_seconds();

    while (vop_net2009_is_up(p->link[side], device) != is_up) {
        assert_true(test_seconds() - begin < WAIT);
        pair_step(p);
    }
}

void pair_meet(struct pair *p)
{
    for (unsigned side = 0; side < 2; side++) {
        for (unsigned i = 0; i < VOP_NET2009_DEVICES; i++) {
            if (vop_net2009_devices(p->link[side]) & 1u << i)
                pair_wait(p, side, i, true);
        }
    }
}

/* ---- Frames ---- */

size_t pair_size(unsigned number)
{
    return sizeof(struct vop_net_hdr) + VOP_NET_FRAME_MIN + number * 37 % 1500;
}

static uint8_t byte_of(unsigned side, unsigned device, unsigned number, size_t at)
{
    return (uint8_t)(side * 101 + device * 53 + number * 11 + at * 3 + (at >> 7));
}

static void fill(const struct vop_net2009_message *m, unsigned side, unsigned device, unsigned number)
{
    size_t at = 0, size = pair_size(number);

    for (unsigned i = 0; i < m->count; i++) {
        uint8_t *bytes = m->segment[i].iov_base;

        for (size_t j = 0; j < m->segment[i].iov_len && at < size; j++, at++)
            bytes[j] = at < sizeof(struct vop_net_hdr) ? 0 : byte_of(side, device, number, at);
    }
}

static void check_frame(const struct vop_net2009_message *m, unsigned side, unsigned device, unsigned number)
{
    size_t at = 0;

    assert_int_equal(m->length, pair_size(number));
    for (unsigned i = 0; i < m->count; i++) {
        const uint8_t *bytes = m->segment[i].iov_base;

        for (size_t j = 0; j < m->segment[i].iov_len; j++, at++) {
            if (at >= sizeof(struct vop_net_hdr) && bytes[j] != byte_of(side, device, number, at))
                fail_msg("frame %u of side %u, byte %zu", number, side, at);
        }
    }
    assert_int_equal(at, m->length);
}

int pair_send(struct pair *p, unsigned side, unsigned device, bool more)
{
    unsigned number = p->sent[side][device];
    struct vop_net2009_message room;
    int ret = vop_net2009_reserve(p->link[side], device, pair_size(number), &room);

    if (ret < 0)
        return ret;
    assert_true(room.length >= pair_size(number));
    fill(&room, side, device, number);
    ret = vop_net2009_commit(p->link[side], device, pair_size(number), more);
    p->sent[side][device] += ret == 0;
    return ret;
}

int pair_receive(struct pair *p, unsigned side, unsigned device)
{
    struct vop_net2009_message m;
    int count = 0, ret;

    while ((ret = vop_net2009_peek(p->link[side], device, &m)) == 1) {
        check_frame(&m, 1 - side, device, p->received[side][device]++);
        assert_int_equal(vop_net2009_release(p->link[side], device), 0);
        count++;
    }
    return ret == -EAGAIN ? count : ret;
}

void pair_exchange(struct pair *p, unsigned device, unsigned count)
{
    unsigned until[2] = {p->sent[0][device] + count, p->sent[1][device] + count};
    double begin = test_seconds();

    while (p->received[0][device] < until[1] || p->received[1][device] < until[0]) {
        bool is_idle = true;

        assert_true(test_seconds() - begin < WAIT);
        for (unsigned side = 0; side < 2; side++) {
            int ret = 0;

            while (ret == 0 && p->sent[side][device] < until[side])
                ret = pair_send(p, side, device, p->sent[side][device] % 4);
            assert_true(ret == 0 || ret == -EAGAIN);
            assert_int_equal(vop_net2009_flush(p->link[side], device), 0);
        }
        for (unsigned side = 0; side < 2; side++) {
            assert_true(pair_receive(p, side, device) >= 0);
            is_idle = is_idle && vop_net2009_arm(p->link[side], device, true) == 0;
        }
        if (is_idle)
            pair_step(p);
    }
}
