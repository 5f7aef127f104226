/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_checksum.c - partial checksums are completed correctly, at every offset, and only where that is allowed.
 *
 * Room: tests.
 */
#include "frame.h"

#include <errno.h>

/* The receiver's check: pseudo header and packet sum up to 0xffff. */
static void check_l4(const uint8_t *frame, const struct test_frame *f, unsigned protocol)
{
    unsigned sum = test_pseudo(frame + f->l3, protocol, f->len - f->l4);

    assert_int_equal(test_sum(sum, frame + f->l4, f->len - f->l4), 0xffff);
}

static void test_frames(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 2 * 2 * 3 * 3 * 40; n++) {
        struct test_spec spec = {
            .ip = n % 2 ? 4 : 6,
            .protocol = n / 2 % 2 ? 6 : 17,
            .tags = n / 4 % 3,
            .options = n / 12 % 3,
            .payload = n / 36,
        };
        struct test_frame f = test_build(&spec);
        uint8_t *before = malloc(f.len);
        size_t field = f.l4 + (spec.protocol == 6 ? 16u : 6u);

        assert_non_null(before);
        memcpy(before, f.bytes, f.len);
        assert_int_equal(vop_net_checksum_complete(f.bytes, f.len, &f.hdr), 0);
        check_l4(f.bytes, &f, spec.protocol);
        memcpy(before + field, f.bytes + field, 2);
        assert_memory_equal(before, f.bytes, f.len); /* nothing else was written */
        assert_int_equal(f.hdr.flags, 0);
        assert_int_equal(test_from_le16(f.hdr.csum_start), 0);
        assert_int_equal(test_from_le16(f.hdr.csum_offset), 0);
        assert_int_equal(test_from_le16(f.hdr.num_buffers), 1);
        free(before);
        free(f.bytes);
    }
}

/* Arbitrary start and offset, odd ones too: the complement of the sum, taken with the field as it was, is stored. */
static void test_odd_places(void **state)
{
    uint8_t frame[100], copy[100];

    (void)state;
    for (size_t len = 40; len <= sizeof(frame); len++) {
        for (unsigned start = 34; start + 2 <= len; start++) {
            for (unsigned offset = 0; start + offset + 2 <= len; offset += 3) {
                struct vop_net_hdr hdr = {.flags = VOP_NET_HDR_F_NEEDS_CSUM | VOP_NET_HDR_F_DATA_VALID,
                                          .csum_start = test_le16(start),
                                          .csum_offset = test_le16(offset)};

                for (size_t i = 0; i < len; i++)
                    frame[i] = copy[i] = (uint8_t)(i * 37 + start);
                assert_int_equal(vop_net_checksum_complete(frame, len, &hdr), 0);
                test_put16(copy + start + offset, 0xffff - test_sum(0, copy + start, len - start));
                assert_memory_equal(frame, copy, len);
                assert_int_equal(hdr.flags, VOP_NET_HDR_F_DATA_VALID);
            }
        }
    }
}

static void test_zero_becomes_ffff_only_for_udp(void **state)
{
    static const struct {
        unsigned offset, expect;
    } rows[] = {{6, 0xffff}, {16, 0x0000}, {2, 0x0000}, {10, 0x0000}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t frame[54] = {0};
        struct vop_net_hdr hdr = {
            .flags = VOP_NET_HDR_F_NEEDS_CSUM, .csum_start = test_le16(34), .csum_offset = test_le16(rows[i].offset)};

        test_put16(frame + 34, 0xffff);
        assert_int_equal(vop_net_checksum_complete(frame, sizeof(frame), &hdr), 0);
        assert_int_equal(test_get16(frame + 34 + rows[i].offset), rows[i].expect);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        const char *what;
        unsigned flags, gso_type, start, offset;
        size_t len;
        int expect;
    } rows[] = {
        {"nothing to do", 0, 0, 60000, 60000, 60, 0},
        {"nothing to do, empty", 0, 0, 0, 0, 0, 0},
        {"ends at the last byte", 1, 0, 34, 24, 60, 0},
        {"one byte too far", 1, 0, 34, 25, 60, -EBADMSG},
        {"start at len - 1", 1, 0, 59, 0, 60, -EBADMSG},
        {"start behind the end", 1, 0, 61, 0, 60, -EBADMSG},
        {"16-bit wrap", 1, 0, 0xffff, 0xffff, 60, -EBADMSG},
        {"inside IP", 1, 0, 33, 16, 60, -EBADMSG},
        {"runt", 1, 0, 10, 0, 13, -EBADMSG},
        {"GSO", 1, 1, 34, 16, 60, -EINVAL},
        {"GSO without a checksum", 0, 5, 34, 6, 60, -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vop_net_hdr hdr = {.flags = (uint8_t)rows[i].flags,
                                  .gso_type = (uint8_t)rows[i].gso_type,
                                  .csum_start = test_le16(rows[i].start),
                                  .csum_offset = test_le16(rows[i].offset)};
        struct vop_net_hdr before = hdr;
        uint8_t *frame = calloc(1, rows[i].len + 1);
        int got;

        assert_non_null(frame);
        got = vop_net_checksum_complete(frame, rows[i].len, &hdr);
        if (got != rows[i].expect)
            fail_msg("%s: got %d, expected %d", rows[i].what, got, rows[i].expect);
        if (got < 0) {
            assert_memory_equal(&hdr, &before, sizeof(hdr));
            for (size_t k = 0; k < rows[i].len; k++)
                assert_int_equal(frame[k], 0);
        }
        free(frame);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_odd_places),
        cmocka_unit_test(test_zero_becomes_ffff_only_for_udp),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
