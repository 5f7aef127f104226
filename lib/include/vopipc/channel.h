/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channel.h - messages between two programs, as fast as the memory between them allows.
 *
 * Room: the public headers. Read examples/echo_server.c first, then this; for an event loop examples/loop_server.c.
 *
 * A channel carries messages of 1 byte up to vop_channel_message_max() bytes, in order, in both directions. Sending is
 * reserve, fill, commit; receiving is peek, use, release; both without a copy. The short forms send and recv copy.
 *
 * Names of links are URIs:
 *
 *   shm:/run/app.sock    two processes of one host. The path is a Unix socket that the listening side creates.
 *   shm:fd:3             for the listening side: a Unix socket (SOCK_SEQPACKET) that somebody else listens on, as
 *                        descriptor 3, which is the first that systemd passes (LISTEN_FDS). The listener has a
 *                        duplicate and sets O_NONBLOCK; descriptor and file stay the caller's.
 *   ivshmem:/dev/shm/x   memory that is there already: the file behind the ivshmem device of a virtual machine, or any
 *                        file whose size is a power of two; on tmpfs or hugetlbfs, or else the kernel writes it to its
 *                        disk again and again. It is neither made nor resized. A host is side 0 unless ?side=1 is at
 *                        the end of the name. One side may listen and the other connect, or both may do the same, in
 *                        any order; there is one channel at a time. Both must see the same size. Whoever waits there
 *                        follows the name to a file that is made anew.
 *   ivshmem:0000:00:04.0 the same memory, inside the virtual machine: the PCI address of the device. A guest is side 1
 *                        unless ?side=0 is at the end of the name.
 *   mpc8349:0000:02:00.0 a host and an MPC8349 board across PCI: on the host the PCI address of the board (side 0).
 *   mpc8349:board        on the board (side 1), or mpc8349:board?uio=uio1. As on ivshmem there is one channel,
 *                        whoever listens or connects; what is said of ivshmem below holds here, too, but for files.
 *
 * On shm a link takes one file descriptor at each end, 2 more for each queue pair but the first, and one more for each
 * channel whose vop_channel_fd() was called. (Two more where either end asks for a second doorbell or has a library
 * that is older than this, and one more for each queue pair of the end that asks.) Until its handshake is over it
 * takes up to 4 more, and 2 for each pair. A listener takes 4, a connector 2. With `futex` the process takes 2.
 *
 * Queue pairs. A link has one or more (`queue_pairs`), each with slots of its own in both directions, and a channel for
 * each: vop_channel_pair() gives them out. Channels of one link are used as though they were of several: each has its
 * threads, its descriptor, its figures and its order of messages, and none waits for another. What ends a link ends all
 * of them: death, a close, an interrupt, and a peer that breaks the protocol on any one. They are one object in memory:
 * vop_channel_close() of any of them closes and frees them all.
 *
 * On ivshmem only the library tells the peer that this program lives, and it has no thread for that. So be inside the
 * library at least twice a second: in a call that waits, in calls that send or receive, or in an event loop, where it
 * is enough to call vop_channel_process() whenever the descriptor polls readable. A program that is silent for a second
 * counts as dead: its peer gets -ECONNRESET, and so does the program itself. Making the file shorter, with truncate(1)
 * or by copying another over it, ends with SIGBUS every program that has it mapped: to begin with another size, end the
 * programs, or delete the file and make a new one.
 *
 * Errors. A call returns 0 (or a count, or a file descriptor), or a negative errno value. Outputs come last, are named
 * ret_, and are untouched on failure. vop_error_text() (error.h) holds one line about the last failure in this thread:
 * what was wrong, where, and what to do. These errors mean the same in every call on a channel:
 *
 *   -EAGAIN      nothing to read, or no room to send, within the timeout. Try later.
 *   -EINTR       a signal handler ran while the call slept, or the process was stopped and continued. Call again.
 *   -ECANCELED   the call would have had to wait, and vop_channel_interrupt() has ended that.
 *   -ECONNRESET  the peer is gone without closing; on ivshmem also if it closed and began anew before this side looked.
 *                A receiving call returns this when all that the peer had sent has been read.
 *                Close the channel; vop_channel_in_doubt() tells how many sent messages it may not have handled.
 *   -EPIPE       the peer has closed, so nothing can be sent any more. Close the channel.
 *   -EPROTO      the peer broke the protocol. The channel is dead; close it, and distrust the peer.
 *   -EINVAL      this program used the call wrongly; the text says how.
 *
 * Threads. One thread may send (reserve, commit, cancel, flush, send, in_doubt) while another receives (peek, release,
 * recv), without locks. Two threads must not send at once, nor receive at once. Everything else on a channel (process,
 * arm, close) is for a moment when no other thread uses it, but for vop_channel_interrupt(), which is for any moment.
 * Listeners and connectors are for one thread at a time, but for their interrupts. Different channels are independent,
 * those of one link too, up to its close.
 * A thread that sleeps in a call is ended by an interrupt, not by pthread_cancel() or a jump out of a signal handler:
 * another thread of that channel could sleep for ever then. The library installs no signal handlers, never prints, and
 * never raises SIGPIPE.
 *
 * fork(). A channel belongs to the process that opened it. In a child its memory is not mapped: every call on it
 * that sends, receives or waits returns -EINVAL (vop_channel_arm() 1, vop_channel_in_doubt() 0), and
 * vop_channel_close() frees the child's descriptors and memory without a word to the peer. A child that lives on should
 * close what it inherited: as long as it holds the sockets open, it hides the parent's death from its peers. A shm
 * listener may be used by parent and children alike, as servers that fork their workers in advance do: each accepts for
 * itself. Closing it in a child leaves the socket file to the process that opened it. An ivshmem listener is like a
 * channel, and so is a connector.
 *
 * Only closing has threads of its own, named vop-closer: the kernel may let a peer decide how long it takes to close
 * what that peer sent. They are made when a link ends, block all signals, call nothing of the program, and end when
 * that is done. So descriptors of a link can be open for another moment after the call that ended it; accepting and
 * connecting wait for that moment rather than fail for lack of descriptors. In a program that cannot have threads
 * (seccomp, RLIMIT_NPROC) the calls close by themselves, and may wait. A plugin that holds the static library must be
 * linked with -Wl,-z,nodelete, as the shared library is: such a thread may still run when dlclose() unmaps its code.
 * And valgrind may call the stack of one that has not ended yet possibly lost.
 */
