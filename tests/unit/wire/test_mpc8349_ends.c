/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_mpc8349_ends.c - both ends of the MPC8349 wire in a tree of ordinary files: which map is what, in which byte
 * order, what is refused.
 *
 * Room: tests.
 */
#include "support/tree.h"

#include "support/test.h"
#include "wire/mpc8349.h"

#include <endian.h>

#include <vopipc/error.h>

#define BOARD IVSHMEM /* its PCI address */
#define UIO "sys/class/uio/uio5/"
#define POOL_BUS 0x1f000000u
#define BLOCK 0x0ff00000u  /* local address of the memory behind BAR 1 */
#define WINDOW 0x80000000u /* and of the outbound window, */
#define WINDOW_BUS 0x10000000u
#define WINDOW_SIZE 0x100000u

/* ---- The host ---- */

static void put_host_map(unsigned number, const char *name, const char *size, const char *address)
{
    char path[PATH_MAX];

    tree_put_map(number, name, "0x0\n", size);
    snprintf(path, sizeof(path), DEVICES BOARD "/uio/uio3/maps/map%u/addr", number);
    tree_put(path, address);
}

static void put_host(void)
{
    tree_put_device("vop_pci_uio");
    tree_put(DEVICES BOARD "/vendor", "0x1957\n");
    tree_put(DEVICES BOARD "/device", "0x0080\n");
    tree_put(DEVICES BOARD "/interrupts", "intx 1\n");
    put_host_map(0, "bar0\n", "0x100000\n", "0xe0000000\n");
    put_host_map(1, "bar1\n", "0x4000\n", "0xe1000000\n");
    put_host_map(2, "pool\n", "0x10000\n", "0x1f000000\n");
    tree_put_memory("dev/uio3", 0x110000);
}

static void refused_host(int error, const char *words)
{
    unsigned fds = test_count_fds();
    struct vop__mpc8349_end end;

    assert_int_equal(vop__mpc8349_host_open(tree_root, BOARD, &end), error);
    if (!strstr(vop_error_text(), words))
        fail_msg("\"%s\" does not say \"%s\"", vop_error_text(), words);
    assert_int_equal(test_count_fds(), fds);
}

static void test_host(void **state)
{
    unsigned fds = test_count_fds();
    struct vop__mpc8349_end end;

    (void)state;
    put_host();
    if (vop__mpc8349_host_open(tree_root, BOARD, &end) < 0)
        fail_msg("%s", vop_error_text());
    assert_int_equal(end.bus_address, POOL_BUS);
    assert_int_equal(end.local.size, 0x10000);
    assert_int_equal(end.local.flags, VOP__WINDOW_PLATFORM);
    assert_int_equal(end.remote.size, 0x4000);
    assert_int_equal(end.remote.flags, VOP__WINDOW_POSTED | VOP__WINDOW_PLATFORM | VOP__WINDOW_UNCACHED);
    assert_true(end.irq_fd >= 0);
    end.remote.base[8] = 1;
    end.local.base[8] = 2;
    assert_int_equal(le32toh(tree_peek("dev/uio3", tree_page + 8)), 1);
    assert_int_equal(le32toh(tree_peek("dev/uio3", 2 * tree_page + 8)), 2);
    vop__mpc8349_store(&end.io, MPC8349_IDR, 0x12345678);
    assert_int_equal(le32toh(tree_peek("dev/uio3", MPC8349_IDR)), 0x12345678);
    tree_poke("dev/uio3", MPC8349_POTAR(1), htobe32(0xabcde));
    assert_int_equal(vop__mpc8349_load_be(&end.io, MPC8349_POTAR(1)), 0xabcde);
    assert_int_equal((end.ops->check)(end.context), 0);
    assert_int_equal(end.ops->take(end.context), 1); /* an ordinary file always has something to read */
    assert_int_equal(end.ops->enable(end.context), 0);
    end.ops->close(end.context);
    assert_int_equal(test_count_fds(), fds);
}

