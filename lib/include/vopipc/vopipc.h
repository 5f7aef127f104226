/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vopipc.h - all of the public interface of libvopipc in one include.
 *
 * Room: the public headers.
 */
#ifndef VOPIPC_VOPIPC_H
#define VOPIPC_VOPIPC_H

#include <vopipc/abi.h>
#include <vopipc/block.h>
#include <vopipc/channel.h>
#include <vopipc/console.h>
#include <vopipc/device.h>
#include <vopipc/driver.h>
#include <vopipc/error.h>
#include <vopipc/le.h>
#include <vopipc/log.h>
#include <vopipc/mmio.h>
#include <vopipc/net.h>
#include <vopipc/net2009.h>
#include <vopipc/netdev.h>
#include <vopipc/opener.h>
#include <vopipc/remote.h>
#include <vopipc/rng.h>
#include <vopipc/spin.h>
#include <vopipc/version.h>
#include <vopipc/vhost_bus.h>
#include <vopipc/vhost_front.h>
#include <vopipc/vhost_user.h>
#include <vopipc/virtio_pci.h>
#include <vopipc/virtqueue.h>

#endif