#ifndef VOPIPC_CHANNEL_H
#define VOPIPC_CHANNEL_H

#include <vopipc/error.h>
#include <vopipc/log.h>
#include <vopipc/version.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Options ---- */

/** Room for the device configuration of one side, in bytes. */
#define VOP_DEVICE_CONFIG_MAX 64

/**
 * How a side wants its link. Fill it with vop_options_init(), then change what you care about. Zero always means the
 * default. Where the two sides' geometries differ, the smaller of each value is in force.
 */
struct vop_options {
    size_t struct_size;    /* bytes of this struct; set by vop_options_init() */
    uint32_t queue_size;   /* slots of the receive queue, a power of two, 2 to 32768. Default 128 */
    uint32_t slot_size;    /* bytes of a slot, a multiple of 64, 64 to 1048576. Default 9280. A message occupies whole
                              slots; the largest message is queue_size x slot_size, at most 1 GiB. For what is sent see
                              send_queue_size */
    uint32_t spin_us;      /* longest time to spin before a blocking call sleeps, in microseconds. Default 50. The
                              library spins for less, or not at all, when spinning did not help lately.
                              VOP_SPIN_NEVER sleeps at once. VOP_SPIN_FOREVER never sleeps: only for where each side
                              has a processor to spare */
    uint32_t socket_mode;  /* shm, listening: file mode of the socket, as in chmod(2). Default 0600: this user, root */
    uint32_t handshake_ms; /* time a peer has to finish the handshake, in milliseconds. Default 5000 */
    uint32_t pending_max;  /* listening: peers that may be in the handshake at once. Default 64. While that many are and
                              others wait, one that has kept this side waiting for 100 ms is refused with -EBUSY: of the
                              user (uid) that has most, the one that has done so longest */
    uint32_t device_id;    /* what the messages are, as a virtio device ID: 0 plain messages, 1 network frames. Both
                              sides must say the same */
    uint32_t features[4]; /* device feature bits offered to the peer, bit 0 first. The library adds those of the ring */
    uint32_t config_size; /* bytes of `config` in use, 0 to 64 */
    uint8_t config[VOP_DEVICE_CONFIG_MAX]; /* device configuration announced to the peer; vop_channel_set_config() can
                                              change it later */
    uint32_t message_min; /* bytes that a message to the peer must be able to have: a peer whose geometry does not allow
                             it is refused, with a text that names both sides' figures. Default 1 */
    uint32_t contiguous;  /* not 0: a peer with which a message could have two segments is refused likewise. For
                             programs that use segment[0] alone. It takes queue_size x slot_size that is a multiple of
                             the page size: of slots of the default size, 64 or more */