static void test_host_refused(void **state)
{
    (void)state;
    refused_host(-ENODEV, BOARD ": no such PCI device");
    tree_put_device(NULL);
    tree_put(DEVICES BOARD "/vendor", "0x1957\n");
    tree_put(DEVICES BOARD "/device", "0x0087\n");
    refused_host(-ENODEV, "no driver has it (MPC8349, 1957:0087); run: modprobe vop_pci_uio && vop bind " BOARD);
    put_host();
    put_host_map(2, "pool\n", "0x10000\n", "0xffff8000\n");
    refused_host(-EINVAL, "pool is at bus address 0xffff8000");
    put_host_map(2, "none\n", "0x10000\n", "0x1f000000\n");
    refused_host(-ENXIO, "modprobe vop_pci_uio pool_size=2097152");
    put_host();
    put_host_map(0, "bar0\n", "0x1000\n", "0xe0000000\n");
    refused_host(-EINVAL, "BAR 0 has 4096 bytes");
    put_host();
    put_host_map(1, "none\n", "0x1\n", "0x0\n");
    refused_host(-ENXIO, "no memory at BAR1");
    tree_put(DEVICES BOARD "/device", "0x1234\n");
    refused_host(-EINVAL, "is not an MPC8349 or a relative (1957:1234)");
}

/* ---- The board ---- */

static void put_board_map(unsigned number, uint32_t address, uint32_t size)
{
    char path[PATH_MAX], text[32];

    snprintf(text, sizeof(text), "0x%08x\n", address);
    snprintf(path, sizeof(path), UIO "maps/map%u/addr", number);
    tree_put(path, text);
    snprintf(text, sizeof(text), "0x%08x\n", size);
    snprintf(path, sizeof(path), UIO "maps/map%u/size", number);
    tree_put(path, text);
    snprintf(path, sizeof(path), UIO "maps/map%u/offset", number);
    tree_put(path, "0x0\n");
}

static void put_register(uint32_t offset, uint32_t value)
{
    tree_poke("dev/uio5", offset - 0x8000, htobe32(value));
}

static void put_board(void)
{
    tree_put("sys/class/uio/uio0/device/of_node/compatible", "something,else");
    tree_put(UIO "device/of_node/compatible", "fsl,mpc8349-mu");
    put_board_map(0, 0xe0008000, 0x1000);
    put_board_map(1, BLOCK, 0x10000);
    put_board_map(2, WINDOW, WINDOW_SIZE);
    tree_put_memory("dev/uio5", 0x200000);
    put_register(MPC8349_PITAR0, BLOCK >> 12);
    put_register(MPC8349_PIWAR0, MPC8349_PIWAR_EN | 15);
    put_register(MPC8349_POTAR(2), WINDOW_BUS >> 12);
    put_register(MPC8349_POBAR(2), WINDOW >> 12);
    put_register(MPC8349_POCMR(2), MPC8349_POCMR_EN | 0xfff00);
}

static void refused_board(const char *uio, int error, const char *words)
{
    unsigned fds = test_count_fds();
    struct vop__mpc8349_end end;

    assert_int_equal(vop__mpc8349_board_open(tree_root, uio, &end), error);
    if (!strstr(vop_error_text(), words))
        fail_msg("\"%s\" does not say \"%s\"", vop_error_text(), words);
    assert_int_equal(test_count_fds(), fds);
}

static struct vop__mpc8349_end open_board(const char *uio)
{
    struct vop__mpc8349_end end;

    if (vop__mpc8349_board_open(tree_root, uio, &end) < 0)
        fail_msg("%s", vop_error_text());
    return end;
}

static void test_board(void **state)
{
    unsigned fds = test_count_fds();
    struct vop__mpc8349_end end;

    (void)state;
    put_board();
    end = open_board(NULL);
    assert_int_equal(end.local.size, 0x10000);
    assert_int_equal(end.local.flags, VOP__WINDOW_PLATFORM);
    end.local.base[8] = 3;
    assert_int_equal(le32toh(tree_peek("dev/uio5", tree_page + 8)), 3);
    vop__mpc8349_store(&end.io, MPC8349_ODR, 0x12345678);
    assert_int_equal(le32toh(tree_peek("dev/uio5", MPC8349_ODR - 0x8000)), 0x12345678);
    refused_board("uio5", -EADDRINUSE, "/dev/uio5 is in use");
    end.ops->close(end.context);
    end = open_board("uio5");
    end.ops->close(end.context);
    assert_int_equal(test_count_fds(), fds);
}

