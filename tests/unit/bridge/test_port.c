/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_port.c - reaching into a message, wherever its segments begin and end.
 *
 * Room: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "port.h"

#include <string.h>

#define SIZE 24

/* `bytes` as a buffer, cut at `cut`: one segment if that is the end. */
static struct port_buffer cut_buffer(uint8_t *bytes, size_t cut, struct iovec *segment)
{
    segment[0] = (struct iovec){.iov_base = bytes, .iov_len = cut};
    segment[1] = (struct iovec){.iov_base = bytes + cut, .iov_len = SIZE - cut};
    return (struct port_buffer){.segment = segment, .count = cut < SIZE ? 2 : 1, .length = SIZE};
}

static void test_read(void **state)
{
    uint8_t bytes[SIZE];
    uint8_t copy[SIZE];
    struct iovec segment[PORT_SEGMENT_MAX];

    (void)state;
    for (uint8_t i = 0; i < SIZE; i++)
        bytes[i] = i;
    for (size_t cut = 0; cut <= SIZE; cut++) {
        struct port_buffer buffer = cut_buffer(bytes, cut, segment);

        for (size_t length = 0; length <= SIZE; length++) {
            memset(copy, 0xee, sizeof(copy));
            port_buffer_read(&buffer, 0, copy, length);
            assert_memory_equal(copy, bytes, length);
            assert_true(length == SIZE || copy[length] == 0xee);
        }
    }
}

static void test_write(void **state)
{
    static const uint8_t data[5] = {1, 2, 3, 4, 5};
    uint8_t bytes[SIZE + 1];
    struct iovec segment[PORT_SEGMENT_MAX];

    (void)state;
    for (size_t cut = 0; cut <= SIZE; cut++) {
        struct port_buffer buffer = cut_buffer(bytes, cut, segment);

        for (size_t offset = 0; offset <= SIZE; offset++) {
            size_t room = SIZE - offset < sizeof(data) ? SIZE - offset : sizeof(data);

            memset(bytes, 0xee, sizeof(bytes));
            port_buffer_write(&buffer, offset, data, sizeof(data));
            assert_true(offset == 0 || bytes[offset - 1] == 0xee);
            assert_memory_equal(bytes + offset, data, room);
            assert_int_equal(bytes[offset + room], 0xee);
        }
    }
}

static void test_tail(void **state)
{
    uint8_t bytes[SIZE];
    struct iovec segment[PORT_SEGMENT_MAX];
    struct iovec iov[PORT_SEGMENT_MAX];
    struct port_buffer buffer = cut_buffer(bytes, 10, segment);

    (void)state;
    assert_int_equal(port_buffer_tail(&buffer, 3, iov), 2);
    assert_ptr_equal(iov[0].iov_base, bytes + 3);
    assert_int_equal(iov[0].iov_len, 7);
    assert_ptr_equal(iov[1].iov_base, bytes + 10);
    assert_int_equal(iov[1].iov_len, SIZE - 10);
    for (size_t offset = 10; offset < SIZE; offset++) {
        assert_int_equal(port_buffer_tail(&buffer, offset, iov), 1);
        assert_ptr_equal(iov[0].iov_base, bytes + offset);
        assert_int_equal(iov[0].iov_len, SIZE - offset);
    }
    assert_int_equal(port_buffer_tail(&buffer, SIZE, iov), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_tail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
