/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_rss.c - how a network card is to spread frames over queue pairs (virtio 1.2, 5.1.6.5.7): the bytes of the
 * command, and what makes sense.
 *
 * Room: standard. RSS was never offered to legacy drivers: all numbers are little-endian.
 */
#include "standard/net.h"

static bool is_power(unsigned number)
{
    return number > 0 && !(number & (number - 1));
}

unsigned vop__net_rss_pairs(const struct vop_net_rss *rss)
{
    unsigned pairs = rss->pairs > rss->unclassified ? rss->pairs : rss->unclassified + 1u;

    for (unsigned i = 0; i < rss->table_size; i++) {
        if (rss->table[i] >= pairs)
            pairs = rss->table[i] + 1u;
    }
    return pairs;
}

const char *vop__net_rss_fault(const struct vop_net_rss *rss, const struct vop__net_rss_limits *limits)
{
    if (rss->types & ~limits->types)
        return "types that the card does not hash";
    if (!is_power(rss->table_size) || rss->table_size > limits->table)
        return "a table of no power of two, or longer than the card's";
    if (rss->key_size > limits->key || (rss->types && rss->key_size < VOP_NET_RSS_KEY_MAX))
        return "a key that is longer than the card's, or too short for what is hashed";
    if (rss->pairs == 0 || vop__net_rss_pairs(rss) > limits->pairs)
        return "a queue pair that the card has not, or none to send on";
    return NULL;
}

size_t vop__net_rss_put(const struct vop_net_rss *rss, uint8_t ret_bytes[VOP__NET_RSS_SIZE_MAX])
{
    uint8_t *at = ret_bytes;

    vop__bytes_put(at, 4, false, rss->types);
    vop__bytes_put(at + 4, 2, false, rss->table_size - 1u);
    vop__bytes_put(at + 6, 2, false, rss->unclassified);
    at += 8;
    for (unsigned i = 0; i < rss->table_size; i++, at += 2)
        vop__bytes_put(at, 2, false, rss->table[i]);
    vop__bytes_put(at, 2, false, rss->pairs);
    at[2] = rss->key_size;
    memcpy(at + 3, rss->key, rss->key_size);
    return (size_t)(at - ret_bytes) + 3 + rss->key_size;
}

bool vop__net_rss_get(const uint8_t *bytes, size_t size, struct vop_net_rss *ret_rss)
{
    struct vop_net_rss *rss = ret_rss;
    unsigned entries = size < 8 ? VOP_NET_RSS_TABLE_MAX + 1 : (unsigned)vop__bytes_get(bytes + 4, 2, false) + 1;

    if (entries > VOP_NET_RSS_TABLE_MAX || size < 8 + 2 * (size_t)entries + 3)
        return false;
    memset(rss, 0, sizeof(*rss));
    rss->types = (uint32_t)vop__bytes_get(bytes, 4, false);
    rss->unclassified = (uint16_t)vop__bytes_get(bytes + 6, 2, false);
    rss->table_size = (uint16_t)entries;
    bytes += 8;
    size -= 8 + 2 * (size_t)entries + 3;
    for (unsigned i = 0; i < entries; i++, bytes += 2)
        rss->table[i] = (uint16_t)vop__bytes_get(bytes, 2, false);
    rss->pairs = (uint16_t)vop__bytes_get(bytes, 2, false);
    rss->key_size = bytes[2];
    if (rss->key_size > sizeof(rss->key) || rss->key_size > size)
        return false;
    memcpy(rss->key, bytes + 3, rss->key_size);
    return true;
}
