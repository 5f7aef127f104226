/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * board.c - an MPC8349 as vop looks at it: its registers and the memory behind BAR 1, mapped to be read only.
 *
 * Room: tools. On the host through sysfs, which lets a second program look; on the board through its UIO device.
 */
#include "board.h"

#include "core/barrier.h"
#include "pci/info.h"
#include "pci/sysfs.h"
#include "wire/mpc8349_regs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REGISTERS 0x8000u
#define REGISTERS_SIZE 0x1000u
#define UIO_MAX 32u

static bool complain(const struct board *b, const char *what, int error)
{
    fprintf(stderr, "vop mpc8349: %s: %s: %s%s\n", b->name, what, strerror(error),
            error == EACCES || error == EPERM ? "; only root may look at it" : "");
    return false;
}

static bool map_file(struct board *b, unsigned i, int fd, off_t offset, size_t size)
{
    void *base = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_SHARED, fd, offset);
    int error = fd < 0 ? -fd : errno;

    if (fd >= 0)
        close(fd);
    if (base == MAP_FAILED)
        return complain(b, i == 0 ? "its registers" : "its memory", error);
    b->map[i] = (struct board_map){base, size};
    return true;
}

/* ---- On the host ---- */

static bool open_host(const char *root, struct board *b)
{
    struct vop__pci_info info;

    if (vop__pci_read_info(root, b->name, &info) < 0) {
        fprintf(stderr, "vop: %s: no such PCI device; see vop pci --all\n", b->name);
        return false;
    }
    if (!vop__pci_is_mpc8349(&info)) {
        fprintf(stderr, "vop mpc8349: %s is no MPC8349 and no relative (%04x:%04x)\n", b->name, info.vendor,
                info.device);
        return false;
    }
    if (info.bar[0].size < MPC8349_IMMR_SIZE) {
        fprintf(stderr, "vop mpc8349: %s: BAR 0 has %llu bytes, and the registers %u; is it in agent mode?\n", b->name,
                (unsigned long long)info.bar[0].size, MPC8349_IMMR_SIZE);
        return false;
    }
    b->is_host = true;
    if (!map_file(b, 0, vop__sysfs_open(O_RDONLY, VOP__PCI_SYSFS "/resource0", root, b->name), 0, MPC8349_IMMR_SIZE))
        return false;
    b->regs = (const uint8_t *)b->map[0].base + REGISTERS;
    if (info.bar[1].size == 0)
        return true;
    if (!map_file(b, 1, vop__sysfs_open(O_RDONLY, VOP__PCI_SYSFS "/resource1", root, b->name), 0,
                  (size_t)info.bar[1].size))
        return false;
    b->block = b->map[1].base;
    b->block_size = b->map[1].size;
    return true;
}

/* ---- On the board ---- */

static bool find_uio(const char *root, char name[16])
{
    for (unsigned i = 0; i < UIO_MAX; i++) {
        char line[64];

        (void)snprintf(name, 16, "uio%u", i);
        if (vop__sysfs_line(line, sizeof(line), "%s/sys/class/uio/%s/device/of_node/compatible", root, name) == 0 &&
            strcmp(line, "fsl,mpc8349-mu") == 0)
            return true;
    }
    fprintf(stderr, "vop mpc8349: no UIO device is a fsl,mpc8349-mu of the device tree; on a host name the board's PCI "
                    "address\n");
    return false;
}

static bool map_uio(struct board *b, const char *root, const char *uio, unsigned i)
{
    uint64_t size = 0, offset = 0;

    (void)vop__sysfs_number(&size, "%s/sys/class/uio/%s/maps/map%u/size", root, uio, i);
    (void)vop__sysfs_number(&offset, "%s/sys/class/uio/%s/maps/map%u/offset", root, uio, i);
    if (size < offset + REGISTERS_SIZE) {
        fprintf(stderr, "vop mpc8349: %s: map %u has %llu bytes\n", uio, i, (unsigned long long)size);
        return false;
    }
    if (!map_file(b, i, vop__sysfs_open(O_RDWR, "%s/dev/%s", root, uio), (off_t)i * sysconf(_SC_PAGESIZE),
                  (size_t)size))
        return false;
    *(i == 0 ? &b->regs : &b->block) = (const uint8_t *)b->map[i].base + offset;
    return true;
}

static bool open_board(const char *root, struct board *b)
{
    char uio[16];

    if (!find_uio(root, uio) || !map_uio(b, root, uio, 0) || !map_uio(b, root, uio, 1))
        return false;
    b->block_size = b->map[1].size;
    return true;
}

/* ---- Both ---- */

bool board_open(const char *root, const char *name, struct board *ret_board)
{
    struct board b = {0};
    bool ok;

    (void)snprintf(b.name, sizeof(b.name), "%s", name);
    ok = strcmp(name, "board") == 0 ? open_board(root, &b) : open_host(root, &b);
    if (!ok)
        board_close(&b);
    else
        *ret_board = b;
    return ok;
}

void board_close(struct board *board)
{
    for (unsigned i = 0; i < 2; i++) {
        if (board->map[i].base)
            (void)munmap(board->map[i].base, board->map[i].size);
    }
}

static uint32_t load(const uint8_t *p)
{
    return vop__load_le32((const vop_le32 *)(const void *)p);
}

uint32_t board_load(const struct board *board, uint32_t offset)
{
    return load(board->regs + (offset - REGISTERS));
}

uint32_t board_load_be(const struct board *board, uint32_t offset)
{
    return __builtin_bswap32(board_load(board, offset));
}

uint32_t board_load_block(const struct board *board, size_t offset)
{
    return offset + 4 <= board->block_size ? load(board->block + offset) : 0;
}
