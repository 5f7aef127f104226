/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * card_client.c - the driver of a network card that is a vhost-user back end, control queue included.
 *
 * Room: tests. card-client PATH takes orders from standard input, a line each, and answers each with a line:
 *
 *   pairs N       uses so many queue pairs: "N pairs", or "refused"
 *   rss KEY N...  has frames spread by this table, the hash's key being 40 times the byte KEY: the same
 *   frames        how many datagrams have come to each pair
 *   facts         MTU, state of the link, pairs at most, types of RSS
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vopipc/vopipc.h>

static vop_bus *bus;
static vop_bus_device *d;
static unsigned frames[VOP_NET_PAIRS_MAX];
static bool is_answered;

static void fail(const char *what)
{
    fprintf(stderr, "card-client: %s: %s\n", what, vop_error_text());
    exit(1);
}

/* A datagram of IPv4, as tests send them. The interface's IPv6 sends frames when it likes, which have no type of RSS
 * here and so take the pair for those. */
static bool is_udp(const struct iovec *pieces, unsigned count)
{
    uint8_t head[24] = {0};
    size_t have = 0;

    for (unsigned i = 0; i < count && have < sizeof(head); i++) {
        size_t part = pieces[i].iov_len < sizeof(head) - have ? pieces[i].iov_len : sizeof(head) - have;

        memcpy(head + have, pieces[i].iov_base, part);
        have += part;
    }
    return head[12] == 0x08 && head[13] == 0x00 && head[23] == 17;
}

static void on_received(void *context, vop_net *net, unsigned pair, const struct vop_net_hdr *header,
                        const struct iovec *pieces, unsigned count, size_t size)
{
    (void)context, (void)net, (void)header, (void)size;
    if (is_udp(pieces, count))
        frames[pair]++;
}

static void on_changed(void *context, vop_net *net)
{
    (void)context, (void)net;
    is_answered = true;
}

static void step(struct pollfd *fds, unsigned count)
{
    (void)poll(fds, count, -1);
    if (vop_vhost_bus_process(d) < 0)
        fail("the card");
    (void)vop_bus_process(bus);
}

static void wait_answer(vop_net *net, int ret)
{
    struct pollfd fds[2] = {{.fd = vop_vhost_bus_fd(d), .events = POLLIN}, {.fd = vop_bus_fd(bus), .events = POLLIN}};
    struct vop_net_info info;

    if (ret < 0)
        fail("a question");
    while (!is_answered)
        step(fds, 2);
    vop_net_get_info(net, &info);
    if (info.is_refused)
        printf("refused\n");
    else
        printf("%u pairs\n", info.pairs);
}

static int ask_rss(vop_net *net, const char *words)
{
    struct vop_net_rss rss = {.types = VOP_NET_RSS_IPV4 | VOP_NET_RSS_UDP4, .pairs = 1, .key_size = sizeof(rss.key)};
    char *end;

    memset(rss.key, (int)strtoul(words, &end, 0), sizeof(rss.key));
    while (*end == ' ')
        rss.table[rss.table_size++] = (uint16_t)strtoul(end, &end, 0);
    return vop_net_set_rss(net, &rss);
}

static void obey(vop_net *net, const char *line)
{
    struct vop_net_info info;

    is_answered = false;
    vop_net_get_info(net, &info);
    if (strncmp(line, "pairs ", 6) == 0)
        wait_answer(net, vop_net_set_pairs(net, (unsigned)strtoul(line + 6, NULL, 0)));
    else if (strncmp(line, "rss ", 4) == 0)
        wait_answer(net, ask_rss(net, line + 4));
    else if (strncmp(line, "facts", 5) == 0)
        printf("%u %d %u %#x\n", info.mtu, info.is_up, info.pairs_max, info.rss_types);
    else
        printf("%u %u\n", frames[0], frames[1]);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct vop_net_events events = {.received = on_received, .changed = on_changed};
    struct vop_vhost_bus_options o;
    char line[1024];

    vop_vhost_bus_options_init(&o, sizeof(o));
    o.id = VOP_ID_NET;
    o.has_control = true;
    if (argc != 2 || vop_bus_new(&bus) < 0 || vop_bus_add_driver(bus, vop_net_driver(), (void *)(uintptr_t)&events) < 0)
        return 2;
    if (vop_vhost_user_connect(argv[1], &o.socket) < 0 || vop_vhost_bus_add(bus, &o, &d) < 0)
        fail(argv[1]);
    if (!vop_bus_instance(d)) {
        fprintf(stderr, "card-client: %s\n", vop_bus_complaint(d));
        return 1;
    }
    setvbuf(stdin, NULL, _IONBF, 0); /* what is not read can be polled */
    for (;;) {
        struct pollfd fds[3] = {{.fd = 0, .events = POLLIN},
                                {.fd = vop_vhost_bus_fd(d), .events = POLLIN},
                                {.fd = vop_bus_fd(bus), .events = POLLIN}};

        step(fds, 3);
        if (!fds[0].revents)
            continue;
        if (!fgets(line, sizeof(line), stdin))
            break;
        obey(vop_bus_instance(d), line);
    }
    vop_bus_free(bus);
    return 0;
}
