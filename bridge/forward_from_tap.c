/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forward_from_tap.c - frames from the TAP into the peer's half.
 *
 * Room: bridge. forward.h tells when a frame goes directly and when through the private buffer.
 */
#include "forward.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HEADER_SIZE sizeof(struct vop_net_hdr)

/* So much may wait for publication before the peer gets to work on it: batches are cheap, but idle peers are not. */
#define HELD_MAX 16
#define HELD_BYTES_MAX 32768

/* One frame was handled, sent or dropped; go on. Beside enum forward_result. */
#define FORWARD_NEXT 100

static int message_commit(struct forward *forward, size_t length)
{
    bool is_last;
    int error;

    forward->held++;
    forward->held_bytes += length;
    is_last = forward->held >= HELD_MAX || forward->held_bytes >= HELD_BYTES_MAX;
    error = vop_channel_commit(forward->channel, length, is_last ? 0 : VOP_COMMIT_MORE);
    if (error)
        return error;
    if (is_last) {
        forward->held = 0;
        forward->held_bytes = 0;
    }
    return 0;
}

/* ---- Directly ---- */

/* What readv() said, as a result: 0 for a frame of `length` bytes behind the header, else the result to return. */
static int read_judge(struct forward *forward, ssize_t count, size_t longest)
{
    if (count < 0) {
        int error = errno;

        if (error == EAGAIN)
            return FORWARD_IDLE;
        if (error == EBADFD)
            return -EBADFD;
        if (error != EINTR)
            forward->counters->tx_errors++;
        return FORWARD_NEXT;
    }
    /* The kernel cuts what does not fit, without a word; so a read that fills the buffer is no frame. */
    if ((size_t)count < HEADER_SIZE + VOP_NET_FRAME_MIN || (size_t)count >= longest) {
        forward->counters->tx_illegal++;
        return FORWARD_NEXT;
    }
    return FORWARD_MORE;
}

/* The frame lands where the peer will read it, the header with us: it is stored when it is right. */
static int direct_send(struct forward *forward)
{
    struct vop_buffer buffer;
    struct vop_net_hdr hdr;
    struct iovec iov[3];
    ssize_t count;
    int result = vop_channel_reserve(forward->channel, forward->reserve, 0, &buffer);

    if (result < 0)
        return result == -EAGAIN ? FORWARD_FULL : result;
    iov[0].iov_base = &hdr;
    iov[0].iov_len = sizeof(hdr);
    iov[1].iov_base = (uint8_t *)buffer.segment[0].iov_base + sizeof(hdr); /* a slot has 64 bytes at least */
    iov[1].iov_len = buffer.segment[0].iov_len - sizeof(hdr);
    iov[2] = buffer.segment[1];
    count = readv(forward->tap->fd, iov, iov[2].iov_len ? 3 : 2);
    result = read_judge(forward, count, forward->reserve);
    if (result != FORWARD_MORE) {
        vop_channel_cancel(forward->channel);
        return result;
    }
    if (vop_net_hdr_features(&hdr) & ~forward->peer) {
        vop_channel_cancel(forward->channel);
        forward->counters->tx_illegal++;
        return FORWARD_NEXT;
    }
    vop_net_hdr_clean(&hdr, (size_t)count - sizeof(hdr), forward->peer);
    memcpy(buffer.segment[0].iov_base, &hdr, sizeof(hdr));
    forward->counters->tx_frames++;
    forward->counters->tx_bytes += (size_t)count - sizeof(hdr);
    result = message_commit(forward, (size_t)count);
    return result < 0 ? result : FORWARD_NEXT;
}

/* ---- Through the private buffer ---- */

/* Copies to where a message has its byte `offset`. */
static void buffer_write(const struct vop_buffer *buffer, size_t offset, const void *data, size_t length)
{
    const uint8_t *from = data;

    for (int i = 0; i < 2 && length; i++) {
        const struct iovec *segment = &buffer->segment[i];
        size_t part;

        if (offset >= segment->iov_len) {
            offset -= segment->iov_len;
            continue;
        }
        part = segment->iov_len - offset < length ? segment->iov_len - offset : length;
        memcpy((uint8_t *)segment->iov_base + offset, from, part);
        from += part;
        length -= part;
        offset = 0;
    }
}