    /* shm, listening: who is more is refused with -EBUSY. Default of each: no limit but pending_max, and what the
       system gives */
    uint32_t links_max;        /* links that may be open at once, from their handshake until they are closed */
    uint32_t user_links_max;   /* the same, of one user (uid) */
    uint32_t user_pending_max; /* of the peers in the handshake, those of one user */

    uint32_t doorbells; /* shm: 1 or 2, on which this side's threads sleep. Default 1: it takes 3 descriptors fewer, and
                           if a thread that sends and one that receives sleep at the same time, one of them wakes the
                           other. With 2 each has its own, and is woken by the peer */

    /* What is sent, if that is another kind of messages: the peer's receive queue. Default (0) as queue_size and
       slot_size. In force is, for each direction, the smaller of what one side sends and the other receives. A peer
       whose library is older than these two has one geometry for both: the smaller of both sides' queue_size and
       slot_size */
    uint32_t send_queue_size; /* slots, as queue_size */
    uint32_t send_slot_size;  /* bytes, as slot_size */

    uint32_t half_max_kib; /* shm, listening: a peer whose halves are larger than this is refused with -EMSGSIZE, in
                              KiB. While it frees pages of them all, whoever touches one is held up: some 0.5 ms for
                              each MiB. Peers make them as large as their own offer may need. Default: 2 GiB */

    uint32_t connect_wait;   /* connecting, not 0: a server that is not there, or has no place for this side now, is
                                waited for: it is tried again after a pause. Default 0: that is an error, at once */
    uint32_t backoff_min_ms; /* the first pause, in milliseconds. Each is twice as long as the one before, and chance
                                takes up to half of it, so that the clients of a server that was restarted do not all
                                come at once. Default 10 */
    uint32_t backoff_max_ms; /* the longest pause, not shorter than the first. Default 1000 */

    uint32_t check_peer_uid; /* shm, not 0: the peer must be a process of user `peer_uid`. Another one is refused with
                                -EACCES before it is told or given anything: who connects, and who listens (for a socket
                                that somebody else has made, as systemd does, that is whoever called listen(2)).
                                ivshmem: -EINVAL, nobody knows whose the other side is. Default 0: any user */
    uint32_t peer_uid;       /* which; 0 is root. Alone, without check_peer_uid, another one than 0 is -EINVAL */

    uint32_t futex; /* shm, not 0: if the peer wants it, too, a thread that waits in a call sleeps on the queue's index
                       itself (futex(2)), which wakes it up to a fifth sooner than a descriptor. Only for peers that are
                       trusted: one that means harm can have this side sleep through vop_channel_interrupt(), and its
                       own end, for an hour. A thread of the library's own, which sleeps, listens for that end while
                       threads of this process have slept so. Event loops are not concerned. Not with two doorbells.
                       Default 0 */

    uint32_t queue_pairs; /* that the link shall have, 1 to 64. In force is the smaller number of both sides, and no
                             more than the wire can ring for or its memory holds: on ivshmem 1 where this side has a
                             doorbell, else as many as fit. Each takes the slots of both directions once more; 2 GiB
                             each way is the most. Default 1 */
};

#define VOP_SPIN_NEVER 0xffffffffu
#define VOP_SPIN_FOREVER 0xfffffffeu

/** Fills `options` (of `struct_size` bytes: pass sizeof) with the defaults. Any thread. */
void vop_options_init(struct vop_options *options, size_t struct_size);

/* ---- Links ---- */

typedef struct vop_listener vop_listener;
typedef struct vop_connector vop_connector;
typedef struct vop_channel vop_channel;

/**
 * Opens the listening side of a link.
 *
 * uri       name of the link, see the head of this file
 * options   or NULL for the defaults
 *
 * shm: a socket file left behind by a dead server is replaced; the file is removed by vop_listener_close(). While that
 * is looked into, a file of the same name with .lock behind it keeps other servers out. Abstract names (shm:@x) are
 * refused: no mode keeps other users out of them. A file that is called so is shm:./@x.
 *
 * -EINVAL      the URI or an option makes no sense
 * -EPROTONOSUPPORT  this library does not know the URI's scheme
 * -EADDRINUSE  a live server listens there, or the path is a file of another kind; ivshmem: somebody has this side
 * -ENOENT, -ENOTDIR, -EACCES, -EROFS, -ENAMETOOLONG  the path: see the error text
 * -ENODEV      ivshmem: no such device, it is of another kind, or no driver has it
 * -EBUSY       ivshmem: another driver has the device
 * -EISDIR      ivshmem: the path is a directory
 * -EMFILE, -ENFILE, -ENOMEM  out of file descriptors or memory
 */
