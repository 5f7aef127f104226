/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio.c - a PCI device through vfio-pci, on machines with an IOMMU.
 *
 * Room: pci. A device is reached through its IOMMU group, the group through a container. All vectors of MSI-X or MSI
 * ring one eventfd, as all interrupts are one event with UIO; a second one rings when the kernel wants the device back.
 * Both are in one epoll instance, which is the descriptor that users of pci.h see.
 */
#include "core/container.h"
#include "core/error.h"
#include "pci/backend.h"
#include "pci/error.h"
#include "pci/sysfs.h"
#include "sys/map.h"
#include "sys/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define VECTORS_MAX 32u

struct vfio {
    struct vop__pci pci;
    int container, group, device;
    int event;    /* interrupts */
    int request;  /* the kernel wants the device back */
    uint32_t irq; /* VFIO_PCI_*_IRQ_INDEX */
};

static struct vfio *vfio_of(const struct vop__pci *p)
{
    return vop__container_of(p, struct vfio, pci);
}

static void vfio_close(struct vop__pci *p)
{
    struct vfio *v = vfio_of(p);
    int fds[] = {v->pci.irq_fd, v->event, v->request, v->device, v->group, v->container};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    free(v);
}

/* ---- What is done with an open device ---- */

static int vfio_map(struct vop__pci *p, unsigned bar, void **ret_base, size_t *ret_size, size_t *ret_offset)
{
    struct vfio_region_info info = {.argsz = sizeof(info), .index = VFIO_PCI_BAR0_REGION_INDEX + bar};
    int ret;

    if (ioctl(vfio_of(p)->device, VFIO_DEVICE_GET_REGION_INFO, &info) < 0 || info.size == 0)
        return vop__error(ENXIO, "%s: the device has no memory at BAR%u", p->info.address, bar);
    if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
        return vop__error(ENXIO, "%s: vfio-pci does not map BAR%u, which is %llu bytes; run: vop bind %s",
                          p->info.address, bar, (unsigned long long)info.size, p->info.address);
    ret = vop__map(vfio_of(p)->device, (off_t)info.offset, (size_t)info.size, true, ret_base);
    if (ret < 0)
        return vop__error(-ret, "%s: cannot map BAR%u: %s", p->info.address, bar, strerror(-ret));
    *ret_size = (size_t)info.size;
    *ret_offset = 0;
    return 0;
}

/* The kernel waits until it is closed, so it is as good as gone. The event stays, for who asks next. */
static bool vfio_is_gone(const struct vop__pci *p)
{
    struct pollfd fd = {.fd = vfio_of(p)->request, .events = POLLIN};

    return poll(&fd, 1, 0) > 0;
}

static int vfio_irq_take(struct vop__pci *p)
{
    const struct vfio *v = vfio_of(p);
    uint64_t count;

    if (vfio_is_gone(p))
        return vop__pci_gone(p->info.address);
    return read(v->event, &count, sizeof(count)) == sizeof(count);
}

static int vfio_irq_enable(struct vop__pci *p)
{
    const struct vfio *v = vfio_of(p);
    struct vfio_irq_set set = {
        .argsz = sizeof(set),
        .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
        .index = v->irq,
        .count = 1,
    };

    if (v->irq != VFIO_PCI_INTX_IRQ_INDEX)
        return 0;
    return ioctl(v->device, VFIO_DEVICE_SET_IRQS, &set) < 0 ? vop__pci_gone(p->info.address) : 0;
}

static const struct vop__pci_ops vfio_ops = {
    .map = vfio_map,
    .irq_take = vfio_irq_take,
    .irq_enable = vfio_irq_enable,
    .is_gone = vfio_is_gone,
    .close = vfio_close,
};

/* ---- Opening, step by step ---- */

static int step_error(const struct vfio *v, const char *step)
{
    int err = errno;

    return vop__error(err, "%s: vfio: %s: %s", v->pci.info.address, step, strerror(err));
}

