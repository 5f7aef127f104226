/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forward_from_tap.c - frames from the TAP to the peer.
 *
 * Room: bridge. forward.h tells when a frame goes directly and when through the private buffer.
 */
#include "forward.h"
#include "frame.h"
#include "log.h"

#include "net/sum.h"

#include <errno.h>
#include <unistd.h>
#include <vopipc/error.h>
#include <vopipc/le.h>

/* So much may be held back before the peer is shown it: a batch is cheap, but meanwhile the peer has nothing to do. */
#define HELD_MAX 16
#define HELD_BYTES_MAX 32768

/* One frame was handled, sent or dropped; go on. Beside enum forward_result. */
#define FORWARD_NEXT 100

static int commit_message(struct forward *forward, size_t length)
{
    bool is_last;
    int ret;

    forward->held++;
    forward->held_bytes += length;
    is_last = forward->held >= HELD_MAX || forward->held_bytes >= HELD_BYTES_MAX;
    ret = forward->port->ops->commit(forward->port, length, !is_last);
    if (ret)
        return ret;
    if (is_last) {
        forward->held = 0;
        forward->held_bytes = 0;
    }
    return 0;
}

static int flush_held(struct forward *forward)
{
    if (!forward->held)
        return 0;
    forward->held = 0;
    forward->held_bytes = 0;
    return forward->port->ops->flush(forward->port);
}

/* Once a session, for they come in numbers; the counter has them all. */
static void drop_too_long(struct forward *forward, size_t message_max)
{
    forward->setup.counters->tx_illegal++;
    if (forward->has_complained)
        return;
    forward->has_complained = true;
    log_warning(
        "frames longer than %zu bytes are dropped, the link has no room for them; lower the MTU of the interface, "
        "or start both bridges again with this --mtu and enough --slots",
        message_max - forward->port->header_size);
}

/*
 * What readv() into room for `room` bytes of header and frame returned: FORWARD_MORE for a frame, else what the caller
 * is to return.
 */
static int judge_read(struct forward *forward, ssize_t count, size_t room)
{
    if (count < 0) {
        int err = errno;

        if (err == EAGAIN)
            return FORWARD_IDLE;
        if (err == EBADFD)
            return -EBADFD;
        if (err != EINTR)
            forward->setup.counters->tx_errors++;
        return FORWARD_NEXT;
    }
    if ((size_t)count >= forward->tap_header + VOP_NET_FRAME_MIN && (size_t)count < room)
        return FORWARD_MORE;
    /* Room that is filled to the last byte held no frame, but the beginning of one: see frame_message_room(). */
    if ((size_t)count >= room)
        drop_too_long(forward, room - 1);
    else
        forward->setup.counters->tx_illegal++;
    return FORWARD_NEXT;
}

/* Counts a frame for which there is no memory. What is missing is said once a session. */
static void count_without_memory(struct forward *forward)
{
    forward->setup.counters->tx_errors++;
    if (forward->has_lacked_memory)
        return;
    forward->has_lacked_memory = true;
    log_warning("frames to the peer are dropped: %s", vop_error_text());
}

/* ---- Offsets of tunnels ---- */

#define TAGGED_HEAD 24 /* bytes of a frame up to the first one of its IP header, behind two VLAN tags */

/* Where the outer UDP header begins, or 0 if that is not to be seen at once. */
static size_t find_outer(const uint8_t *head, size_t length)
{
    size_t l3 = FRAME_ETHERNET_SIZE;

    if (length < TAGGED_HEAD)
        return 0;
    while (l3 < TAGGED_HEAD - 2 && (vop__net_get16(head + l3 - 2) == 0x8100 || vop__net_get16(head + l3 - 2) == 0x88a8))
        l3 += FRAME_VLAN_SIZE;
    if (head[l3] >> 4 == 4)
        return l3 + (size_t)(head[l3] & 15) * 4;
    return head[l3] >> 4 == 6 ? l3 + 40 : 0;
}

static bool is_tunnel(const struct vop_net_tunnel_hdr *hdr)
{
    return hdr->hdr.gso_type & (VOP_NET_HDR_GSO_UDP_TUNNEL_IPV4 | VOP_NET_HDR_GSO_UDP_TUNNEL_IPV6);
}

/*
 * A kernel (6.18 still) that holds a VLAN tag beside the frame puts it in for us, and forgets it in these two offsets,
 * but not in csum_start.
 */
static void mend_offsets(struct vop_net_tunnel_hdr *hdr, const uint8_t *head, size_t length)
{
    unsigned outer = vop_from_le16(hdr->outer_th_offset), inner = vop_from_le16(hdr->inner_nh_offset);

    if (!is_tunnel(hdr) || find_outer(head, length) != outer + FRAME_VLAN_SIZE)
        return;
    hdr->outer_th_offset = vop_to_le16((uint16_t)(outer + FRAME_VLAN_SIZE));
    hdr->inner_nh_offset = vop_to_le16((uint16_t)(inner + FRAME_VLAN_SIZE));
}