int vop_listener_open(const char *uri, const struct vop_options *options, vop_listener **ret_listener);

/**
 * Waits for the next peer that has finished its handshake. Handshakes of several peers go on at the same time inside
 * this call; a peer that is refused or too slow costs nobody else anything, and is told why.
 *
 * timeout_ms   0: do not wait; negative: no limit
 *
 * -EAGAIN      nobody came within the timeout; ivshmem: or the last channel of this side is not closed yet
 * -EINTR       a signal handler ran. Handshakes go on where they were when it is called again
 * -ECANCELED   vop_listener_interrupt() was called, and nobody was there
 * -EADDRINUSE  ivshmem: this side is in use by another machine
 * -ENODEV      ivshmem: the device is gone (unplugged, unbound). Close the listener, and open another once it is back
 * -EMFILE, -ENFILE, -ENOMEM   out of resources; the peers stay, so free some and call again. While others in the
 *              handshake hold some and owe a word, those have to leave first, and there is no error. On shm a peer that
 *              has waited for half of handshake_ms is refused with -EBUSY, and hears what is missing
 * -ENOSPC      the same, of the user's limit of epoll watches
 */
int vop_listener_accept(vop_listener *listener, int timeout_ms, vop_channel **ret_channel);

/**
 * File descriptor that polls readable when vop_listener_accept() has something to do (which may be a step of a
 * handshake that ends in -EAGAIN). Owned by the listener: poll it, add it to epoll, do nothing else with it.
 */
int vop_listener_fd(const vop_listener *listener);

/**
 * Ends the wait of whichever thread is inside vop_listener_accept(), and every later one: it returns -ECANCELED where
 * it would have to wait. What needs no wait is still done. For any thread, and for a signal handler, as long as the
 * listener is not closed.
 */
void vop_listener_interrupt(vop_listener *listener);

/** Stops listening, drops unfinished handshakes, removes the socket file. Channels stay open. NULL is allowed. */
void vop_listener_close(vop_listener *listener);

/**
 * Connects to a listening side and finishes the handshake. Signal handlers run meanwhile, and it goes on.
 *
 * timeout_ms   longest wait for the handshake; negative: options->handshake_ms. On shm it does not wait for a server to
 *              appear, and making the memory, which takes seconds for the largest link, is no wait. On ivshmem it waits
 *              for the other side, and can take a second longer if whoever had this side last may still be alive.
 *              With options->connect_wait: longest time for all of it, the wait for a server included; negative: no
 *              limit. It ends in -ETIMEDOUT, with a text that says what was missing last. vop_connector_connect() says
 *              which errors are waited out
 *
 * -ENOENT, -ECONNREFUSED  no server there (yet), or no such memory: try again later
 * -EACCES         the mode of the socket, or of the memory's file, does not let this user in; or one side is not of the
 *                 user that the other has asked for by `check_peer_uid`
 * -ETIMEDOUT      the other side did not answer in time
 * -ECONNRESET     the server hung up during the handshake: try again later
 * -EMSGSIZE       the geometry in force does not meet `message_min` or `contiguous` of one side; see the error text
 * -EADDRINUSE     ivshmem: somebody has this side
 * -ENODEV         ivshmem: no such device (any more), it is of another kind, or no driver has it
 * -EBUSY          the server cannot take this peer now; the error text says why. Try again later. ivshmem: another
 *                 driver has the device
 * -EPROTO         the server does not speak this protocol or version, or refused for another reason; see the error text
 * -EINVAL, -EPROTONOSUPPORT, -ENOTDIR, -ENAMETOOLONG, -EMFILE, -ENFILE, -ENOMEM  as for vop_listener_open(): it is this
 *                 side that is out of them
 * -EFBIG          shm: the limit of file sizes (RLIMIT_FSIZE) is less than the memory of this side
 */
int vop_channel_connect(const char *uri, const struct vop_options *options, int timeout_ms, vop_channel **ret_channel);

