/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * checksum.c - finishes in software the checksum that a sender left to its receiver.
 *
 * Room: net.
 */
#include "net/sum.h"
#include <vopipc/le.h>

#include <vopipc/net.h>

#include <errno.h>

#define UDP_CHECKSUM_FIELD 6 /* UDP-Lite has its checksum there too, and like UDP never sends 0 (RFC 3828, 3.1) */

int vop_net_checksum_complete(void *frame, size_t len, struct vop_net_hdr *hdr)
{
    size_t start = vop_from_le16(hdr->csum_start);
    size_t offset = vop_from_le16(hdr->csum_offset);

    if (hdr->gso_type != VOP_NET_HDR_GSO_NONE)
        return -EINVAL;
    if (!(hdr->flags & VOP_NET_HDR_F_NEEDS_CSUM))
        return 0;
    if (vop_net_hdr_check(hdr, len, VOP_NET_OFFLOADS) < 0)
        return -EBADMSG;

    uint8_t *bytes = frame;
    uint16_t checksum = (uint16_t)~vop__net_sum(bytes + start, len - start);

    if (checksum == 0 && offset == UDP_CHECKSUM_FIELD)
        checksum = 0xffff;
    vop__net_put16(bytes + start + offset, checksum);
    hdr->flags &= (uint8_t)~VOP_NET_HDR_F_NEEDS_CSUM;
    hdr->csum_start = vop_to_le16(0);
    hdr->csum_offset = vop_to_le16(0);
    return 0;
}
