/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ivshmem_pci.c - the memory of an ivshmem device, seen from inside the virtual machine.
 *
 * Room: wire.
 */
#include "core/error.h"
#include "wire/ivshmem.h"

int vop_ivshmem_pci_open(const char *address, unsigned side, struct vop_ivshmem_memory *ret_memory)
{
    (void)side;
    (void)ret_memory;
    return vop__error(EOPNOTSUPP, "%s: this library reaches no PCI devices; name the file of the memory, on the host",
                      address);
}
