/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * board_link.c - what the message registers of an MPC8349, and the memory behind its BAR 1, say of a link in use.
 *
 * Room: tools. That memory is what the board reads, so the host has written it: but for the board's status words of
 * 2009.
 */
#include "board.h"
#include "wire/mpc8349_2009.h"
#include "wire/mpc8349_regs.h"

#include <vopipc/abi.h>

#define ALIGN(size, to) (((size) + (to)-1) / (to) * (to))

unsigned board_layout(uint32_t omr1)
{
    unsigned layout = omr1 >> 20 & 0xf;

    return omr1 >> 24 == 0x56 && layout <= 2 ? layout : 0;
}

static json_t *describe_index(const struct board *board, size_t offset, bool is_high)
{
    uint32_t word = board_load_block(board, offset);

    return json_integer(is_high ? word >> 16 : word & 0xffff);
}

/* ---- The layout of 2009 ---- */

static json_t *describe_device(const struct board *board, unsigned device)
{
    size_t at = device * (size_t)VOP__2009_DEVICE;
    size_t queue = at + VOP__2009_QUEUE_BLOCK + VOP__2009_DESC + VOP__2009_IDX;

    return json_pack("{s:i, s:I, s:o, s:[o, o]}", "device", (int)device, "board_status",
                     (json_int_t)board_load_block(board, at + VOP__2009_STATUS), "board_features",
                     json_sprintf("0x%08x%08x", board_load_block(board, at + VOP__2009_FEATURES + 4),
                                  board_load_block(board, at + VOP__2009_FEATURES)),
                     "avail", describe_index(board, queue, false),
                     describe_index(board, queue + VOP__2009_QUEUE_BLOCK, false));
}

static json_t *describe_2009(const struct board *board)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < VOP_NET2009_DEVICES; i++) {
        if (board_load_block(board, i * (size_t)VOP__2009_DEVICE) != 0)
            json_array_append_new(list, describe_device(board, i));
    }
    return json_pack("{s:s, s:o}", "layout", "2009", "devices", list);
}

/* ---- The native link ---- */

/* Slots of the host's receive queue: the table of their descriptors says where it ends. 0: it makes no sense. */
static uint32_t count_slots(const struct board *board)
{
    uint32_t slots = board_load_block(board, offsetof(struct vop_announce, queue_pairs)) >> 16;
    uint32_t first = board_load_block(board, VOP_AREA_OFFSET);
    uint32_t size = board_load_block(board, VOP_AREA_OFFSET + offsetof(struct vop_desc, len));

    for (; slots >= 2; slots /= 2) {
        size_t last = VOP_AREA_OFFSET + (slots - 1) * sizeof(struct vop_desc);

        if (board_load_block(board, last) == first + (slots - 1) * size &&
            board_load_block(board, last + offsetof(struct vop_desc, len)) == size &&
            board_load_block(board, last + offsetof(struct vop_desc, flags)) == VOP_DESC_F_WRITE)
            return slots;
    }
    return 0;
}

static json_t *describe_native(const struct board *board)
{
    static const char *const states[] = {"absent", "HELLO", "READY", "CLOSING"};
    uint32_t state = board_load_block(board, offsetof(struct vop_announce, state)), slots = count_slots(board);
    size_t avail = VOP_AREA_OFFSET + ALIGN(slots * sizeof(struct vop_desc), VOP_AREA_ALIGN);
    size_t used = avail + ALIGN(4 + 2 * (size_t)slots + 4, VOP_AREA_ALIGN);
    bool is_host = board_load_block(board, 0) == VOP_ANNOUNCE_MAGIC && state < 4;

    if (!is_host || slots == 0)
        return json_pack("{s:s, s:s}", "layout", "native", "host", is_host ? states[state] : "absent");
    return json_pack("{s:s, s:s, s:I, s:I, s:o, s:o}", "layout", "native", "host", states[state], "heartbeat",
                     (json_int_t)board_load_block(board, offsetof(struct vop_announce, heartbeat)), "slots",
                     (json_int_t)slots, "avail", describe_index(board, avail, true), "used",
                     describe_index(board, used, true));
}

json_t *board_describe_link(const struct board *board)
{
    uint32_t omr1 = board_load(board, MPC8349_OMR1);
    unsigned layout = board_layout(omr1);
    json_t *link;

    if (layout == 0 || omr1 == UINT32_MAX)
        return json_null();
    link = layout == 2 ? describe_2009(board) : describe_native(board);
    json_object_set_new(link, "bus_address", json_sprintf("0x%08x", board_load(board, MPC8349_OMR0)));
    json_object_set_new(link, "size", json_integer((json_int_t)(omr1 & 0xfffff) * 4096));
    return link;
}
