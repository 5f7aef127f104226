/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_peer.h - a second implementation of a peer, written from docs/PROTOCOL.md alone, that can lie about everything.
 *
 * Room: tests. It calls nothing of lib/: what it gets from there is abi.h, the layout that PROTOCOL.md states. So the
 * honest calls below prove that the document is enough to write a peer, and a test that wants to lie does the honest
 * steps up to a point, changes a word, a message or a descriptor, and goes on.
 *
 *   connecting side                                     accepting side
 *   peer_init, peer_memory, peer_doorbells              peer_init
 *   peer_announce(HELLO), peer_dial, peer_offer         peer_listen, peer_admit, peer_take_offer
 *   peer_take_answer, peer_ready, peer_confirm          peer_doorbells, peer_ready, peer_answer, peer_take_up
 *
 * Nothing here asserts: calls return 0 or -1, so that they can run in any thread.
 */
#ifndef VOP_TESTS_HOSTILE_PEER_H
#define VOP_TESTS_HOSTILE_PEER_H

#include <vopipc/abi.h>

#include "support/fds.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_PAIRS_MAX 64
#define PEER_BELLS 2 /* for each pair: message doorbell, slot doorbell */

/** Offsets in a half (PROTOCOL.md, Geometry) for a queue pair of a geometry; `end` is that of all pairs. */
struct peer_areas {
    size_t desc, avail, used_event, used, avail_event, pool, end;
};

struct peer {
    unsigned side; /* 1: this peer connects. 0: it accepts */
    int socket;
    uint32_t pairs, queue_size, slot_size; /* offered; in force from peer_ready() on */
    uint32_t device_id;
    bool last_len; /* LAST_LEN is offered; in force from peer_ready() on */
    uint64_t half_size;
    uint64_t incarnation;
    int half_fd[2];
    uint8_t *half[2];                      /* both writable: a liar does not care */
    int wait[PEER_PAIRS_MAX * PEER_BELLS]; /* own sleeping ends */
    int give[PEER_PAIRS_MAX * PEER_BELLS]; /* their kicking ends, until they were sent */
    int kick[PEER_PAIRS_MAX * PEER_BELLS]; /* kicking ends of the other side */
    unsigned pair;                         /* that the next three are of: peer_use() */
    struct peer_areas areas;               /* of the geometry in force */
    uint16_t sent, taken;                  /* slots filled in the other's queue; slots taken from the own */
    uint16_t all_sent[PEER_PAIRS_MAX], all_taken[PEER_PAIRS_MAX]; /* of the pairs that are not in use now */
};

/** A peer that wants N slots of S bytes, with halves of exactly the size needed. */
void peer_init(struct peer *p, unsigned side, uint32_t queue_size, uint32_t slot_size);

/** Closes and unmaps all that it has. May be called at any point and twice. */
void peer_close(struct peer *p);

/** Areas of a geometry: of queue pair 0, or of another. */
struct peer_areas peer_areas_of(uint32_t pairs, uint32_t queue_size, uint32_t slot_size);
struct peer_areas peer_areas_at(uint32_t pairs, uint32_t queue_size, uint32_t slot_size, unsigned pair);

/** Offers so many queue pairs, with halves for them. */
void peer_init_pairs(struct peer *p, unsigned side, uint32_t queue_size, uint32_t slot_size, unsigned pairs);

/** Once READY: words and messages are those of this queue pair from now on. At first they are those of pair 0. */
void peer_use(struct peer *p, unsigned pair);

/* ---- Words ---- */

/** Stores into the half that this peer writes. */
void peer_put16(const struct peer *p, size_t offset, uint16_t value);
void peer_put32(const struct peer *p, size_t offset, uint32_t value);
void peer_put64(const struct peer *p, size_t offset, uint64_t value);

/** Loads from the half that this peer reads. */
uint32_t peer_get32(const struct peer *p, size_t offset);
uint64_t peer_get64(const struct peer *p, size_t offset);

/** Stores the index of the used ring (available ring) that this peer writes; the other half of its word is 0. */
void peer_put_used_idx(const struct peer *p, uint16_t idx);
void peer_put_avail_idx(const struct peer *p, uint16_t idx);

/** The index of the used ring with what is beside it: the length of the last message, where that is in force. */
void peer_put_used(const struct peer *p, uint16_t idx, uint16_t last_len);
void peer_put_element(const struct peer *p, uint32_t at, uint32_t id, uint32_t len);

/* ---- Steps ---- */

int peer_memory(struct peer *p);
int peer_sparse_memory(struct peer *p); /* which the document forbids */
int peer_doorbells(struct peer *p);
void peer_announce(struct peer *p, uint32_t state);

/** Echoes whoever announced in the half this peer reads, resets every word that it writes, stores READY. */
int peer_ready(struct peer *p);

int peer_dial(struct peer *p, const char *path);
int peer_offer(struct peer *p);
int peer_take_answer(struct peer *p);
int peer_confirm(struct peer *p);

int peer_listen(const char *path);
int peer_admit(struct peer *p, int listener);
int peer_take_offer(struct peer *p);
int peer_answer(struct peer *p);
int peer_take_up(struct peer *p);

/* ---- Datagrams ---- */

struct vop_shm_message peer_message(uint16_t type, unsigned fds, const struct peer *p);

/** Sends bytes with descriptors beside them. Never blocks, no SIGPIPE. 0, or -1 with errno. */
int peer_send(int socket, const void *bytes, size_t size, const int *fds, unsigned count);

/** Receives one datagram within `timeout_ms`: its length (0: the other end hung up), or -1. */
long peer_receive(int socket, void *bytes, size_t size, int *ret_fds, unsigned *ret_count, int timeout_ms);

/** What CONNECT carries: both halves and the doorbells. Returns how many. */
unsigned peer_offer_fds(const struct peer *p, int *ret_fds);

/* ---- Messages, honestly ---- */

/** Sends one message: -1 if there is no room. */
int peer_push(struct peer *p, const void *bytes, size_t length);

/** Rings doorbell `bell` of the other side, for the pair in use. */
void peer_kick(const struct peer *p, unsigned bell);

/** Receives one message of up to `size` bytes: its length, 0 if there is none, -1 if the other side broke a rule. */
long peer_pull(struct peer *p, void *bytes, size_t size);

#endif