/* ---- Captures ---- */

/* A frame in the room that was made for it, behind a header. */
static void capture_direct(struct forward *forward, const struct port_buffer *buffer, size_t length)
{
    int count = port_buffer_tail(buffer, forward->port->header_size, forward->iov);

    capture_ring_add(forward->setup.capture, CAPTURE_OUT, forward->iov, count, length);
}

/* A frame in the private buffer. */
static void capture_bounced(struct forward *forward, size_t length)
{
    const struct iovec iov = {forward->bounce, length};

    capture_ring_add(forward->setup.capture, CAPTURE_OUT, &iov, 1, length);
}

/* ---- Directly ---- */

/* Takes the next frame off the TAP, for which there is no memory at the peer. */
static int drop_unread(struct forward *forward)
{
    uint8_t bytes[FRAME_HEADER_MAX + VOP_NET_FRAME_MIN]; /* the rest of it is thrown away by the kernel */
    int ret = judge_read(forward, read(forward->setup.tap_fd, bytes, sizeof(bytes)), SIZE_MAX);

    if (ret == FORWARD_MORE)
        count_without_memory(forward);
    return ret == FORWARD_MORE ? FORWARD_NEXT : ret;
}

/* One piece costs less than a list of one. */
static ssize_t read_pieces(int fd, const struct iovec *iov, int count)
{
    return count == 1 ? read(fd, iov->iov_base, iov->iov_len) : readv(fd, iov, count);
}

/* The beginning of the frame is looked at for tunnels only. */
static void mend_direct(const struct forward *forward, const struct port_buffer *buffer, struct vop_net_tunnel_hdr *hdr,
                        size_t length)
{
    uint8_t head[TAGGED_HEAD];
    size_t size = length < sizeof(head) ? length : sizeof(head);

    if (!is_tunnel(hdr))
        return;
    port_buffer_read(buffer, forward->port->header_size, head, size);
    mend_offsets(hdr, head, size);
}

/*
 * Header and frame land where the peer will read them, the frame in its place. What the kernel says in the header is
 * checked in a copy, and then stored. A peer that changes it meanwhile deceives nobody but itself.
 */
static int send_direct(struct forward *forward)
{
    struct port *port = forward->port;
    size_t begin = port->header_size - forward->tap_header; /* the kernel's header may be the shorter one */
    struct vop_net_tunnel_hdr hdr = {.hdr.flags = 0};
    struct port_buffer buffer;
    size_t length;
    ssize_t count;
    int ret = port->ops->reserve(port, forward->reserve, &buffer);

    if (ret == -ENOMEM)
        return drop_unread(forward);
    if (ret < 0)
        return ret == -EAGAIN ? FORWARD_FULL : ret;
    count = read_pieces(forward->setup.tap_fd, forward->iov, port_buffer_tail(&buffer, begin, forward->iov));
    ret = judge_read(forward, count, forward->reserve - begin);
    if (ret != FORWARD_MORE) {
        port->ops->cancel(port);
        return ret;
    }
    port_buffer_read(&buffer, begin, &hdr, forward->tap_header);
    if (vop_net_hdr_features(&hdr.hdr) & ~port->features) {
        port->ops->cancel(port);
        forward->setup.counters->tx_illegal++;
        return FORWARD_NEXT;
    }
    length = (size_t)count - forward->tap_header;
    mend_direct(forward, &buffer, &hdr, length);
    vop_net_tunnel_hdr_clean(&hdr, length, port->features);
    port_buffer_write(&buffer, 0, &hdr, port->header_size);
    if (forward->setup.capture)
        capture_direct(forward, &buffer, length);
    forward->setup.counters->tx_frames++;
    forward->setup.counters->tx_bytes += length;
    ret = commit_message(forward, port->header_size + length);
    return ret < 0 ? ret : FORWARD_NEXT;
}

/* ---- Through the private buffer ---- */

static int send_piece(struct forward *forward)
{
    const struct forward_piece *piece = &forward->piece;
    size_t header_size = forward->port->header_size;
    size_t length = header_size + piece->length[0] + piece->length[1];
    struct port_buffer buffer;
    int ret = forward->port->ops->reserve(forward->port, length, &buffer);

    if (ret == -EAGAIN)
        return FORWARD_FULL;
    if (ret == -EMSGSIZE) {
        drop_too_long(forward, forward->port->message_max);
    } else if (ret == -ENOMEM) {
        count_without_memory(forward);
    } else if (ret) {
        return ret;
    } else {
        port_buffer_write(&buffer, 0, &piece->hdr, header_size);
        port_buffer_write(&buffer, header_size, piece->part[0], piece->length[0]);
        port_buffer_write(&buffer, header_size + piece->length[0], piece->part[1], piece->length[1]);
        ret = commit_message(forward, length);
        if (ret)
            return ret;
    }
    forward->has_piece = false;
    return FORWARD_NEXT;
}

