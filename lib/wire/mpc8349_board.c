/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpc8349_board.c - the board's end of the MPC8349 wire, through UIO: registers, the memory behind BAR 1, and the
 * outbound window that shows the host's memory. drivers/mpc8349-board/README.md says how a board's kernel offers them.
 *
 * Room: wire.
 *
 * A map of UIO can only be mapped from its beginning. So the outbound window is mapped as far as the host's half goes,
 * and what comes before it is unmapped again.
 */
#include "core/error.h"
#include "pci/sysfs.h"
#include "sys/map.h"
#include "wire/mpc8349.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#define COMPATIBLE "fsl,mpc8349-mu"
#define UIO_MAX 32u

enum map {
    MAP_REGISTERS,
    MAP_BLOCK,
    MAP_OUTBOUND,
    MAPS
};

#define REGISTERS_BEGIN 0x8000u /* of what is mapped, in IMMR */
#define REGISTERS_SIZE 0x1000u

struct board {
    int fd;
    struct {
        uint64_t address, size, offset;
        void *base;    /* as mapped; NULL: not yet */
        size_t length; /* as mapped */
    } map[MAPS];
    uint32_t outbound_bus; /* where on the bus the outbound map begins */
    char name[16];         /* uioN */
};

static uint32_t board_load32(void *context, uint32_t offset)
{
    const struct board *b = context;
    const uint8_t *base = (uint8_t *)b->map[MAP_REGISTERS].base + b->map[MAP_REGISTERS].offset;

    return vop__load_le32((const vop_le32 *)(const void *)(base + (offset - REGISTERS_BEGIN)));
}

static void board_store32(void *context, uint32_t offset, uint32_t value)
{
    const struct board *b = context;
    uint8_t *base = (uint8_t *)b->map[MAP_REGISTERS].base + b->map[MAP_REGISTERS].offset;

    vop__store_le32((vop_le32 *)(void *)(base + (offset - REGISTERS_BEGIN)), value);
}

/* ---- The host's memory ---- */

static void unreach(struct board *b)
{
    vop__unmap(b->map[MAP_OUTBOUND].base, b->map[MAP_OUTBOUND].length);
    b->map[MAP_OUTBOUND].base = NULL;
}

static int board_reach(void *context, uint32_t bus_address, size_t size, struct vop__window *ret_window)
{
    struct board *b = context;
    uint64_t before = (uint64_t)bus_address - b->outbound_bus;
    void *base;
    int ret;

    unreach(b);
    if (bus_address < b->outbound_bus || before > b->map[MAP_OUTBOUND].size ||
        size > b->map[MAP_OUTBOUND].size - before)
        return vop__error(EPROTO,
                          "the host's memory is at bus address 0x%08x, %zu bytes, and the outbound window of %s shows "
                          "0x%08x and the next %llu bytes",
                          bus_address, size, b->name, b->outbound_bus, (unsigned long long)b->map[MAP_OUTBOUND].size);
    ret = vop__map(b->fd, MAP_OUTBOUND * sysconf(_SC_PAGESIZE), (size_t)before + size, true, &base);
    if (ret < 0)
        return vop__error(-ret, "%s: cannot map the host's memory: %s", b->name, strerror(-ret));
    vop__unmap(before ? base : NULL, (size_t)before);
    b->map[MAP_OUTBOUND].base = (uint8_t *)base + before;
    b->map[MAP_OUTBOUND].length = size;
    *ret_window = (struct vop__window){
        .base = b->map[MAP_OUTBOUND].base,
        .size = size,
        .flags = VOP__WINDOW_POSTED | VOP__WINDOW_PLATFORM | VOP__WINDOW_UNCACHED,
    };
    return 0;
}