static int open_group(struct vfio *v, const char *root)
{
    struct vfio_group_status status = {.argsz = sizeof(status)};
    const struct vop__pci_info *info = &v->pci.info;

    if (!info->node[0])
        return vop__error(ENODEV, "%s: vfio-pci has it, but there is no IOMMU here; run: vop bind %s", info->address,
                          info->address);
    v->container = vop__sysfs_open(O_RDWR, "%s/dev/vfio/vfio", root);
    if (v->container < 0)
        return vop__pci_open_error(info->address, "/dev/vfio/vfio", -v->container);
    if (ioctl(v->container, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
        return step_error(v, "VFIO_GET_API_VERSION");

    v->group = vop__sysfs_open(O_RDWR, "%s%s", root, info->node);
    if (v->group < 0)
        return vop__pci_open_error(info->address, info->node, -v->group);
    if (ioctl(v->group, VFIO_GROUP_GET_STATUS, &status) < 0)
        return step_error(v, "VFIO_GROUP_GET_STATUS");
    if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
        return vop__error(EBUSY,
                          "%s: other drivers have other devices of its IOMMU group; for each in "
                          "/sys/kernel/iommu_groups/%s/devices run: vop bind --driver=vfio-pci ADDRESS",
                          info->address, info->node + strlen("/dev/vfio/"));
    return 0;
}

static int open_device(struct vfio *v)
{
    if (ioctl(v->group, VFIO_GROUP_SET_CONTAINER, &v->container) < 0)
        return step_error(v, "VFIO_GROUP_SET_CONTAINER");
    if (ioctl(v->container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) < 0)
        return step_error(v, "VFIO_SET_IOMMU (is the module vfio_iommu_type1 loaded?)");
    v->device = ioctl(v->group, VFIO_GROUP_GET_DEVICE_FD, v->pci.info.address);
    return v->device < 0 ? step_error(v, "VFIO_GROUP_GET_DEVICE_FD") : 0;
}

/* Without it there are no message interrupts: they are writes of the device. */
static int become_master(const struct vfio *v)
{
    struct vfio_region_info info = {.argsz = sizeof(info), .index = VFIO_PCI_CONFIG_REGION_INDEX};
    uint8_t command[2];

    errno = EIO; /* what a short transfer means */
    if (ioctl(v->device, VFIO_DEVICE_GET_REGION_INFO, &info) < 0 ||
        pread(v->device, command, sizeof(command), (off_t)info.offset + PCI_COMMAND) != sizeof(command))
        return step_error(v, "reading the configuration space");
    command[0] |= PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY;
    if (pwrite(v->device, command, sizeof(command), (off_t)info.offset + PCI_COMMAND) != sizeof(command))
        return step_error(v, "writing the configuration space");
    return 0;
}

static uint32_t count_vectors(const struct vfio *v, uint32_t index)
{
    struct vfio_irq_info info = {.argsz = sizeof(info), .index = index};

    if (ioctl(v->device, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0 || !(info.flags & VFIO_IRQ_INFO_EVENTFD))
        return 0;
    return info.count < VECTORS_MAX ? info.count : VECTORS_MAX;
}

/* Has every vector of an interrupt ring one eventfd. */
static int ring_event(const struct vfio *v, uint32_t index, uint32_t count, int event)
{
    union {
        struct vfio_irq_set set; /* and behind it an eventfd for each vector */
        uint8_t bytes[sizeof(struct vfio_irq_set) + VECTORS_MAX * sizeof(event)];
    } request = {
        .set =
            {
                .argsz = (uint32_t)(sizeof(request.set) + count * sizeof(event)),
                .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                .index = index,
                .count = count,
            },
    };

    for (uint32_t i = 0; i < count; i++)
        memcpy(request.bytes + sizeof(request.set) + i * sizeof(event), &event, sizeof(event));
    return ioctl(v->device, VFIO_DEVICE_SET_IRQS, &request);
}

static int watch_fd(const struct vfio *v, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(v->pci.irq_fd, EPOLL_CTL_ADD, fd, &event);
}

/* For a device without interrupts, too: this is the only way in which the kernel asks to have it back. */
static int open_request(struct vfio *v)
{
    v->request = vop__new_event();
    if (v->request < 0)
        return step_error(v, "eventfd");
    if (count_vectors(v, VFIO_PCI_REQ_IRQ_INDEX) && ring_event(v, VFIO_PCI_REQ_IRQ_INDEX, 1, v->request) < 0)
        return step_error(v, "VFIO_DEVICE_SET_IRQS for the request to let go");
    return 0;
}

/* The best interrupt the device has, if any. */
static int open_interrupt(struct vfio *v)
{
    static const uint32_t by_preference[] = {VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_INTX_IRQ_INDEX};
    uint32_t count = 0;

    for (size_t i = 0; count == 0 && i < sizeof(by_preference) / sizeof(by_preference[0]); i++) {
        v->irq = by_preference[i];
        count = count_vectors(v, v->irq);
    }
    if (count == 0)
        return 0;
    v->event = vop__new_event();
    v->pci.irq_fd = vop__new_epoll();
    if (v->event < 0 || v->pci.irq_fd < 0 || watch_fd(v, v->event) < 0 || watch_fd(v, v->request) < 0)
        return step_error(v, "eventfd");
    if (ring_event(v, v->irq, count, v->event) < 0)
        return step_error(v, "VFIO_DEVICE_SET_IRQS");
    return 0;
}

int vop__vfio_open(const char *root, const struct vop__pci_info *info, struct vop__pci **ret_device)
{
    struct vfio *v = calloc(1, sizeof(*v));
    int ret;

    if (!v)
        return vop__error(ENOMEM, "%s: out of memory", info->address);
    v->container = v->group = v->device = v->event = v->request = v->pci.irq_fd = -1;
    v->pci.ops = &vfio_ops;
    v->pci.info = *info;
    v->pci.is_exclusive = true;
    ret = open_group(v, root);
    if (ret == 0)
        ret = open_device(v);
    if (ret == 0)
        ret = become_master(v);
    if (ret == 0)
        ret = open_request(v);
    if (ret == 0)
        ret = open_interrupt(v);
    if (ret < 0) {
        vfio_close(&v->pci);
        return ret;
    }
    *ret_device = &v->pci;
    return 0;
}
