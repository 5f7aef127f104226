/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - model8349: a board in software, between a machine of QEMU and a program that believes to run on the board.
 *
 * Room: tests. rig.h is the theory. Whoever starts it gives orders by lines of standard input, and each is answered by
 * one line; the end of standard input is its end.
 *
 *   set NAME VALUE   a switch or a fault of the model (m8349_options)
 *   reset            the board is reset: all ones, until
 *   boot             fresh registers; the host's kernel has to configure it anew
 *   storm on|off     the board rings without end
 *   counts           figures, as JSON
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rig8349/rig.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STORM_BITS 0x07ffffffu /* all but RESET and START */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- Time ---- */

static bool is_busy(const struct m8349 *m)
{
    bool is_copying = false;

    for (unsigned i = 0; i < MPC8349_DMA_CHANNELS; i++)
        is_copying |= (m->dma[i].sr & MPC8349_SR_CB) != 0;
    return is_copying || m->to_board.count > 0 || m->to_host.count > 0 || m->late_idr || m->late_odr;
}

void rig_step(struct rig *r)
{
    m8349_step(&r->model);
    if (r->is_storm)
        m8349_core_store(&r->model, M8349_IMMR + MPC8349_ODR, 4, STORM_BITS);
    rig_intx_set(r, m8349_inta(&r->model));
    rig_core_line(r);
    rig_machine_line(r);
}

/* ---- Orders ---- */

static void boot(struct rig *r)
{
    m8349_boot(&r->model, r->model.options.dram_base, r->block_size, 0);
    r->model.memory_on = r->model.master_on = false; /* that is for the host's kernel to do */
}

static bool set_number(struct m8349_options *o, const char *name, unsigned value)
{
    const struct {
        const char *name;
        unsigned *number;
    } numbers[] = {{"posted", &o->posted},
                   {"dma_bytes", &o->dma_bytes},
                   {"lose", &o->lose},
                   {"late", &o->late},
                   {"fail_dma", &o->fail_dma}};

    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(numbers[i].name, name) == 0) {
            *numbers[i].number = value;
            return true;
        }
    }
    return false;
}

static bool set_switch(struct m8349_options *o, const char *name, bool on)
{
    const struct {
        const char *name;
        bool *is_on;
    } switches[] = {{"gates_status", &o->gates_status}, {"wide_odr", &o->wide_odr},
                    {"core_sees_om", &o->core_sees_om}, {"any_raises", &o->any_raises},
                    {"random_reset", &o->random_reset}, {"is_locked", &o->is_locked},
                    {"irqs_steers", &o->irqs_steers}};

    for (unsigned i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        if (strcmp(switches[i].name, name) == 0) {
            *switches[i].is_on = on;
            return true;
        }
    }
    return false;
}

static void show_counts(const struct rig *r)
{
    const struct m8349_counts *c = &r->model.counts;

    printf("{\"host_loads\": %lu, \"host_stores\": %lu, \"register_loads\": %lu, \"register_stores\": %lu, "
           "\"dma_bytes\": %lu, \"aborts\": %lu, \"rung\": %lu, \"lost\": %lu, \"intx\": %lu, "
           "\"core_interrupts\": %lu}\n",
           c->host_loads, c->host_stores, c->register_loads, c->register_stores, c->dma_bytes, c->aborts, c->rung,
           c->lost, r->asserted, r->interrupts);
}

static void obey(struct rig *r, const char *line)
{
    char word[3][32] = {"", "", ""};
    bool is_known = true;

    (void)sscanf(line, "%31s %31s %31s", word[0], word[1], word[2]);
    if (strcmp(word[0], "counts") == 0) {
        show_counts(r);
        return;
    }
    if (strcmp(word[0], "reset") == 0) {
        m8349_begin_reset(&r->model);
        rig_host_reset(r);
    } else if (strcmp(word[0], "boot") == 0) {
        m8349_end_reset(&r->model);
        boot(r);
    } else if (strcmp(word[0], "storm") == 0) {
        r->is_storm = strcmp(word[1], "on") == 0;
    } else {
        unsigned value = (unsigned)strtoul(word[2], NULL, 0);

        is_known = strcmp(word[0], "set") == 0 &&
                   (set_number(&r->model.options, word[1], value) || set_switch(&r->model.options, word[1], value));
    }
    rig_core_show(r);
    puts(is_known ? "ok" : "what?");
}