static int piece_send(struct forward *forward)
{
    const struct forward_piece *piece = &forward->piece;
    size_t length = HEADER_SIZE + piece->length[0] + piece->length[1];
    struct vop_buffer buffer;
    int error = vop_channel_reserve(forward->channel, length, 0, &buffer);

    if (error == -EAGAIN)
        return FORWARD_FULL;
    if (error == -EMSGSIZE) {
        forward->counters->tx_illegal++;
    } else if (error) {
        return error;
    } else {
        buffer_write(&buffer, 0, &piece->hdr, HEADER_SIZE);
        buffer_write(&buffer, HEADER_SIZE, piece->part[0], piece->length[0]);
        buffer_write(&buffer, HEADER_SIZE + piece->length[0], piece->part[1], piece->length[1]);
        error = message_commit(forward, length);
        if (error)
            return error;
    }
    forward->has_piece = false;
    return FORWARD_NEXT;
}

static void segment_take(struct forward *forward)
{
    struct vop_net_segment segment;

    if (!vop_net_segment_next(&forward->segmenter, &segment)) {
        forward->is_segmenting = false;
        return;
    }
    forward->piece = (struct forward_piece){
        .hdr = segment.hdr,
        .part = {segment.header, segment.payload},
        .length = {segment.header_len, segment.payload_len},
    };
    forward->has_piece = true;
    forward->counters->tx_segments++;
}

/* Makes the first piece, or the only one, of a frame in the private buffer. */
static int frame_prepare(struct forward *forward, struct vop_net_hdr *hdr, size_t length)
{
    uint64_t missing = vop_net_hdr_features(hdr) & ~forward->peer;

    if (hdr->gso_type != VOP_NET_HDR_GSO_NONE && (missing || HEADER_SIZE + length > forward->longest)) {
        int count = vop_net_segment_begin(&forward->segmenter, forward->bounce, length, hdr, forward->peer);

        if (count < 0)
            return count;
        forward->is_segmenting = true;
        segment_take(forward);
        return 0;
    }
    if (missing) {
        int error = vop_net_checksum_complete(forward->bounce, length, hdr);

        if (error)
            return error;
        forward->counters->tx_checksums++;
    }
    vop_net_hdr_clean(hdr, length, forward->peer);
    forward->piece = (struct forward_piece){.hdr = *hdr, .part = {forward->bounce, NULL}, .length = {length, 0}};
    forward->has_piece = true;
    return 0;
}

static int frame_take(struct forward *forward)
{
    struct vop_net_hdr hdr;
    struct iovec iov[2] = {
        {.iov_base = &hdr, .iov_len = sizeof(hdr)},
        {.iov_base = forward->bounce, .iov_len = FORWARD_FRAME_MAX + 1},
    };
    ssize_t count = readv(forward->tap->fd, iov, 2);
    int result = read_judge(forward, count, FORWARD_MESSAGE_MAX + 1);

    if (result != FORWARD_MORE)
        return result;
    if (frame_prepare(forward, &hdr, (size_t)count - sizeof(hdr)) < 0) {
        forward->counters->tx_illegal++;
        return FORWARD_NEXT;
    }
    forward->counters->tx_frames++;
    forward->counters->tx_bytes += (size_t)count - sizeof(hdr);
    return FORWARD_NEXT;
}

/* Sends a piece that waits, or makes the next one. */
static int bounced_send(struct forward *forward)
{
    if (!forward->has_piece && forward->is_segmenting)
        segment_take(forward);
    if (!forward->has_piece) {
        int result = frame_take(forward);

        if (result != FORWARD_NEXT || !forward->has_piece)
            return result;
    }
    return piece_send(forward);
}

/* ---- Both ---- */

/* After the link was full: is there enough room to go on? The library remembers a refusal as what to wait for. */
static int room_wait(struct forward *forward)
{
    struct vop_buffer buffer;
    int error = vop_channel_reserve(forward->channel, forward->resume, 0, &buffer);

    if (error)
        return error == -EAGAIN ? FORWARD_FULL : error;
    vop_channel_cancel(forward->channel);
    forward->is_full = false;
    return FORWARD_NEXT;
}

int forward_from_tap(struct forward *forward, unsigned budget)
{
    int result = FORWARD_NEXT;
    int error;

    if (forward->is_full)
        result = room_wait(forward);
    for (unsigned i = 0; i < budget && result == FORWARD_NEXT; i++)
        result = forward->is_direct ? direct_send(forward) : bounced_send(forward);
    if (result == FORWARD_FULL && !forward->is_full) {
        forward->counters->tx_full++;
        forward->is_full = true;
        result = room_wait(forward); /* and say how much we wait for */
    }
    if (result < 0)
        return result;
    if (forward->held) {
        forward->held = 0;
        forward->held_bytes = 0;
        error = vop_channel_flush(forward->channel);
        if (error)
            return error;
    }
    return result == FORWARD_NEXT ? FORWARD_MORE : result;
}
