/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_memory.c - memory of the right kind that is wrong all the same: the same twice, empty, much too large.
 *
 * Room: tests. PROTOCOL.md, The shm wire.
 */
#include "hostile/util_draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Memory that nobody can write any more: half 1 cannot be mapped, and the refusal says so. */
static void test_memory_sealed_against_writing(void **state)
{
    struct stage s;
    struct draft d;
    struct peer p;
    int fd;

    (void)state;
    stage_open(&s, 2000, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(&s, &p);
    d = draft_of(&p, VOP_SHM_CONNECT);
    fd = draft_memory((size_t)p.half_size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_WRITE);
    d.fds[1] = fd;
    assert_int_equal(draft_send(&d, &p), 0);
    close(fd);
    stage_expect_refusal(&s, &p, EPROTO, "cannot map 12288 bytes of shared memory");
    peer_close(&p);
    stage_expect_service(&s);
    stage_close(&s);
}

static void test_one_half_twice(void **state)
{
    struct stage s;
    struct draft d;
    struct peer p;

    (void)state;
    stage_open(&s, 2000, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(&s, &p);
    d = draft_of(&p, VOP_SHM_CONNECT);
    d.fds[1] = d.fds[0];
    assert_int_equal(draft_send(&d, &p), 0);
    stage_expect_refusal(&s, &p, EPROTO, "the same memory");
    peer_close(&p);
    stage_expect_service(&s);
    stage_close(&s);
}

#define GIANTS 8
#define GIANT ((size_t)1 << 31)

/*
 * Sparse memory of the largest size costs its owner nothing. Whoever populated it would pay for all of it, and keep
 * everybody waiting meanwhile. An honest client among such connections is served; the giants stay empty.
 */
static void test_sparse_giants(void **state)
{
    struct peer p[GIANTS];
    struct stage s;

    (void)state;
    stage_open(&s, 20000, 2 * GIANTS);
    for (unsigned i = 0; i < GIANTS; i++) {
        peer_init(&p[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        p[i].half_size = GIANT;
        assert_int_equal(peer_sparse_memory(&p[i]), 0);
        stage_dial(&s, &p[i]);
        assert_int_equal(peer_offer(&p[i]), 0);
    }
    (void)stage_expect_honest(&s);
    for (unsigned i = 0; i < GIANTS; i++) {
        struct stat st;

        stage_expect_refusal(&s, &p[i], EPROTO, "has holes");
        for (unsigned h = 0; h < 2; h++) {
            assert_int_equal(fstat(p[i].half_fd[h], &st), 0);
            assert_true(st.st_blocks * 512 <= 4 << 20); /* the block that was announced: one page, small or huge */
        }
        peer_close(&p[i]);
    }
    stage_expect_service(&s);
    stage_close(&s);
}

/* Kilobytes of shared memory that this process has in its page tables. */
static long mapped_kb(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[128];
    long kb = -1;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, "RssShmem:", 9) == 0)
            kb = strtol(line + 9, NULL, 10);
    }
    (void)fclose(file);
    assert_true(kb >= 0);
    return kb;
}

/* Much more memory than the geometry needs, and all of it there: the library takes what it needs. */
static void test_larger_than_needed(void **state)
{
    struct stage s;
    struct peer p;
    vop_channel *c;
    long before;

    (void)state;
    stage_open(&s, 2000, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    p.half_size = 64 << 20;
    before = mapped_kb();
    c = stage_join(&s, &p);
    assert_in_range(mapped_kb() - before, 0, 16 << 10);
    for (unsigned i = 0; i < 2 * STAGE_QUEUE_SIZE; i++)
        stage_expect_traffic(&p, c);
    stage_end(&s, &p, c);
    stage_close(&s);
}

/* ---- What is left of it when the link is over ---- */

static long pages_of(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return st.st_blocks / (4096 / 512);
}

/* The peer takes all pages away, lets the library touch them again, and goes, but keeps descriptors of both halves. */
static void test_pages_taken_away(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (enum role role = 0; role < ROLES; role++) {
        struct peer p;
        vop_channel *c = stage_link(&s, role, &p);
        int kept[2];

        for (unsigned h = 0; h < 2; h++) {
            size_t pool = p.areas.pool;

            kept[h] = fcntl(p.half_fd[h], F_DUPFD_CLOEXEC, 0);
            assert_int_equal(fallocate(kept[h], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)pool,
                                       (off_t)(p.half_size - pool)),
                             0);
        }
        stage_expect_traffic(&p, c);
        assert_true(pages_of(kept[0]) > 0 && pages_of(kept[1]) > 0);
        peer_close(&p);
        vop_channel_close(c);
        assert_true(stage_fds() > 0); /* once the library has done with it */
        for (unsigned h = 0; h < 2; h++) {
            assert_int_equal(pages_of(kept[h]), 0);
            close(kept[h]);
        }
        stage_expect_service(&s);
    }
    stage_close(&s);
}

#define MESSAGES 5 /* the last of them beyond the end of the ring */

/* The library closes first: what it had sent is still there, and nothing else. */
static void test_orderly_close(void **state)
{
    struct stage s;
    struct peer p;
    vop_channel *c;
    char out[4096], in[4096];

    (void)state;
    stage_open(&s, 2000, 8);
    s.options.slot_size = 4096;
    stage_reopen(&s);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, 4096);
    c = stage_join(&s, &p);
    for (unsigned i = 0; i < STAGE_QUEUE_SIZE - 2; i++) {
        assert_int_equal(vop_channel_send(c, "x", 1, 0), 0);
        assert_int_equal(peer_pull(&p, in, sizeof(in)), 1);
    }
    for (unsigned i = 0; i < MESSAGES; i++) {
        memset(out, 'a' + (int)i, sizeof(out));
        assert_int_equal(vop_channel_send(c, out, sizeof(out), 0), 0);
    }
    vop_channel_close(c);
    (void)stage_fds();
    assert_int_equal(pages_of(p.half_fd[0]), 0);
    assert_int_equal(pages_of(p.half_fd[1]), (long)(p.areas.pool / 4096) + MESSAGES);
    assert_int_equal(peer_get32(&p, offsetof(struct vop_announce, state)), VOP_STATE_CLOSING);
    for (unsigned i = 0; i < MESSAGES; i++) {
        memset(out, 'a' + (int)i, sizeof(out));
        assert_int_equal(peer_pull(&p, in, sizeof(in)), sizeof(in));
        assert_memory_equal(in, out, sizeof(in));
    }
    assert_int_equal(peer_pull(&p, in, sizeof(in)), 0);
    peer_close(&p);
    stage_close(&s);
}

/* A link that does not come up leaves nothing either, although the library has mapped the memory. */
static void test_refused_memory(void **state)
{
    struct stage s;
    struct peer p;

    (void)state;
    stage_open(&s, 2000, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(&s, &p);
    peer_put32(&p, offsetof(struct vop_announce, device_id), 77);
    assert_int_equal(peer_offer(&p), 0);
    stage_expect_refusal(&s, &p, EPROTO, "77");
    (void)stage_fds();
    assert_int_equal(pages_of(p.half_fd[0]), 0);
    assert_int_equal(pages_of(p.half_fd[1]), 0);
    peer_close(&p);
    stage_expect_service(&s);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_sealed_against_writing),
        cmocka_unit_test(test_one_half_twice),
        cmocka_unit_test(test_sparse_giants),
        cmocka_unit_test(test_larger_than_needed),
        cmocka_unit_test(test_pages_taken_away),
        cmocka_unit_test(test_orderly_close),
        cmocka_unit_test(test_refused_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