/**
 * Makes a connector: the connecting side of one link after another. It is for programs that do not stand still while
 * they connect, and for those that outlive their server. It takes 2 file descriptors, and memory of a link only while
 * it connects. Does not connect yet, and does not wait.
 *
 * -EINVAL      the URI is not the name of a link, or an option makes no sense. What comes after the colon is looked at
 *              by vop_connector_connect()
 * -EPROTONOSUPPORT  this library does not know the URI's scheme
 * -EMFILE, -ENFILE, -ENOMEM  out of file descriptors or memory
 */
int vop_connector_open(const char *uri, const struct vop_options *options, vop_connector **ret_connector);

/**
 * Connects to a listening side and finishes the handshake, which may take options->handshake_ms. What cannot be done
 * now, the next call goes on with. When the channel has ended, close it and call again: that connects anew. There is
 * one channel at a time.
 *
 * timeout_ms   0: do not wait; negative: no limit. Making the memory, which takes seconds for the largest link, is no
 *              wait, and not divided
 *
 * Without options->connect_wait each failure is returned, and the next call tries again at once. With it
 *
 * - what may pass by itself is no failure, but waited out: -ENOENT, -ECONNREFUSED, -ECONNRESET, -ETIMEDOUT, -EBUSY,
 *   -EADDRINUSE. On ivshmem the wait for the other side has no limit but `timeout_ms`;
 * - any other failure is returned, and the next call tries again. A program can take it for final, or report it and go
 *   on;
 * - before each attempt but the first there is a pause, from options->backoff_min_ms to backoff_max_ms. A channel that
 *   was up for less than backoff_max_ms counts like an attempt that failed, so that a link that is lost at once does
 *   not keep the processor busy; after one that was up for longer the pauses begin with the first again.
 *
 * -EAGAIN      not connected within the timeout; the text says what is missing
 * -EINTR       a signal handler ran. The handshake goes on where it was when it is called again
 * -ECANCELED   vop_connector_interrupt() was called, and there was no channel without waiting
 * -EINVAL      the last channel is not closed yet, the connector was inherited by fork(), or the URI makes no sense
 * other        as for vop_channel_connect()
 */
int vop_connector_connect(vop_connector *connector, int timeout_ms, vop_channel **ret_channel);

/**
 * File descriptor that polls readable when vop_connector_connect() has something to do (which may be a step of a
 * handshake, or the end of a pause, that ends in -EAGAIN). While there is a channel it does not: call
 * vop_connector_connect() once that is closed, which goes on from there. Nor does it after a failure that was returned
 * without options->connect_wait. Owned by the connector: poll it, add it to epoll, do nothing else with it.
 */
int vop_connector_fd(const vop_connector *connector);

/**
 * Ends the wait of whichever thread is inside vop_connector_connect(), and every later one: it returns -ECANCELED where
 * it would have to wait. What needs no wait is still done. For any thread, and for a signal handler, as long as the
 * connector is not closed.
 */
void vop_connector_interrupt(vop_connector *connector);

/** Drops an unfinished handshake. A channel stays open. NULL is allowed. */
void vop_connector_close(vop_connector *connector);

/**
 * The channel of another queue pair of the same link. It is there as long as the link, and nobody has to give it back.
 *
 * channel   of any pair. Accepting and connecting give that of pair 0
 * pair      0 to queue_pairs - 1, of vop_channel_get_info(). What is sent by a pair comes by the same one at the peer
 *
 * Any thread. -EINVAL: there is no such pair.
 */
int vop_channel_pair(vop_channel *channel, unsigned pair, vop_channel **ret_channel);

/**
 * Ends the wait of every thread that sleeps or spins in a call on this channel, or on another of the same link, and
 * every later wait: a call that would have to wait returns -ECANCELED. Calls that need no wait go on as before, so what
 * is there can still be received. Nothing tells the peer. Descriptors of vop_channel_fd() poll readable from then on.
 * For any thread, and for a signal handler, as long as the link is not closed.
 *
 * To end the threads that serve a link: interrupt one of its channels, join them, close.
 */
void vop_channel_interrupt(vop_channel *channel);

/**
 * Closes the link of a channel, and frees the channels of all its queue pairs. Messages accepted before stay readable
 * for the peer, which then sees the end of stream. Messages received and not released stay so: to the peer they are in
 * doubt. NULL is allowed. No other thread may be inside a call on any of these channels, nor use one later.
 */
void vop_channel_close(vop_channel *channel);

/* ---- Short form: copying ---- */

