/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interface_change.c - gives an interface that is there what a reload wants of it.
 *
 * Room: bridge.
 */
#include "interface_change.h"

#include "setup.h"

#include <string.h>

int interface_change_mtu(struct interface *interface, uint32_t mtu)
{
    return interface->tap.is_lost ? 0 : netlink_set_mtu(interface->netlink, "mtu", mtu);
}

int interface_change_txqueuelen(struct interface *interface, uint32_t packets)
{
    return interface->tap.is_lost ? 0 : netlink_set_txqueuelen(interface->netlink, packets);
}

int interface_change_mac(struct interface *interface, const uint8_t mac[6])
{
    int ret = interface->tap.is_lost ? 0 : netlink_set_mac(interface->netlink, "mac", mac);

    if (!ret)
        memcpy(interface->now.mac, mac, sizeof(interface->now.mac));
    return ret;
}

int interface_change_master(struct interface *interface, const char *master)
{
    return interface->tap.is_lost ? 0 : netlink_set_master(interface->netlink, master);
}

int interface_change_persist(struct interface *interface, bool is_persistent)
{
    if (interface->tap.is_lost || interface->tap.was_there)
        return 0;
    return tap_persist(&interface->tap, is_persistent);
}

/* ---- Other names ---- */

static bool has_altname(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->altname_count; i++) {
        if (strcmp(options->altnames[i], name) == 0)
            return true;
    }
    return false;
}

int interface_change_altnames(struct interface *interface, const struct options *old, const struct options *wanted)
{
    int ret = 0;

    if (interface->tap.is_lost)
        return 0;
    for (size_t i = 0; !ret && i < old->altname_count; i++) {
        if (!has_altname(wanted, old->altnames[i]))
            ret = netlink_delete_altname(interface->netlink, old->altnames[i]);
    }
    for (size_t i = 0; !ret && i < wanted->altname_count; i++) {
        if (!has_altname(old, wanted->altnames[i]))
            ret = netlink_add_altname(interface->netlink, wanted->altnames[i]);
    }
    return ret;
}

/* ---- Addresses and routes ---- */

static bool has_route(const struct options *options, const struct route *route)
{
    for (size_t i = 0; i < options->route_count; i++) {
        const struct route *own = &options->routes[i];

        if (own->family == route->family && own->prefix == route->prefix && own->has_gateway == route->has_gateway &&
            memcmp(own->destination, route->destination, sizeof(own->destination)) == 0 &&
            memcmp(own->gateway, route->gateway, sizeof(own->gateway)) == 0)
            return true;
    }
    return false;
}

static bool has_same_routes(const struct options *old, const struct options *wanted)
{
    bool is_same = old->route_count == wanted->route_count;

    for (size_t i = 0; is_same && i < wanted->route_count; i++)
        is_same = has_route(old, &wanted->routes[i]);
    return is_same;
}

/* However it is written. */
static bool has_address(const struct options *options, const struct address *address)
{
    for (size_t i = 0; i < options->address_count; i++) {
        const struct address *own = &options->addresses[i];

        if (own->family == address->family && own->prefix == address->prefix &&
            memcmp(own->bytes, address->bytes, sizeof(own->bytes)) == 0)
            return true;
    }
    return false;
}

static int add_addresses(struct interface *interface, const struct options *wanted)
{
    int ret = 0;

    for (size_t i = 0; !ret && i < wanted->address_count; i++)
        ret = netlink_add_address(interface->netlink, &wanted->addresses[i]);
    return ret;
}

/*
 * The new ones come first, so that there is always one. With the first address of a network in IPv4 the kernel may take
 * away the others of that network, and with an address routes: so all that should be there is added again at the end.
 */
int interface_change_addresses(struct interface *interface, const struct options *old, const struct options *wanted)
{
    bool is_deleted = false;
    int ret;

    if (interface->tap.is_lost)
        return 0;
    ret = add_addresses(interface, wanted);
    for (size_t i = 0; !ret && i < old->address_count; i++) {
        if (has_address(wanted, &old->addresses[i]))
            continue;
        ret = netlink_delete_address(interface->netlink, &old->addresses[i]);
        is_deleted = true;
    }
    if (!ret && is_deleted)
        ret = add_addresses(interface, wanted);
    if (!ret && is_deleted && has_same_routes(old, wanted)) /* else they are changed after this */
        ret = setup_routes(wanted, interface->netlink);
    return ret;
}

/* The old one goes first: the kernel has one for each destination. */
int interface_change_routes(struct interface *interface, const struct options *old, const struct options *wanted)
{
    int ret = 0;

    if (interface->tap.is_lost)
        return 0;
    for (size_t i = 0; !ret && i < old->route_count; i++) {
        if (!has_route(wanted, &old->routes[i]))
            ret = netlink_delete_route(interface->netlink, &old->routes[i]);
    }
    return ret ? ret : setup_routes(wanted, interface->netlink);
}
