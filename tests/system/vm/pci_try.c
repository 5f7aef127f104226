/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci_try.c - does what its arguments say with one PCI device, through the library's own way to them (lib/pci).
 *
 *   pci-try open=0000:00:05.0 map=0 peek=0:8 enable wait=5000
 *
 * Prints a line for each, and the library's text where something failed. Room: tests.
 */
#include "core/clock.h"
#include "pci/backend.h"
#include "pci/pci.h"
#include "util_actions.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <vopipc/channel.h>

static struct vop__pci *device;
static struct vop__window window[VOP__PCI_BARS];

static void say(const char *what, int result)
{
    if (result < 0)
        printf("%s %s: %s\n", what, strerrorname_np(-result), vop_error_text());
    else
        printf("%s %d\n", what, result);
}

static vop_le32 *word_at(char **words)
{
    unsigned long bar = action_number(words, 0) % VOP__PCI_BARS;

    return vop__window_at(&window[bar], action_number(words, 0));
}

static void do_open(char *address)
{
    say("open", vop__pci_open("", address, &device));
}

static void do_close(char *words)
{
    (void)words;
    vop__pci_close(device);
    printf("close\n");
}

static void do_map(char *words)
{
    unsigned bar = (unsigned)action_number(&words, 0);
    int ret = vop__pci_map(device, bar, &window[bar % VOP__PCI_BARS]);

    if (ret < 0)
        say("map", ret);
    else
        printf("map %zu%s%s%s\n", window[bar].size, window[bar].flags & VOP__WINDOW_POSTED ? " posted" : "",
               window[bar].flags & VOP__WINDOW_UNCACHED ? " uncached" : "",
               window[bar].flags & VOP__WINDOW_DIRECT_IO ? " direct" : "");
}

static void do_peek(char *words)
{
    printf("peek 0x%x\n", vop__load_le32(word_at(&words)));
}

static void do_poke(char *words)
{
    vop_le32 *word = word_at(&words);

    vop__store_le32(word, (uint32_t)action_number(&words, 0));
    printf("poke\n");
}

/* Milliseconds; for ever if none are given. */
static void do_wait(char *words)
{
    unsigned long ms = action_number(&words, 0);
    struct pollfd fd = {.fd = device->irq_fd, .events = POLLIN};

    if (poll(&fd, 1, ms ? (int)ms : -1) > 0)
        say("wait", vop__pci_irq_take(device));
    else
        printf("wait 0\n");
}

static void do_enable(char *words)
{
    (void)words;
    say("enable", device->ops->irq_enable(device));
}

/* Waits until the device is gone. */
static void do_gone(char *words)
{
    struct timespec tick = {.tv_nsec = 10 * VOP__NS_PER_MS};
    int ret;

    (void)words;
    while ((ret = vop__pci_check(device)) == 0)
        (void)nanosleep(&tick, NULL);
    say("gone", ret);
}

int main(int argc, char **argv)
{
    static const struct action actions[] = {
        {"open", do_open}, {"close", do_close},   {"map", do_map},   {"peek", do_peek}, {"poke", do_poke},
        {"wait", do_wait}, {"enable", do_enable}, {"gone", do_gone}, {NULL, NULL},
    };

    return actions_run(actions, argc, argv);
}