/* Plain memory takes the place of the window, under the feet of whoever is just storing. */
static void board_leave(void *context)
{
    const struct board *b = context;

    if (b->map[MAP_OUTBOUND].base)
        (void)mmap(b->map[MAP_OUTBOUND].base, b->map[MAP_OUTBOUND].length, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* ---- Interrupt and life ---- */

static int board_take(void *context)
{
    const struct board *b = context;
    uint32_t count;

    if (read(b->fd, &count, sizeof(count)) == sizeof(count))
        return 1;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static int board_enable(void *context)
{
    const struct board *b = context;
    uint32_t on = 1;

    return write(b->fd, &on, sizeof(on)) == sizeof(on) ? 0 : -errno;
}

static void board_forget(void *context)
{
    struct board *b = context;

    for (unsigned i = 0; i < MAPS; i++)
        b->map[i].base = NULL;
}

static void board_close(void *context)
{
    struct board *b = context;

    for (unsigned i = 0; i < MAPS; i++)
        vop__unmap(b->map[i].base, b->map[i].length);
    if (b->fd >= 0)
        close(b->fd);
    free(b);
}

static const struct vop__mpc8349_ops board_ops = {
    .reach = board_reach,
    .leave = board_leave,
    .take = board_take,
    .enable = board_enable,
    .forget = board_forget,
    .close = board_close,
};

/* ---- Opening ---- */

static int find_uio(const char *root, char name[16])
{
    for (unsigned i = 0; i < UIO_MAX; i++) {
        char line[64];

        (void)snprintf(name, 16, "uio%u", i);
        if (vop__sysfs_line(line, sizeof(line), "%s/sys/class/uio/%s/device/of_node/compatible", root, name) == 0 &&
            strcmp(line, COMPATIBLE) == 0)
            return 0;
    }
    return vop__error(ENODEV,
                      "no UIO device is a " COMPATIBLE " of the device tree; put one there, and load its driver: "
                      "modprobe uio_pdrv_genirq of_id=" COMPATIBLE);
}

static int take_name(const char *uio, char name[16])
{
    if (strlen(uio) >= 16)
        return vop__error(ENODEV, "'%.80s' is not the name of a UIO device, such as uio0", uio);
    memcpy(name, uio, strlen(uio) + 1);
    return 0;
}

static int open_device(struct board *b, const char *root)
{
    b->fd = vop__sysfs_open(O_RDWR | O_NONBLOCK, "%s/dev/%s", root, b->name);
    if (b->fd < 0)
        return vop__error(-b->fd, "/dev/%s: %s%s", b->name, strerror(-b->fd),
                          b->fd == -EACCES ? "; this user needs the right to read and write it" : "");
    if (flock(b->fd, LOCK_EX | LOCK_NB) < 0)
        return vop__error(EADDRINUSE, "/dev/%s is in use by another link of this board; end that program", b->name);
    return 0;
}

static int read_map(struct board *b, const char *root, unsigned i)
{
    static const char *const what[] = {"registers", "memory behind BAR 1", "outbound window"};

    if (vop__sysfs_number(&b->map[i].address, "%s/sys/class/uio/%s/maps/map%u/addr", root, b->name, i) < 0 ||
        vop__sysfs_number(&b->map[i].size, "%s/sys/class/uio/%s/maps/map%u/size", root, b->name, i) < 0 ||
        vop__sysfs_number(&b->map[i].offset, "%s/sys/class/uio/%s/maps/map%u/offset", root, b->name, i) < 0)
        return vop__error(EINVAL, "%s has no map %u (%s); its node needs a reg of registers, memory and window",
                          b->name, i, what[i]);
    return 0;
}

static int map_one(struct board *b, unsigned i)
{
    int ret = vop__map(b->fd, (off_t)i * sysconf(_SC_PAGESIZE), (size_t)b->map[i].size, true, &b->map[i].base);

    b->map[i].length = (size_t)b->map[i].size;
    return ret < 0 ? vop__error(-ret, "%s: cannot map its map %u: %s", b->name, i, strerror(-ret)) : 0;
}

/* What the node says, and what the registers say. */
static int check_windows(struct board *b, const struct vop__mpc8349_io *io)
{
    uint64_t block = (uint64_t)vop__mpc8349_load_be(io, MPC8349_PITAR0) << MPC8349_PAGE_SHIFT;

    if (!(vop__mpc8349_load_be(io, MPC8349_PIWAR0) & MPC8349_PIWAR_EN) || block != b->map[MAP_BLOCK].address)
        return vop__error(
            EINVAL,
            "%s: inbound window 0 (BAR 1) shows 0x%llx or nothing, and the node says 0x%llx: open it there "
            "in the firmware, or change the node",
            b->name, (unsigned long long)block, (unsigned long long)b->map[MAP_BLOCK].address);
    for (unsigned i = 0; i < MPC8349_OUTBOUND_WINDOWS; i++) {
        struct vop__mpc8349_window w =
            vop__mpc8349_window(vop__mpc8349_load_be(io, MPC8349_POCMR(i)), vop__mpc8349_load_be(io, MPC8349_POTAR(i)));
        uint64_t local = (uint64_t)vop__mpc8349_load_be(io, MPC8349_POBAR(i)) << MPC8349_PAGE_SHIFT;

        if (w.size >= b->map[MAP_OUTBOUND].size && local == b->map[MAP_OUTBOUND].address) {
            b->outbound_bus = w.bus;
            return 0;
        }
    }
    return vop__error(EINVAL,
                      "%s: no outbound window begins at 0x%llx and has %llu bytes, as the node says: open it in the "
                      "firmware (POTAR, POBAR, POCMR), or change the node",
                      b->name, (unsigned long long)b->map[MAP_OUTBOUND].address,
                      (unsigned long long)b->map[MAP_OUTBOUND].size);
}

static int open_board(struct board *b, const char *root, const struct vop__mpc8349_io *io)
{
    int ret = open_device(b, root);

    for (unsigned i = 0; i < MAPS && ret == 0; i++)
        ret = read_map(b, root, i);
    if (ret == 0 && b->map[MAP_REGISTERS].size < b->map[MAP_REGISTERS].offset + REGISTERS_SIZE)
        ret = vop__error(EINVAL, "%s: map 0 has %llu bytes; the node's first reg is IMMR + 0x8000, 0x1000 bytes",
                         b->name, (unsigned long long)b->map[MAP_REGISTERS].size);
    if (ret == 0)
        ret = map_one(b, MAP_REGISTERS);
    if (ret == 0)
        ret = check_windows(b, io);
    return ret == 0 ? map_one(b, MAP_BLOCK) : ret;
}

int vop__mpc8349_board_open(const char *root, const char *uio, struct vop__mpc8349_end *ret_end)
{
    struct board *b = calloc(1, sizeof(*b));
    struct vop__mpc8349_end end = {
        .io = {.load32 = board_load32, .store32 = board_store32, .context = b},
        .ops = &board_ops,
        .context = b,
    };
    int ret;

    if (!b)
        return vop__error(ENOMEM, "no memory for a link");
    b->fd = -1;
    ret = uio ? take_name(uio, b->name) : find_uio(root, b->name);
    if (ret == 0)
        ret = open_board(b, root, &end.io);
    if (ret < 0) {
        board_close(b);
        return ret;
    }
    end.local = (struct vop__window){
        .base = b->map[MAP_BLOCK].base, .size = (size_t)b->map[MAP_BLOCK].size, .flags = VOP__WINDOW_PLATFORM};
    end.dma.local = (uint32_t)b->map[MAP_BLOCK].address;
    end.dma.outbound = (uint32_t)b->map[MAP_OUTBOUND].address;
    end.dma.bus = b->outbound_bus;
    end.dma.size = (uint32_t)b->map[MAP_OUTBOUND].size;
    end.irq_fd = b->fd;
    (void)board_enable(b); /* the last user may have taken an interrupt and not let the next one through */
    *ret_end = end;
    return 0;
}
