/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pcapng.c - the blocks of a capture file, byte by byte as draft-ietf-opsawg-pcapng draws them.
 *
 * Room: tests. Multi-byte numbers are in this machine's order there, so they are compared as numbers.
 */
#include "pcapng.h"
#include "support/test.h"

#include <string.h>

/* A part of a block: a number of 2, 4 or 8 bytes; or bytes, filled up with zeros to a multiple of 4. */
struct part {
    unsigned size;
    uint64_t number;
    const char *text; /* NULL: a number */
};

#define N16(number)     \
    {                   \
        2, number, NULL \
    }
#define N32(number)     \
    {                   \
        4, number, NULL \
    }
#define N64(number)     \
    {                   \
        8, number, NULL \
    }
#define TEXT(text)                \
    {                             \
        sizeof(text) - 1, 0, text \
    }

static const uint8_t *expect_part(const uint8_t *at, const struct part *part)
{
    uint16_t n16;
    uint32_t n32;
    uint64_t n64;

    if (part->text) {
        assert_memory_equal(at, part->text, part->size);
        for (unsigned i = part->size; i % 4; i++)
            assert_int_equal(at[i], 0);
        return at + (part->size + 3) / 4 * 4;
    }
    memcpy(&n16, at, 2);
    memcpy(&n32, at, 4);
    memcpy(&n64, at, part->size == 8 ? 8 : 4);
    assert_int_equal(part->size == 2 ? n16 : part->size == 4 ? n32 : n64, part->number);
    return at + part->size;
}

#define EXPECT(bytes, length, ...)                                    \
    do {                                                              \
        const struct part parts[] = {__VA_ARGS__};                    \
        const uint8_t *at = (bytes);                                  \
                                                                      \
        for (unsigned i = 0; i < sizeof(parts) / sizeof(*parts); i++) \
            at = expect_part(at, &parts[i]);                          \
        assert_ptr_equal(at, (bytes) + (length));                     \
    } while (0)

static void test_section(void **state)
{
    uint8_t bytes[PCAPNG_SECTION_MAX];
    size_t length = pcapng_section(bytes, "Linux", "vop-bridge 1");

    (void)state;
    EXPECT(bytes, length, N32(0x0A0D0D0A), N32(60), N32(0x1A2B3C4D), N16(1), N16(0), N64(UINT64_MAX), N16(3), N16(5),
           TEXT("Linux"), N16(4), N16(12), TEXT("vop-bridge 1"), N16(0), N16(0), N32(60));
}

static void test_interface(void **state)
{
    uint8_t bytes[PCAPNG_INTERFACE_MAX(16)];
    struct pcapng_interface interface = {.name = "vop0", .description = "queue 1", .snaplen = 96, .filter = "port 80"};
    size_t length = pcapng_interface(bytes, &interface);

    (void)state;
    EXPECT(bytes, length, N32(1), N32(64), N16(1), N16(0), N32(96), N16(2), N16(4), TEXT("vop0"), N16(3), N16(7),
           TEXT("queue 1"), N16(9), N16(1), TEXT("\x09"), N16(11), N16(8), TEXT("\0port 80"), N16(0), N16(0), N32(64));
    interface.filter = NULL;
    length = pcapng_interface(bytes, &interface);
    EXPECT(bytes, length, N32(1), N32(52), N16(1), N16(0), N32(96), N16(2), N16(4), TEXT("vop0"), N16(3), N16(7),
           TEXT("queue 1"), N16(9), N16(1), TEXT("\x09"), N16(0), N16(0), N32(52));
}

/* Texts as long as they may be, and longer. */
static void test_long_texts(void **state)
{
    static char text[PCAPNG_TEXT_MAX + 100];
    static uint8_t bytes[PCAPNG_INTERFACE_MAX(PCAPNG_TEXT_MAX)];
    const struct pcapng_interface interface = {.name = text, .description = text, .filter = text};
    uint32_t length;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    assert_in_range(pcapng_section(bytes, text, text), 1, PCAPNG_SECTION_MAX);
    assert_in_range(pcapng_interface(bytes, &interface), PCAPNG_TEXT_MAX, sizeof(bytes));
    memcpy(&length, bytes + 4, 4);
    assert_int_equal(length, pcapng_interface(bytes, &interface));
}

static void test_packet(void **state)
{
    static const char frame[] = "an Ethernet frame";
    _Alignas(4) uint8_t bytes[256];
    const uint64_t time = UINT64_C(0x123456789abcdef0);

    (void)state;
    for (size_t captured = 13; captured <= 17; captured++) { /* each length of padding */
        size_t length = pcapng_packet_length(captured);

        memset(bytes, 0xff, sizeof(bytes));
        memcpy(bytes + sizeof(struct pcapng_packet), frame, captured);
        pcapng_packet_fill(bytes, 3, PCAPNG_OUTBOUND, time, captured, 17, UINT64_C(5) << 32 | 6);
        EXPECT(bytes, length, N32(6), N32(length), N32(3), N32(0x12345678), N32(0x9abcdef0), N32(captured), N32(17),
               {(unsigned)captured, 0, frame}, N16(2), N16(4), N32(2), N16(4), N16(8), N64(UINT64_C(5) << 32 | 6),
               N16(6), N16(4), N32(3), N16(0), N16(0), N32(length));
        assert_int_equal(bytes[length], 0xff);
        assert_int_equal(pcapng_packet_time((struct pcapng_packet *)(void *)bytes), time);
    }
    assert_int_equal(PCAPNG_INBOUND, 1); /* 4.3.1 */
}

static void test_statistics(void **state)
{
    const struct pcapng_statistics statistics = {.interface = 2,
                                                 .start_ns = UINT64_C(1) << 32 | 2,
                                                 .end_ns = UINT64_C(3) << 32 | 4,
                                                 .received = 400,
                                                 .dropped = 10,
                                                 .accepted = 300,
                                                 .written = 290};
    uint8_t bytes[PCAPNG_STATISTICS_MAX];
    size_t length = pcapng_statistics(bytes, &statistics);

    (void)state;
    EXPECT(bytes, length, N32(5), N32(100), N32(2), N32(3), N32(4), N16(2), N16(8), N32(1), N32(2), N16(3), N16(8),
           N32(3), N32(4), N16(4), N16(8), N64(400), N16(5), N16(8), N64(10), N16(6), N16(8), N64(300), N16(8), N16(8),
           N64(290), N16(0), N16(0), N32(100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_section), cmocka_unit_test(test_interface),  cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_packet),  cmocka_unit_test(test_statistics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