/**
 * Sends one message, copying it. When it returns 0 the message is accepted: it will be delivered once and in order, or
 * the link ends with an error and vop_channel_in_doubt() counts it.
 *
 * length       1 to vop_channel_message_max() bytes
 * timeout_ms   longest wait for room; 0: do not wait; negative: no limit
 *
 * -EMSGSIZE    the message is longer than the largest, or empty; the text says whose options make it so
 * -EAGAIN      no room within the timeout; nothing was sent
 * -ENOMEM      shm, connecting side: no memory for slots that are used the first time. Nothing was sent; free some, and
 *              try again after a pause: vop_channel_arm() does not wait for it
 * -EBUSY       a reservation is open: commit or cancel it first
 * -EPIPE, -ECONNRESET, -EPROTO, -EINTR   see the head of this file; nothing was sent
 */
int vop_channel_send(vop_channel *channel, const void *data, size_t length, int timeout_ms);

/**
 * The same with the message held back, as by MSG_MORE of send(2): it is accepted when the next message is sent without
 * that, or by vop_channel_flush(). In batches this is the fastest way to send short messages. More about messages that
 * are held back: vop_channel_commit().
 */
int vop_channel_send_more(vop_channel *channel, const void *data, size_t length, int timeout_ms);

/**
 * Receives one message, copying it, and releases it and all that was peeked before. That is delivery at most once: the
 * peer counts the message as handled, although this program may die before it looks at it. For at least once, use peek
 * and release.
 *
 * size         bytes of `data`
 * Returns the length of the message, 1 or more, or 0 at the end of stream: the peer has closed and all was read.
 *
 * -EMSGSIZE    the message is longer than `size`; it stays, and the text tells its length. Call again with more
 *              room, or take it by vop_channel_peek(), vop_channel_read() and vop_channel_release(): once it was
 *              peeked, recv() goes on to the next one
 * -EAGAIN, -ECONNRESET, -EPROTO, -EINTR   see the head of this file
 */
ssize_t vop_channel_recv(vop_channel *channel, void *data, size_t size, int timeout_ms);

/* ---- Without copying ---- */

/**
 * Bytes of one message in shared memory. segment[0] holds them all, unless this memory cannot be mapped with the
 * beginning of the ring behind its end: then a message that passes the end continues in segment[1], whose iov_len is 0
 * otherwise. On shm, if queue_size x slot_size is a multiple of the page size (as by default), there is only
 * segment[0].
 */
struct vop_buffer {
    struct iovec segment[2];
    size_t length;     /* bytes in both segments */
    uint32_t position; /* private to the library */
};

/**
 * Reserves room for a message. Fill it, then commit or cancel it. The peer can read the memory at any time. This side
 * must not read it back: on some wires that is slow, and on none can it be trusted.
 *
 * length       bytes wanted, 1 to vop_channel_message_max(). Commit may be shorter
 *
 * -EBUSY       a reservation is open already
 * -EMSGSIZE, -EAGAIN, -ENOMEM, -EPIPE, -ECONNRESET, -EPROTO, -EINTR   as for vop_channel_send()
 */
int vop_channel_reserve(vop_channel *channel, size_t length, int timeout_ms, struct vop_buffer *ret_buffer);

/** Flags of vop_channel_commit(). */
enum vop_commit_flags {
    VOP_COMMIT_MORE = 1u << 0, /* hold the message back: more follow, or vop_channel_flush() */
};

/**
 * Commits the open reservation as a message of its first `length` bytes. Without VOP_COMMIT_MORE this and all messages
 * held back are accepted on return. With it the message is complete but held back until a commit without it, until
 * vop_channel_flush(), or until this side waits or arms: a batch is cheaper if it is published at once.
 *
 * length       1 to the reserved length
 * flags        enum vop_commit_flags
 *
 * -EINVAL      no reservation, length out of range, or an unknown flag; the reservation stays open
 * -EPIPE, -ECONNRESET, -EPROTO   the link is gone; the reservation is cancelled. Messages held back were not accepted
 */
int vop_channel_commit(vop_channel *channel, size_t length, unsigned flags);

/** Gives the open reservation back. Does nothing without one. */
void vop_channel_cancel(vop_channel *channel);

/** Publishes messages held back by VOP_COMMIT_MORE or vop_channel_send_more(): they are accepted on return. Errors as
 * for vop_channel_commit(). */
int vop_channel_flush(vop_channel *channel);