static void take_segment(struct forward *forward)
{
    struct vop_net_segment segment;

    if (!vop_net_segment_next(&forward->segmenter, &segment)) {
        forward->is_segmenting = false;
        return;
    }
    forward->piece = (struct forward_piece){
        .hdr.hdr = segment.hdr,
        .part = {segment.header, segment.payload},
        .length = {segment.header_len, segment.payload_len},
    };
    forward->has_piece = true;
    forward->setup.counters->tx_segments++;
}

/* Makes the first piece, or the only one, of a frame in the private buffer. */
static int prepare_frame(struct forward *forward, struct vop_net_tunnel_hdr *hdr, size_t length)
{
    uint64_t features = forward->port->features;
    uint64_t missing = vop_net_hdr_features(&hdr->hdr) & ~features;

    if (hdr->hdr.gso_type != VOP_NET_HDR_GSO_NONE &&
        (missing || forward->port->header_size + length > forward->longest)) {
        int count = vop_net_tunnel_segment_begin(&forward->segmenter, forward->bounce, length, hdr, features);

        if (count < 0)
            return count;
        forward->is_segmenting = true;
        take_segment(forward);
        return 0;
    }
    if (missing) {
        int ret = vop_net_checksum_complete(forward->bounce, length, &hdr->hdr);

        if (ret)
            return ret;
        forward->setup.counters->tx_checksums++;
    }
    vop_net_tunnel_hdr_clean(hdr, length, features);
    forward->piece = (struct forward_piece){.hdr = *hdr, .part = {forward->bounce, NULL}, .length = {length, 0}};
    forward->has_piece = true;
    return 0;
}

static int take_frame(struct forward *forward)
{
    struct vop_net_tunnel_hdr hdr = {.hdr.flags = 0};
    struct iovec iov[2] = {
        {.iov_base = &hdr, .iov_len = forward->tap_header},
        {.iov_base = forward->bounce, .iov_len = FRAME_MAX + 1},
    };
    ssize_t count = readv(forward->setup.tap_fd, iov, 2);
    int ret = judge_read(forward, count, forward->tap_header + FRAME_MAX + 1);

    if (ret != FORWARD_MORE)
        return ret;
    mend_offsets(&hdr, forward->bounce, (size_t)count - forward->tap_header);
    if (prepare_frame(forward, &hdr, (size_t)count - forward->tap_header) < 0) {
        forward->setup.counters->tx_illegal++;
        return FORWARD_NEXT;
    }
    if (forward->setup.capture)
        capture_bounced(forward, (size_t)count - forward->tap_header);
    forward->setup.counters->tx_frames++;
    forward->setup.counters->tx_bytes += (size_t)count - forward->tap_header;
    return FORWARD_NEXT;
}

/* Sends a piece that waits, or makes the next one. */
static int send_bounced(struct forward *forward)
{
    if (!forward->has_piece && forward->is_segmenting)
        take_segment(forward);
    if (!forward->has_piece) {
        int ret = take_frame(forward);

        if (ret != FORWARD_NEXT || !forward->has_piece)
            return ret;
    }
    return send_piece(forward);
}

/* ---- Both ---- */

/* After the link was full: is there enough room to go on? The port remembers a refusal as what to wait for. */
static int ask_for_room(struct forward *forward)
{
    struct port *port = forward->port;
    struct port_buffer buffer;
    int ret = port->ops->reserve(port, forward->resume, &buffer);

    if (ret == -EAGAIN)
        return FORWARD_FULL;
    if (ret && ret != -ENOMEM) /* then there are slots: go on, and drop what there is no memory for */
        return ret;
    if (!ret)
        port->ops->cancel(port);
    forward->is_full = false;
    return FORWARD_NEXT;
}

int forward_from_tap(struct forward *forward, unsigned budget)
{
    const struct counters *counters = forward->setup.counters;
    uint64_t enough = counters->tx_bytes + FORWARD_BYTES;
    int ret = FORWARD_NEXT;
    int flushed;

    if (forward->is_full)
        ret = ask_for_room(forward);
    for (unsigned i = 0; i < budget && counters->tx_bytes < enough && ret == FORWARD_NEXT; i++)
        ret = forward->is_direct ? send_direct(forward) : send_bounced(forward);
    if (ret == FORWARD_FULL && !forward->is_full) {
        forward->setup.counters->tx_full++;
        forward->is_full = true;
        ret = ask_for_room(forward); /* and so say how much we wait for */
    }
    if (ret < 0)
        return ret;
    flushed = flush_held(forward);
    if (flushed)
        return flushed;
    return ret == FORWARD_NEXT ? FORWARD_MORE : ret;
}