/* False: there will be no more. */
static bool read_orders(struct rig *r)
{
    static char line[128];
    static size_t length;
    char byte;

    if (read(STDIN_FILENO, &byte, 1) != 1)
        return false;
    if (byte != '\n') {
        if (length < sizeof(line) - 1)
            line[length++] = byte;
        return true;
    }
    line[length] = '\0';
    length = 0;
    obey(r, line);
    return fflush(stdout) == 0;
}

/* ---- Sockets ---- */

static int listen_at(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        die(path);
    memcpy(address.sun_path, path, strlen(path));
    (void)unlink(path);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0)
        die(path);
    return fd;
}

static void serve(struct rig *r, int host, int board, int machine)
{
    for (;;) {
        struct pollfd fd[] = {
            {.fd = STDIN_FILENO, .events = POLLIN},  {.fd = host, .events = POLLIN},
            {.fd = board, .events = POLLIN},         {.fd = r->host_fd, .events = POLLIN},
            {.fd = r->core_fd, .events = POLLIN},    {.fd = machine, .events = POLLIN},
            {.fd = r->machine_fd, .events = POLLIN},
        };

        if (poll(fd, sizeof(fd) / sizeof(fd[0]), is_busy(&r->model) ? 0 : -1) < 0)
            die("poll");
        if (fd[0].revents && !read_orders(r))
            return;
        if (fd[3].revents && r->host_fd >= 0)
            rig_host_serve(r);
        else if (fd[1].revents)
            rig_host_accept(r, accept4(host, NULL, NULL, SOCK_CLOEXEC));
        if (fd[4].revents && r->core_fd >= 0) /* before another one is let in: this may be its end */
            rig_core_serve(r);
        else if (fd[2].revents)
            rig_core_accept(r, accept4(board, NULL, NULL, SOCK_CLOEXEC));
        if (fd[6].revents && r->machine_fd >= 0)
            rig_machine_serve(r);
        else if (fd[5].revents)
            rig_machine_accept(r, accept4(machine, NULL, NULL, SOCK_CLOEXEC));
        rig_step(r);
    }
}

static void make_board(struct rig *r)
{
    struct m8349_options o = {.dram_base = RIG_BLOCK, .dram_size = r->block_size};

    r->block_fd = memfd_create("block", MFD_CLOEXEC);
    if (r->block_fd < 0 || ftruncate(r->block_fd, r->block_size) < 0)
        die("memory");
    o.dram = mmap(NULL, o.dram_size, PROT_READ | PROT_WRITE, MAP_SHARED, r->block_fd, 0);
    if (o.dram == MAP_FAILED)
        die("memory");
    m8349_init(&r->model, &o);
    boot(r);
}

int main(int argc, char **argv)
{
    static struct rig r = {.host_fd = -1,
                           .qtest_fd = -1,
                           .core_fd = -1,
                           .events_fd = -1,
                           .irq_fd = -1,
                           .machine_fd = -1,
                           .machine_irq = -1};
    int host, board, machine;

    if (argc != 7) {
        (void)fprintf(stderr,
                      "usage: model8349 HOST-SOCKET BOARD-SOCKET MACHINE-SOCKET BLOCK-BYTES QTEST-SOCKET PIN\n"
                      "A board in software, between x-pci-proxy-dev of QEMU on the one side, and a program with\n"
                      "core_end.c or vfio-user-pci of QEMU on the other.\n");
        return 2;
    }
    r.block_size = (uint32_t)strtoul(argv[4], NULL, 0);
    if (r.block_size < 16384 || r.block_size > 1u << 28 || (r.block_size & (r.block_size - 1))) {
        (void)fprintf(stderr, "model8349: %s bytes: a power of two from 16384 to 268435456\n", argv[4]);
        return 2;
    }
    r.qtest = argv[5];
    r.pin = (unsigned)strtoul(argv[6], NULL, 0);
    rig_host_reset(&r);
    make_board(&r);
    host = listen_at(argv[1], SOCK_STREAM);
    board = listen_at(argv[2], SOCK_SEQPACKET);
    machine = listen_at(argv[3], SOCK_STREAM);
    puts("ready");
    (void)fflush(stdout);
    serve(&r, host, board, machine);
    return 0;
}