/**
 * Looks at the next message, in place. Each call moves on to the message after the one peeked before; none is removed
 * until it is released. The peer can change the bytes while you read: copy what you check before you use it.
 *
 * timeout_ms   longest wait for a message; 0: do not wait; negative: no limit
 * Returns 1 with a message, or 0 at the end of stream.
 *
 * -EAGAIN, -ECONNRESET, -EPROTO, -EINTR   see the head of this file. Messages peeked and not released stay readable
 */
int vop_channel_peek(vop_channel *channel, int timeout_ms, struct vop_buffer *ret_buffer);

/**
 * Releases a message and all that were peeked before it: their memory belongs to the sender again. The sender is told
 * of several at once, at the latest when this side finds nothing more to receive, waits or arms.
 *
 * -EINVAL      `buffer` is not a message peeked and still held
 * -EPROTO      the channel is broken; there is nothing to release
 */
int vop_channel_release(vop_channel *channel, const struct vop_buffer *buffer);

/**
 * Copies `length` bytes into a reserved buffer from its byte `offset` on, over both segments if there are two, as the
 * memory wants to be written.
 *
 * -EINVAL      the buffer has fewer bytes; or `offset` is no multiple of 4, and this memory takes whole words only
 */
int vop_channel_write(vop_channel *channel, const struct vop_buffer *buffer, size_t offset, const void *data,
                      size_t length);

/**
 * Copies `length` bytes out of a received buffer from its byte `offset` on, over both segments if there are two.
 *
 * -EINVAL      the buffer has fewer bytes
 */
int vop_channel_read(const vop_channel *channel, const struct vop_buffer *buffer, size_t offset, void *ret_data,
                     size_t length);

/* ---- In an event loop ---- */

/** What vop_channel_arm() is to wait for. */
enum vop_arm_flags {
    VOP_ARM_RECV = 1u << 0, /* a message to receive */
    VOP_ARM_SEND = 1u << 1, /* room for the reservation (or send) that was last refused with -EAGAIN; else any room */
};

/**
 * File descriptor that polls readable after the peer has kicked, closed or died. There is one for each channel, for
 * both directions and for all that the library has to do now and then: on ivshmem it polls readable several times a
 * second, armed or not. Owned by the channel: poll it or add it to epoll, nothing else.
 *
 * It is made by the first call (of this, or of vop_channel_process()), so that a channel without an event loop does not
 * take one; on ivshmem there is a second with it. That call can fail, and be tried again; later ones cannot.
 *
 * -EMFILE, -ENFILE, -ENOMEM, -ENOSPC  out of file descriptors, memory, or what the kernel lets a user watch. Close
 * others
 *
 * The loop:   work with timeout 0 until -EAGAIN; vop_channel_arm(); if it returned 0, poll the descriptor;
 *             when it is readable, vop_channel_process(); and again. Arm for what the last call was refused: while an
 *             answer waits for room, VOP_ARM_SEND alone, since messages that wait are no reason to wake.
 *             The loop must forget the descriptor before vop_channel_close(). examples/loop_server.c does all this.
 */
int vop_channel_fd(vop_channel *channel);

/**
 * Takes what made the descriptor readable, so that it is no longer. Call it when the descriptor polls readable, then
 * receive and send until -EAGAIN. After the end of the link the descriptor stays readable; the receiving calls return
 * what is left and then how it ended.
 *
 * Returns 0, also after an orderly close, or -EPROTO, or -ECONNRESET when the peer is gone without closing: there may
 * still be messages to receive; or -ECANCELED after vop_channel_interrupt().
 */
int vop_channel_process(vop_channel *channel);

/**
 * Asks to be woken by the descriptor, then looks once more. Publishes all that this side holds back.
 *
 * what         VOP_ARM_RECV, VOP_ARM_SEND or both; with 0 nothing but an end wakes
 * Returns 0: armed, so sleep. 1: do not sleep; there is something to do, or the next call on the channel returns an end
 * or an error. -EINVAL: other flags
 */
int vop_channel_arm(vop_channel *channel, unsigned what);

/* ---- What is known about it ---- */

/**
 * Length of the longest message that can be sent, in bytes: send_queue_size x send_slot_size in force. None that comes
 * is longer than queue_size x slot_size (vop_channel_get_info()); they are the same unless the options say otherwise.
 */
size_t vop_channel_message_max(const vop_channel *channel);

/**
 * Number of messages that were accepted and of which the peer has not yet told that it has released them. After
 * -ECONNRESET they are in doubt: the last ones sent, of which it may have handled some, for it tells of several at once
 * (vop_channel_release()). It has released all those before. A peer that closes tells of all.
 */
