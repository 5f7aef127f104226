/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.c - the configuration space of a PCI device.
 *
 * Room: tests.
 */
#include "slot/config.h"

#include <linux/pci_regs.h>
#include <string.h>

uint32_t slot_config_word(const struct slot_config *c, unsigned at)
{
    return c->bytes[at] | (uint32_t)c->bytes[at + 1] << 8 | (uint32_t)c->bytes[at + 2] << 16 |
           (uint32_t)c->bytes[at + 3] << 24;
}

static void set_word(struct slot_config *c, unsigned at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        c->bytes[at + i] = (uint8_t)(value >> 8 * i);
}

uint32_t slot_config_bar(const struct slot_config *c, unsigned bar)
{
    return slot_config_word(c, PCI_BASE_ADDRESS_0 + 4 * bar);
}

void slot_config_reset(struct slot_config *c, uint16_t vendor, uint16_t device, uint32_t class_and_revision)
{
    memset(c->bytes, 0, sizeof(c->bytes));
    set_word(c, PCI_VENDOR_ID, vendor | (uint32_t)device << 16);
    set_word(c, PCI_CLASS_REVISION, class_and_revision);
    set_word(c, PCI_SUBSYSTEM_VENDOR_ID, vendor);
    c->bytes[PCI_INTERRUPT_PIN] = 1;
}

/* Which bits of a word whoever configures the device may change. */
static uint32_t writable(const struct slot_config *c, unsigned at)
{
    unsigned bar = (at - PCI_BASE_ADDRESS_0) / 4;

    if (at >= PCI_BASE_ADDRESS_0 && bar < SLOT_BARS)
        return c->bar_size[bar] ? ~(c->bar_size[bar] - 1) : 0;
    switch (at) {
    case PCI_COMMAND:
        return PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR;
    case PCI_CACHE_LINE_SIZE:
        return 0xffff;
    case PCI_INTERRUPT_LINE:
        return 0xff;
    default:
        return 0;
    }
}

static bool is_in_word(uint32_t address, uint32_t size)
{
    return address < sizeof(((struct slot_config *)NULL)->bytes) && size >= 1 && size <= 4 && address % 4 + size <= 4;
}

static uint32_t ones(uint32_t size)
{
    return size == 4 ? UINT32_MAX : (1u << 8 * size) - 1;
}

uint32_t slot_config_read(const struct slot_config *c, uint32_t address, uint32_t size)
{
    return is_in_word(address, size) ? slot_config_word(c, address & ~3u) >> 8 * (address % 4) & ones(size)
                                     : UINT32_MAX;
}

void slot_config_write(struct slot_config *c, uint32_t address, uint32_t size, uint32_t value)
{
    unsigned at = address & ~3u, shift = 8 * (address % 4);
    uint32_t mask;

    if (!is_in_word(address, size))
        return;
    mask = ones(size) << shift & writable(c, at);
    set_word(c, at, (slot_config_word(c, at) & ~mask) | (value << shift & mask));
}
