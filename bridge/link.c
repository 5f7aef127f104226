/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.c - the kinds of link, and what is the same for all of them.
 *
 * Room: bridge.
 */
#include "link.h"

#include "link_2009.h"
#include "link_channel.h"
#include "link_front.h"
#include "link_pci.h"
#include "link_vhost.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vopipc/le.h>
#include <vopipc/net.h>

const struct link_kind *link_kind_of(const char *uri)
{
    static const struct link_kind *const kinds[] = {&link_vhost_kind, &link_front_kind, &link_pci_kind,
                                                    &link_2009_kind};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i]->is_name(uri))
            return kinds[i];
    }
    return &link_channel_kind; /* the library says what is wrong with a name */
}

int link_open(uv_loop_t *loop, const struct link_setup *setup, const struct link_events *events, void *context,
              struct link **ret_link)
{
    const struct link_kind *kind = link_kind_of(setup->uri);
    struct link *link = calloc(1, kind->size);
    int ret;

    if (!link) {
        log_error("a link: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    *link = (struct link){.kind = kind, .loop = loop, .setup = *setup, .events = events, .context = context};
    *ret_link = link;
    ret = kind->ops->open(link);
    if (ret)
        link_close(link);
    return ret;
}

void link_drop(struct link *link, int why, const char *text)
{
    link->kind->ops->drop(link, why, text);
}

void link_announce(struct link *link, bool is_up, bool is_holding, uint32_t mtu)
{
    struct vop_net_config config;
    bool holds = is_holding && link->kind == &link_channel_kind;

    memcpy(&config, link->setup.options.config, sizeof(config));
    config.status = vop_to_le16((uint16_t)((is_up ? VOP_NET_S_LINK_UP : 0) | (holds ? VOP_NET_S_HOLDS : 0)));
    config.mtu = vop_to_le16((uint16_t)mtu);
    if (memcmp(&config, link->setup.options.config, sizeof(config)) == 0)
        return;
    memcpy(link->setup.options.config, &config, sizeof(config));
    link->setup.mtu = mtu;
    if (link->kind->ops->announce)
        link->kind->ops->announce(link);
}

bool link_look(struct link *link, struct link_peer *ret_peer)
{
    return link->kind->ops->look && link->kind->ops->look(link, ret_peer);
}

void link_unblock(struct link *link)
{
    if (link && link->loop && link->kind->ops->unblock)
        link->kind->ops->unblock(link);
}

void link_show(const struct link *link, struct link_facts *ret_facts)
{
    *ret_facts = (struct link_facts){.channel = NULL};
    if (link->kind->ops->show)
        link->kind->ops->show(link, ret_facts);
}

void link_close(struct link *link)
{
    if (!link || !link->loop)
        return;
    link->kind->ops->close(link);
    link->loop = NULL;
}

void link_free(struct link *link)
{
    free(link);
}
