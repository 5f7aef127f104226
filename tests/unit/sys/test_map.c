/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_map.c - mappings: plain, mirrored, read-only, not inherited.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "sys/map.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

static size_t page;

static int make_memory(size_t size)
{
    int fd = memfd_create("vop-test-map", MFD_CLOEXEC);

    check(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    return fd;
}

static void test_plain(void **state)
{
    int fd = make_memory(3 * page);
    uint8_t *writable, *readable;
    char byte;

    (void)state;
    assert_int_equal(vop__map(fd, (off_t)page, 2 * page, true, (void **)&writable), 0);
    assert_int_equal(vop__map(fd, 0, 3 * page, false, (void **)&readable), 0);
    writable[0] = 1;
    writable[2 * page - 1] = 2;
    assert_int_equal(readable[page], 1);
    assert_int_equal(readable[3 * page - 1], 2);
    assert_int_equal(pread(fd, &byte, 1, (off_t)page), 1);
    assert_int_equal(byte, 1); /* shared, not private */
    vop__unmap(writable, 2 * page);
    vop__unmap(readable, 3 * page);
    vop__unmap(NULL, page);
    assert_int_equal(test_count_maps("vop-test-map"), 0);
    close(fd);
}

static void test_mirrored(void **state)
{
    size_t size = 2 * page;
    int fd = make_memory(4 * page);
    uint8_t *base, *other, *plain;

    (void)state;
    assert_int_equal(vop__map_mirrored(fd, (off_t)page, size, true, (void **)&base), 0);
    assert_int_equal(vop__map_mirrored(fd, (off_t)page, size, false, (void **)&other), 0);
    assert_int_equal(vop__map(fd, 0, 4 * page, true, (void **)&plain), 0);
    assert_ptr_not_equal(base, other);
    for (size_t i = 0; i < size; i++)
        base[i] = (uint8_t)(i * 7 + i / 256);
    assert_memory_equal(base, base + size, size);
    assert_memory_equal(base, other, size);
    assert_memory_equal(base, other + size, size);
    assert_memory_equal(base, plain + page, size);
    memset(base + size - 3, 0xee, 6); /* across the end: the last three bytes and the first three */
    assert_memory_equal(plain + page, "\xee\xee\xee", 3);
    assert_memory_equal(plain + page + size - 3, "\xee\xee\xee", 3);
    assert_memory_equal(other + size - 3, "\xee\xee\xee\xee\xee\xee", 6);
    assert_int_equal(plain[0], 0);
    assert_int_equal(plain[3 * page], 0);
    vop__unmap(base, 2 * size);
    vop__unmap(other, 2 * size);
    vop__unmap(plain, 4 * page);
    assert_int_equal(test_count_maps("vop-test-map"), 0);
    close(fd);
}

static void test_refused(void **state)
{
    int fd = make_memory(2 * page);
    void *base = &fd;

    (void)state;
    assert_int_equal(vop__map_mirrored(fd, 0, page / 2, true, &base), -EINVAL);
    assert_int_equal(vop__map_mirrored(fd, 64, page, true, &base), -EINVAL);
    assert_int_equal(vop__map_mirrored(fd, 0, 0, true, &base), -EINVAL);
    assert_int_equal(vop__map_mirrored(fd, 0, ~(page - 1), true, &base), -EINVAL);
    assert_int_equal(vop__map_mirrored(-1, 0, page, true, &base), -EBADF);
    assert_int_equal(vop__map(-1, 0, page, true, &base), -EBADF);
    assert_int_equal(vop__map(fd, 64, page, true, &base), -EINVAL);
    assert_ptr_equal(base, &fd);
    assert_int_equal(test_count_maps("vop-test-map"), 0);
    close(fd);
}

/* How a child ends that stores into, or loads from, an address. */
static int child_touches(volatile uint8_t *address, bool store)
{
    pid_t child = test_child();
    int status;

    if (child == 0) {
        signal(SIGSEGV, SIG_DFL); /* a sanitizer would write a report */
        if (store)
            *address = 1;
        else
            (void)*address;
        _exit(0);
    }
    check(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_not_inherited(void **state)
{
    int fd = make_memory(2 * page);
    uint8_t *plain, *mirrored, *ordinary;

    (void)state;
    assert_int_equal(vop__map(fd, 0, 2 * page, true, (void **)&plain), 0);
    assert_int_equal(vop__map_mirrored(fd, 0, 2 * page, true, (void **)&mirrored), 0);
    ordinary = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_int_equal(child_touches(ordinary, false), 0);
    assert_int_equal(child_touches(plain, false), SIGSEGV);
    assert_int_equal(child_touches(mirrored, false), SIGSEGV);
    assert_int_equal(child_touches(mirrored + 4 * page - 1, false), SIGSEGV);
    munmap(ordinary, page);
    vop__unmap(plain, 2 * page);
    vop__unmap(mirrored, 4 * page);
    close(fd);
}

static sigjmp_buf after_fault;

static void on_fault(int signal_number)
{
    siglongjmp(after_fault, signal_number);
}

/* In this process, since a child would not have the mapping. */
static bool can_store(volatile uint8_t *address)
{
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER}, before;
    bool stored = false;

    sigaction(SIGSEGV, &action, &before);
    if (sigsetjmp(after_fault, 1) == 0) {
        *address = 1;
        stored = true;
    }
    sigaction(SIGSEGV, &before, NULL);
    return stored;
}

static void test_read_only(void **state)
{
    int fd = make_memory(2 * page);
    uint8_t *plain, *mirrored, *writable;

    (void)state;
    assert_int_equal(vop__map(fd, 0, 2 * page, false, (void **)&plain), 0);
    assert_int_equal(vop__map_mirrored(fd, 0, 2 * page, false, (void **)&mirrored), 0);
    assert_int_equal(vop__map_mirrored(fd, 0, 2 * page, true, (void **)&writable), 0);
    assert_false(can_store(plain));
    assert_false(can_store(mirrored));
    assert_false(can_store(mirrored + 2 * page));
    assert_true(can_store(writable + 2 * page));
    vop__unmap(plain, 2 * page);
    vop__unmap(mirrored, 4 * page);
    vop__unmap(writable, 4 * page);
    close(fd);
}

static size_t allocated(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return (size_t)st.st_blocks * 512;
}

/* Bytes of a sparse memory that mapping and populating it bring into being. */
static size_t populated(int (*map)(int, off_t, size_t, bool, void **), size_t size, size_t length, bool writable)
{
    int fd = make_memory(size);
    size_t bytes;
    void *base;

    assert_int_equal(map(fd, 0, size, writable, &base), 0);
    assert_int_equal(allocated(fd), 0);
    vop__map_populate(base, size, writable);
    bytes = allocated(fd);
    vop__unmap(base, length);
    close(fd);
    return bytes;
}

/* Mapping touches no page. Of a large memory none is populated, since its owner may take each away again meanwhile. */
static void test_populated(void **state)
{
    const size_t usual = (size_t)1 << 20, large = (size_t)32 << 20;

    (void)state;
    for (unsigned writable = 0; writable < 2; writable++) {
        assert_int_equal(populated(vop__map, usual, usual, writable), usual);
        assert_int_equal(populated(vop__map_mirrored, usual, 2 * usual, writable), usual);
        assert_int_equal(populated(vop__map, large, large, writable), 0);
        assert_int_equal(populated(vop__map_mirrored, large, 2 * large, writable), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),         cmocka_unit_test(test_mirrored),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_not_inherited), cmocka_unit_test(test_read_only), cmocka_unit_test(test_populated),
    };

    page = (size_t)sysconf(_SC_PAGESIZE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
