/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_pci.h - a link whose peer is a virtio network card on PCI, driven by this side: virtio-pci:ADDRESS.
 *
 * Room: bridge. On a libuv loop. The card has been given to vop_pci_uio (`vop bind`).
 *
 *   ABSENT   there is no card, it has no such kernel driver, or it has failed; it is looked for four times a second
 *   UP       the card works: a session
 *
 * The card has one interrupt for all. It is the descriptor of the first port, whose thread tells the others.
 */
#ifndef VOP_BRIDGE_LINK_PCI_H
#define VOP_BRIDGE_LINK_PCI_H

#include "link.h"

extern const struct link_kind link_pci_kind;

#endif
