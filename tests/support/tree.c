/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tree.c - a tree of ordinary files that looks like a machine with one ivshmem device.
 *
 * Room: tests.
 */
#include "support/tree.h"

#include "support/test.h"

#include <ftw.h>
#include <sys/stat.h>

char tree_root[64];
size_t tree_page;

void tree_path_of(char full[PATH_MAX], const char *path)
{
    snprintf(full, PATH_MAX, "%s/%s", tree_root, path);
    for (char *slash = strchr(full + strlen(tree_root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0755);
        *slash = '/';
    }
}

void tree_put(const char *path, const char *text)
{
    char full[PATH_MAX];
    FILE *file;

    tree_path_of(full, path);
    file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

void tree_put_link(const char *path, const char *target)
{
    char full[PATH_MAX];

    tree_path_of(full, path);
    unlink(full);
    assert_int_equal(symlink(target, full), 0);
}

void tree_put_memory(const char *path, size_t size)
{
    char full[PATH_MAX];

    tree_put(path, "");
    tree_path_of(full, path);
    assert_int_equal(truncate(full, (off_t)size), 0);
}

uint32_t tree_peek(const char *path, size_t offset)
{
    char full[PATH_MAX];
    uint32_t word = 0;
    int fd;

    tree_path_of(full, path);
    fd = open(full, O_RDONLY);
    assert_int_equal(pread(fd, &word, sizeof(word), (off_t)offset), sizeof(word));
    close(fd);
    return word;
}

void tree_put_device(const char *driver)
{
    tree_put(DEVICES IVSHMEM "/vendor", "0x1af4\n");
    tree_put(DEVICES IVSHMEM "/device", "0x1110\n");
    if (driver) {
        char target[96];

        snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
        tree_put_link(DEVICES IVSHMEM "/driver", target);
    }
}

void tree_put_map(unsigned number, const char *name, const char *offset, const char *size)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), DEVICES IVSHMEM "/uio/uio3/maps/map%u/name", number);
    tree_put(path, name);
    snprintf(path, sizeof(path), DEVICES IVSHMEM "/uio/uio3/maps/map%u/offset", number);
    tree_put(path, offset);
    snprintf(path, sizeof(path), DEVICES IVSHMEM "/uio/uio3/maps/map%u/size", number);
    tree_put(path, size);
}

void tree_put_ours(void)
{
    tree_put_device("vop_pci_uio");
    tree_put(DEVICES IVSHMEM "/interrupts", "msix 2\n");
    tree_put_map(0, "bar0\n", "0x200\n", "0x0000000000000100\n");
    tree_put_map(1, "none\n", "0x0\n", "0x0000000000000001\n");
    tree_put_map(2, "bar2\n", "0x0\n", "0x0000000000010000\n");
    tree_put_memory("dev/uio3", 32 * tree_page);
}

int tree_setup(void **state)
{
    (void)state;
    tree_page = (size_t)sysconf(_SC_PAGESIZE);
    snprintf(tree_root, sizeof(tree_root), "/tmp/vop-pci.XXXXXX");
    return mkdtemp(tree_root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st;
    (void)kind;
    (void)walk;
    return remove(path);
}

int tree_teardown(void **state)
{
    (void)state;
    return nftw(tree_root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void tree_put_generic(void)
{
    tree_put_device("uio_pci_generic");
    tree_put(DEVICES IVSHMEM "/uio/uio3/name", "uio_pci_generic\n");
    tree_put(DEVICES IVSHMEM "/irq", "11\n");
    tree_put(DEVICES IVSHMEM "/resource", "0x00000000fe900200 0x00000000fe9002ff 0x0000000000040200\n"
                                          "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
                                          "0x00000000fea00000 0x00000000fea0ffff 0x000000000014220c\n");
    tree_put_memory(DEVICES IVSHMEM "/resource0", tree_page);
    tree_put_memory(DEVICES IVSHMEM "/resource2", 65536);
    tree_put_memory(DEVICES IVSHMEM "/config", 256);
    tree_put_memory("dev/uio3", tree_page);
}

int tree_put_fifo(void)
{
    char full[PATH_MAX];
    int fd;

    tree_path_of(full, "dev/uio3");
    unlink(full);
    assert_int_equal(mkfifo(full, 0600), 0);
    fd = open(full, O_RDWR | O_NONBLOCK);
    assert_true(fd >= 0);
    return fd;
}

void tree_poke(const char *path, size_t offset, uint32_t word)
{
    char full[PATH_MAX];
    int fd;

    tree_path_of(full, path);
    fd = open(full, O_WRONLY);
    assert_int_equal(pwrite(fd, &word, sizeof(word), (off_t)offset), sizeof(word));
    close(fd);
}