/* The window goes from the bus address that is given, and after leave() to nobody. */
static void test_reach(void **state)
{
    struct vop__mpc8349_end end;
    struct vop__window w;
    size_t begin = 2 * tree_page;

    (void)state;
    put_board();
    end = open_board(NULL);
    end.ops->leave(end.context); /* there is nothing to leave */
    assert_int_equal(end.ops->reach(end.context, WINDOW_BUS + 0x20000, 0x10000, &w), 0);
    assert_int_equal(w.size, 0x10000);
    assert_int_equal(w.flags, VOP__WINDOW_POSTED | VOP__WINDOW_PLATFORM | VOP__WINDOW_UNCACHED);
    w.base[0] = 1;
    w.base[0xffff] = 2;
    assert_int_equal(le32toh(tree_peek("dev/uio5", begin + 0x20000)), 1);
    assert_int_equal(le32toh(tree_peek("dev/uio5", begin + 0x2fffc)), 2u << 24);
    end.ops->leave(end.context);
    w.base[0] = 7;
    assert_int_equal(le32toh(tree_peek("dev/uio5", begin + 0x20000)), 1);
    assert_int_equal(end.ops->reach(end.context, WINDOW_BUS + WINDOW_SIZE - 0x10000, 0x10000, &w), 0);
    w.base[0] = 4;
    assert_int_equal(le32toh(tree_peek("dev/uio5", begin + WINDOW_SIZE - 0x10000)), 4);
    assert_int_equal(end.ops->reach(end.context, WINDOW_BUS + WINDOW_SIZE - 0xf000, 0x10000, &w), -EPROTO);
    assert_non_null(strstr(vop_error_text(), "shows 0x10000000 and the next 1048576 bytes"));
    assert_int_equal(end.ops->reach(end.context, WINDOW_BUS - 0x1000, 0x10000, &w), -EPROTO);
    assert_int_equal(end.ops->reach(end.context, 0xfffff000, 0x10000, &w), -EPROTO);
    end.ops->leave(end.context);
    end.ops->close(end.context);
    assert_int_equal(test_count_maps("dev/uio5"), 0);
}

static void test_board_refused(void **state)
{
    (void)state;
    refused_board(NULL, -ENODEV, "modprobe uio_pdrv_genirq of_id=fsl,mpc8349-mu");
    refused_board("uio7", -ENOENT, "/dev/uio7: No such file");
    put_board();
    put_register(MPC8349_PITAR0, (BLOCK >> 12) + 1);
    refused_board(NULL, -EINVAL, "inbound window 0 (BAR 1) shows 0xff01000");
    put_board();
    put_register(MPC8349_PIWAR0, 15);
    refused_board(NULL, -EINVAL, "inbound window 0");
    put_board();
    put_register(MPC8349_POCMR(2), 0xfff00);
    refused_board(NULL, -EINVAL, "no outbound window begins at 0x80000000 and has 1048576 bytes");
    put_board();
    put_register(MPC8349_POCMR(2), MPC8349_POCMR_EN | MPC8349_POCMR_IO | 0xfff00);
    refused_board(NULL, -EINVAL, "no outbound window");
    put_board();
    put_register(MPC8349_POCMR(2), MPC8349_POCMR_EN | 0xfff80);
    refused_board(NULL, -EINVAL, "no outbound window");
    put_board();
    put_board_map(0, 0xe0008000, 0x300);
    refused_board(NULL, -EINVAL, "the node's first reg is IMMR + 0x8000");
    put_board();
    tree_put(UIO "maps/map2/size", "");
    refused_board(NULL, -EINVAL, "has no map 2 (outbound window)");
}

/* What a URI names. */
static void test_names(void **state)
{
    struct vop__side *side;

    (void)state;
    assert_int_equal(vop__mpc8349_open("", &side), -EINVAL);
    assert_int_equal(vop__mpc8349_open("boards", &side), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "mpc8349:board"));
    assert_int_equal(vop__mpc8349_open("ffff:ff:1f.7", &side), -ENODEV);
    assert_int_equal(vop__mpc8349_open("board?uio=none", &side), -ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_host),  TEST(test_host_refused),  TEST(test_board),
        TEST(test_reach), TEST(test_board_refused), TEST(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
