/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uio_try.c - does what its arguments say with one UIO device, in order, and prints what came of each.
 *
 *   uio-try open=/dev/uio0 map=0:256 peek=0:8 irq=1 read=5000
 *
 * prints "open ok", "map ok", "peek 0x0", "irq ok" and "read 1", or the name of an error in place of the answer. Room:
 * tests. Plain system calls, so that it shows the driver and not our library.
 */
#include "util_actions.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAPS 6

static int fd = -1;
static struct {
    volatile uint8_t *base;
    size_t size;
} map[MAPS];
static void say(const char *what, int result)
{
    printf("%s %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
}

static volatile uint32_t *register_at(char **words)
{
    unsigned long number = action_number(words, 0) % MAPS;

    return (volatile uint32_t *)(volatile void *)(map[number].base + action_number(words, 0));
}

/* number:size[:0 read-only] */
static void do_map(char *words)
{
    unsigned long number = action_number(&words, 0);
    size_t size = action_number(&words, 4096);
    int protection = action_number(&words, 1) ? PROT_READ | PROT_WRITE : PROT_READ;
    void *base = mmap(NULL, size, protection, MAP_SHARED, fd, (off_t)number * sysconf(_SC_PAGESIZE));

    say("map", base == MAP_FAILED ? -1 : 0);
    if (base != MAP_FAILED && number < MAPS) {
        map[number].base = base;
        map[number].size = size;
    }
}

static void do_unmap(char *words)
{
    unsigned long number = action_number(&words, 0) % MAPS;

    say("unmap", munmap((void *)(uintptr_t)map[number].base, map[number].size));
}

/* Protects the second half. */
static void do_protect(char *words)
{
    unsigned long number = action_number(&words, 0) % MAPS;
    size_t half = map[number].size / 2;

    say("protect", mprotect((uint8_t *)(uintptr_t)map[number].base + half, half, PROT_READ));
}

static void do_peek(char *words)
{
    printf("peek 0x%x\n", *register_at(&words));
}

static void do_poke(char *words)
{
    volatile uint32_t *word = register_at(&words);

    *word = (uint32_t)action_number(&words, 0);
    printf("poke ok\n");
}

/* Waits for a value: number:offset:value:mask:milliseconds */
static void do_until(char *words)
{
    volatile uint32_t *word = register_at(&words);
    uint32_t value = (uint32_t)action_number(&words, 0), mask = (uint32_t)action_number(&words, 0xffffffff);

    for (unsigned long left = action_number(&words, 10000); left > 0 && (*word & mask) != value; left--)
        usleep(1000);
    printf("until %s\n", (*word & mask) == value ? "ok" : "ETIME");
}

static void do_irq(char *words)
{
    int32_t on = (int32_t)action_number(&words, 1);

    say("irq", (int)write(fd, &on, sizeof(on)));
}

static void do_read(char *words)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint32_t count;

    if (poll(&p, 1, (int)action_number(&words, 0)) == 0)
        printf("read ETIME\n");
    else if (read(fd, &count, sizeof(count)) == sizeof(count))
        printf("read %u\n", count);
    else
        say("read", -1);
}

/* Sleeps in read(2) itself. */
static void do_block(char *words)
{
    uint32_t count;

    (void)words;
    if (read(fd, &count, sizeof(count)) == sizeof(count))
        printf("block %u\n", count);
    else
        say("block", -1);
}

static void do_open(char *path)
{
    fd = open(path, O_RDWR | O_CLOEXEC);
    say("open", fd);
}

static void do_close(char *words)
{
    (void)words;
    say("close", close(fd));
}

static void do_wait(char *path)
{
    while (access(path, F_OK) < 0)
        usleep(2000);
    printf("wait ok\n");
}

static void do_pause(char *words)
{
    (void)words;
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    static const struct action actions[] = {
        {"open", do_open}, {"close", do_close}, {"map", do_map},         {"unmap", do_unmap}, {"peek", do_peek},
        {"poke", do_poke}, {"until", do_until}, {"irq", do_irq},         {"read", do_read},   {"block", do_block},
        {"wait", do_wait}, {"pause", do_pause}, {"protect", do_protect}, {NULL, NULL},
    };

    return actions_run(actions, argc, argv);
}
