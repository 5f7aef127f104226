/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port.h - what the bridge needs of a link: one queue of messages to receive and one to send, whatever carries them.
 *
 * Room: bridge. A message is a virtio header and a frame. Both are used in place: whoever implements a port shows where
 * they lie, and neither allocates nor copies for a message. port_channel.h puts a channel of the library behind it.
 *
 * A port lives as long as a session. All calls on it come from one thread, the one that forwards its frames.
 */
#ifndef VOP_BRIDGE_PORT_H
#define VOP_BRIDGE_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct port;

/** The most segments of one message. A channel has two at most; a machine's driver has its frames in pieces. */
#define PORT_SEGMENT_MAX 64

/** Where a message lies, or room for one. The peer can read and change it at any time. */
struct port_buffer {
    const struct iovec *segment; /* of the port, valid as long as the message or the room is */
    unsigned count;              /* of segments: 1 to PORT_SEGMENT_MAX */
    size_t length;               /* bytes in all of them */
};

/** What a port has to tell of its session. */
struct port_facts {
    uint64_t
        kicks; /* of the peer, since some moment before the session; 0 where the layout of 2009 does not count them */
    int64_t depth; /* frames sent that the peer has not given back; -1: that cannot be known */
};

/**
 * What each kind of port does in its own way. No call blocks. Besides what is said of each, all that return a
 * number may return how the session ended: -ECONNRESET the peer is gone without closing, -EPIPE it has closed, -EPROTO
 * it broke the protocol; then vop_error_text() says more.
 */
struct port_ops {
    /**
     * Shows the next message. It stays until it is released, and there is no other peek before that.
     * Returns 1 with a message, 0 if the peer has closed and all was received, or -EAGAIN: there is none.
     */
    int (*peek)(struct port *port, struct port_buffer *ret_buffer);

    /** Gives the message that was peeked back to the peer, who may be told later. Returns 0. */
    int (*release)(struct port *port);

    /**
     * Makes room for a message of up to `length` bytes. It is committed or cancelled before the next reserve.
     * Returns 0, -EAGAIN: there is no room now, -EMSGSIZE: there will never be, `length` is beyond `message_max`, or
     * -ENOMEM: there is room, but no memory behind it; vop_error_text() says more, and nobody wakes when there is some.
     */
    int (*reserve)(struct port *port, size_t length, struct port_buffer *ret_buffer);

    /**
     * Sends the first `length` bytes of the room as a message. With `more` it may be held back until a commit without
     * it, a flush or an arm. Returns 0.
     */
    int (*commit)(struct port *port, size_t length, bool more);

    /** Gives the room back. */
    void (*cancel)(struct port *port);

    /** Shows the peer what was held back. Returns 0. */
    int (*flush)(struct port *port);

    /**
     * Asks to be woken by `fd` when there is a message or, with `for_room`, when there is the room that was last
     * refused with -EAGAIN. Returns 0: armed, sleep; or 1: do not, there is something to do.
     */
    int (*arm)(struct port *port, bool for_room);

    /**
     * Takes what `fd` has announced. Returns 0; or 1: what the peer says of its interface has changed since the last
     * time, which one port of a session tells for all of them. After -ECONNRESET there may still be messages to
     * receive; after any other error the session is over.
     */
    int (*process)(struct port *port);

    /**
     * Has the peer taken all that was sent? What it has not it may never take, once this side closes. Returns 1 or 0.
     * NULL: the peer takes that, too.
     */
    int (*is_taken)(struct port *port);

    /** Fills all of the facts, also when the session is over. */
    void (*look)(struct port *port, struct port_facts *ret_facts);
};

/** What all ports have. A specific one begins with this. */
struct port {
    const struct port_ops *ops;
    int fd;              /* polls readable when there is something to process */
    uint64_t features;   /* virtio-net features of the peer: what it can receive, normalized */
    size_t header_size;  /* bytes of the virtio header of each message: of struct vop_net_hdr or vop_net_tunnel_hdr */
    size_t message_max;  /* bytes of the longest message, and of all messages that are on their way at once */
    size_t receive_max;  /* bytes of the longest message that can come; 0: as long as those to send */
    bool is_direct;      /* the kernel may copy into reserved room */
    bool has_dear_kicks; /* more than one thread wakes up for one: in bulk, look once more before a sleep */
    size_t wait_max;     /* bytes of room to ask for at most, to hear whether there is some again; 0: as many as pay */
};

/** Copies `length` bytes of a message from its byte `offset` on. It is not shorter. */
void port_buffer_read(const struct port_buffer *buffer, size_t offset, void *ret_data, size_t length);

/** Copies to where a message has its byte `offset`. What has no room there is left out. */
void port_buffer_write(const struct port_buffer *buffer, size_t offset, const void *data, size_t length);

/** Fills `ret_iov`, of PORT_SEGMENT_MAX elements, with all but the first `offset` bytes. Returns how many it filled. */
int port_buffer_tail(const struct port_buffer *buffer, size_t offset, struct iovec *ret_iov);

#endif
