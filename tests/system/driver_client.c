/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * driver_client.c - a driver's program: copies a disk, random numbers or a console.
 *
 * Room: tests. driver-client PATH is for what vop serve --socket serves; vhost:ID:PATH for what a vhost-user back end
 * is, of this device ID; pci:ADDRESS for a virtio device on PCI that vop_pci_uio has. A disk goes to standard output as
 * a whole; of random numbers 4096 bytes; a console gets standard input, and what it says goes to standard output, until
 * a line that is "bye". But on PCI, what can be written of their configuration is: the cache of a disk is turned off,
 * and a console gets an emergency write of "!".
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vopipc/vopipc.h>

static vop_bus *bus;
static vop_bus_device *d;
static bool is_pci, is_vhost;

static void fail(const char *what)
{
    fprintf(stderr, "driver-client: %s: %s\n", what, vop_error_text());
    exit(1);
}

static int process(void)
{
    if (is_vhost)
        return vop_vhost_bus_process(d);
    return is_pci ? vop_virtio_pci_process(d) : vop_remote_bus_process(d);
}

static void step(void)
{
    struct pollfd p = {.fd = is_vhost ? vop_vhost_bus_fd(d)
                             : is_pci ? vop_virtio_pci_fd(d)
                                      : vop_remote_bus_fd(d),
                       .events = POLLIN};

    if (poll(&p, 1, 20000) == 0) {
        fprintf(stderr, "driver-client: no interrupt for 20 s\n");
        exit(1);
    }
    if (process() < 0)
        fail("the device");
    (void)vop_bus_process(bus);
}

static void on_done(void *context, int result)
{
    if (result)
        fail("a request");
    *(bool *)context = true;
}

/* It is on for each driver anew. */
static void turn_cache_off(void)
{
    const struct vop_config_field *field = vop_block_field(VOP_BLOCK_WRITEBACK);
    uint64_t before = 0, after = 1;

    if (vop_bus_read_field(d, field, &before) < 0 || vop_bus_write_field(d, field, 0) < 0 ||
        vop_bus_read_field(d, field, &after) < 0)
        fail("the cache");
    if (before == 1 && after == 0)
        return;
    fprintf(stderr, "driver-client: the cache was %d and is %d\n", (int)before, (int)after);
    exit(1);
}

static void copy_disk(vop_block *block)
{
    struct vop_block_info info;
    void *data;

    if (!is_pci)
        turn_cache_off();
    vop_block_get_info(block, &info);
    if (vop_bus_alloc(d, 65536, &data) < 0)
        fail("memory");
    for (uint64_t sector = 0; sector < info.sectors; sector += 128) {
        size_t size = info.sectors - sector < 128 ? (size_t)(info.sectors - sector) * VOP_BLOCK_SECTOR : 65536;
        const struct iovec iov = {data, size};
        bool is_done = false;
        const struct vop_block_request r = {
            .type = VOP_BLOCK_IN, .sector = sector, .segments = &iov, .count = 1, .done = on_done, .context = &is_done};

        if (vop_block_begin(block, &r) < 0)
            fail("a request");
        while (!is_done)
            step();
        if (fwrite(data, size, 1, stdout) != 1)
            exit(1);
    }
}

static void copy_numbers(vop_rng *rng)
{
    uint8_t bytes[4096];
    size_t got = 0;

    while (got < sizeof(bytes)) {
        int ret = vop_rng_read(rng, bytes + got, sizeof(bytes) - got);

        if (ret < 0 && ret != -EAGAIN)
            fail("numbers");
        if (ret > 0)
            got += (size_t)ret;
        else
            step();
    }
    (void)!fwrite(bytes, sizeof(bytes), 1, stdout);
}

static void talk(vop_console *console)
{
    char line[256], said[4096];
    size_t size = 0;

    if (!is_pci && vop_console_emergency(console, '!') < 0)
        fail("an emergency write");
    while (fgets(line, sizeof(line), stdin)) {
        for (size_t done = 0, length = strlen(line); done < length;) {
            int ret = vop_console_write(console, 0, line + done, length - done);

            if (ret > 0)
                done += (size_t)ret;
            else
                step();
        }
    }
    while (size < sizeof(said) - 1 && !(size >= 4 && memcmp(said + size - 4, "bye\n", 4) == 0)) {
        int ret = vop_console_read(console, 0, said + size, 1);

        if (ret > 0)
            size += (size_t)ret;
        else
            step();
    }
    (void)!fwrite(said, size, 1, stdout);
}

static int connect_device(const char *name)
{
    struct vop_virtio_pci_options p;
    struct vop_vhost_bus_options v;
    struct vop_remote_options r;
    char *path;

    is_pci = strncmp(name, "pci:", 4) == 0;
    if (is_pci) {
        vop_virtio_pci_options_init(&p, sizeof(p));
        p.address = name + 4;
        return vop_virtio_pci_add(bus, &p, &d);
    }
    is_vhost = strncmp(name, "vhost:", 6) == 0;
    if (is_vhost) {
        vop_vhost_bus_options_init(&v, sizeof(v));
        v.id = (uint32_t)strtoul(name + 6, &path, 10);
        if (vop_vhost_user_connect(path + 1, &v.socket) < 0)
            return -1;
        return vop_vhost_bus_add(bus, &v, &d);
    }
    vop_remote_options_init(&r, sizeof(r));
    r.path = name;
    return vop_remote_connect(bus, &r, &d);
}

int main(int argc, char **argv)
{
    if (argc != 2 || vop_bus_new(&bus) < 0 || vop_bus_add_driver(bus, vop_block_driver(), NULL) < 0 ||
        vop_bus_add_driver(bus, vop_rng_driver(), NULL) < 0 || vop_bus_add_driver(bus, vop_console_driver(), NULL) < 0)
        return 2;
    if (connect_device(argv[1]) < 0)
        fail(argv[1]);
    if (!vop_bus_instance(d)) {
        fprintf(stderr, "driver-client: %s\n", vop_bus_complaint(d));
        return 1;
    }
    if (vop_bus_id(d) == VOP_ID_BLOCK)
        copy_disk(vop_bus_instance(d));
    else if (vop_bus_id(d) == VOP_ID_RNG)
        copy_numbers(vop_bus_instance(d));
    else
        talk(vop_bus_instance(d));
    vop_bus_free(bus);
    return 0;
}