uint64_t vop_channel_in_doubt(const vop_channel *channel);

/** What a channel knows about itself and its peer. */
struct vop_channel_info {
    size_t struct_size;  /* bytes of this struct: set it before the call */
    uint32_t side;       /* 0 or 1 */
    uint32_t queue_size; /* geometry in force, of the receive queue */
    uint32_t slot_size;
    uint32_t peer_features[4];                  /* feature bits the peer offered */
    uint32_t peer_config_size;                  /* bytes of peer_config that are valid */
    uint8_t peer_config[VOP_DEVICE_CONFIG_MAX]; /* when the link came up; since then: vop_channel_peer_config() */
    pid_t peer_pid; /* shm: process, user and group of the peer at connect time (SO_PEERCRED), where the process is 0 if
                       this PID namespace does not show it; else -1 */
    uid_t peer_uid;
    gid_t peer_gid;
    bool contiguous;          /* every vop_buffer has one segment only */
    bool direct_io_local;     /* the kernel may copy out of received buffers (writev) */
    bool direct_io_remote;    /* the kernel may copy into reserved buffers (readv) */
    uint32_t send_queue_size; /* the same of the peer's, to which this side sends */
    uint32_t send_slot_size;
    uint32_t queue_pairs; /* in force */
    uint32_t queue_pair;  /* which of them this channel is, 0 to queue_pairs - 1 */
};

/** Fills `ret_info` up to its struct_size. -EINVAL if struct_size is smaller than the first version of the struct. */
int vop_channel_get_info(const vop_channel *channel, struct vop_channel_info *ret_info);

/**
 * Changes the device configuration that this side announces (`config` in the options), and wakes whoever waits for
 * messages on the peer's pair 0: its vop_channel_fd() polls readable. Later values may replace earlier ones before the
 * peer has looked, as with an interface whose carrier comes and goes.
 *
 * channel   of any pair. One thread at a time for all of a link; it may be another one than those that send and receive
 * config    all of it
 * size      bytes of it: as many as config_size in the options
 *
 * -EINVAL      another size
 * -EOPNOTSUPP  the peer's library knows no changes. It keeps what it was told at first
 * -EPIPE, -ECONNRESET, -EPROTO   the link is over
 */
int vop_channel_set_config(vop_channel *channel, const void *config, size_t size);

/**
 * Tells whether the peer's device configuration has changed, and what it is now. Call it after vop_channel_process() of
 * pair 0, or now and then; when nothing has changed it costs a fence and a load. Any thread.
 *
 * channel      of any pair
 * generation   in: what the last call left here, at first 0, which stands for peer_config of vop_channel_get_info().
 *              Out, if the result is 1: another number
 * ret_config   VOP_DEVICE_CONFIG_MAX bytes, of which peer_config_size of the info say something. The peer may have
 *              written anything
 *
 * Returns 1 with a configuration that is not the one of `generation`, 0 if there is none, or
 *
 * -EAGAIN      the peer is just changing it: call again when the descriptor polls readable
 * -EINVAL      the channel is that of another process
 */
int vop_channel_peer_config(const vop_channel *channel, uint32_t *generation, void *ret_config);

/** Counters of a channel since it came up. On a machine of 32 bits they start over after 2^32 - 1. */
struct vop_channel_stats {
    size_t struct_size;   /* bytes of this struct: set it before the call */
    uint64_t tx_messages; /* committed */
    uint64_t tx_bytes;
    uint64_t tx_publishes; /* times committed messages were shown to the peer (stores of used.idx) */
    uint64_t tx_kicks;     /* kicks after them */
    uint64_t tx_full;      /* reservations refused for lack of room */
    uint64_t rx_messages;  /* peeked or received */
    uint64_t rx_bytes;
    uint64_t rx_publishes; /* times the peer was told of releases (stores of avail.idx) */
    uint64_t rx_kicks;     /* kicks after them */
    uint64_t sleeps;       /* times a blocking call slept */
    uint64_t spins_hit;    /* times spinning found what it waited for */
    uint64_t rescues;      /* ivshmem, mpc8349: times a look at the rings found what no kick had announced */
    uint64_t storms;       /* mpc8349: times the peer rang so often that its interrupts were shut out for 100 ms */
};

/** Fills `ret_stats` up to its struct_size. May be called while other threads send and receive: figures may lag. */
int vop_channel_get_stats(const vop_channel *channel, struct vop_channel_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
