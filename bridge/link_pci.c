/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_pci.c - a link whose peer is a virtio network card on PCI, driven by this side.
 *
 * Room: bridge. It is a driver of its own on the library's bus (driver.h), whose queues are used by the ports: the
 * card's bus device belongs to the control loop while ABSENT, and while UP to the thread of the first port.
 */
#include "link_pci.h"

#include "log.h"
#include "offload.h"
#include "port_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <vopipc/error.h>
#include <vopipc/netdev.h>
#include <vopipc/virtio_pci.h>

#define SCHEME "virtio-pci:"
#define REOPEN_MS 250
#define PIECES_LEAST 16u       /* with fewer it is not worth while */
#define ANSWER_MS 1000         /* for the card to take a number of queue pairs */
#define CONTROL_MQ 4           /* virtio 1.2, 5.1.6.5.5: the class, */
#define CONTROL_MQ_PAIRS_SET 0 /* and the command */
#define CONTROL_SIZE 64u
#define CONTROL_ANSWER 32u /* where the answer is in it */

/* What a card says of its interface, in one word, since one thread reads it and another one writes. */
#define STATE_UP (1u << 16) /* the rest is its MTU */

struct link_pci {
    struct link base; /* first: a link is turned back into this */
    uv_timer_t reopen;
    bool has_complained; /* that there is no card */
    struct vop_driver driver;
    vop_bus *bus; /* NULL: ABSENT */
    vop_bus_device *card;
    vop_virtqueue *vq[PORT_DRIVER_QUEUES * LINK_PORTS_MAX], *control;
    struct port_driver_pieces pieces[PORT_DRIVER_QUEUES * LINK_PORTS_MAX];
    uint8_t *control_memory;
    struct port_driver ports[LINK_PORTS_MAX];
    int bells[LINK_PORTS_MAX]; /* of all ports but the first; -1: none */
    unsigned pairs;
    int failed;     /* of ready(), which can return nothing */
    uint32_t state; /* as the card says; atomic */
    uint32_t told;  /* state that link_look() has told */
    uint8_t mac[6];
    bool has_mac, is_changed;
    const char *end_why; /* why the session has to end; NULL: it has not */
};

static struct link_pci *get_self(struct link *link)
{
    return (struct link_pci *)link;
}

static struct link_peer get_peer(const struct link_pci *link, uint32_t state)
{
    struct link_peer peer = {.is_up = state & STATE_UP, .mtu = state & UINT16_MAX, .has_mac = link->has_mac};

    memcpy(peer.mac, link->mac, sizeof(peer.mac));
    return peer;
}

/* ---- The driver of the card ---- */

static int read_state(struct link_pci *link)
{
    uint32_t state = STATE_UP;
    uint64_t value;
    int ret = 0;

    if (vop_bus_has(link->card, VOP_NET_F_STATUS)) {
        ret = vop_bus_read_field(link->card, vop_net_field(VOP_NET_STATUS), &value);
        if (ret == 0 && !(value & VOP_NET_S_LINK_UP))
            state = 0;
    }
    if (ret == 0 && vop_bus_has(link->card, VOP_NET_F_MTU)) {
        ret = vop_bus_read_field(link->card, vop_net_field(VOP_NET_MTU), &value);
        if (ret == 0)
            state |= (uint32_t)value;
    }
    if (ret == 0)
        __atomic_store_n(&link->state, state, __ATOMIC_RELEASE);
    return ret;
}

/* So many pieces for each queue, or fewer where there is not so much memory. */
static int get_pieces(struct link_pci *link, unsigned count, size_t size)
{
    int ret = 0;

    for (unsigned i = 0; i < PORT_DRIVER_QUEUES * link->pairs; i++) {
        struct vop_virtqueue_info queue; /* the card may say another size by now */
        void *memory = NULL;

        vop_virtqueue_get_info(link->vq[i], &queue, sizeof(queue));
        link->pieces[i] = (struct port_driver_pieces){.size = size, .count = queue.size < count ? queue.size : count};
        if (ret == 0)
            ret = vop_bus_alloc(link->card, link->pieces[i].count * size, &memory);
        link->pieces[i].base = memory;
    }
    for (unsigned i = 0; ret < 0 && i < PORT_DRIVER_QUEUES * link->pairs; i++)
        vop_bus_dealloc(link->card, link->pieces[i].base);
    return ret;
}

/* The interface may have the card's MTU later. */
static int open_memory(struct link_pci *link)
{
    const struct vop_options *options = &link->base.setup.options;
    uint32_t own = link->base.setup.mtu, card = link->state & UINT16_MAX;
    size_t size = port_driver_piece_size(options->slot_size, own > card ? own : card,
                                         vop_bus_has(link->card, VOP_NET_F_MRG_RXBUF));
    unsigned count = options->queue_size;
    int ret = get_pieces(link, count, size);

    while (ret == -ENOMEM && count > PIECES_LEAST) {
        count = count / 2 > PIECES_LEAST ? count / 2 : PIECES_LEAST;
        ret = get_pieces(link, count, size);
    }
    if (ret == 0)
        log_debug("%s: buffers of %zu bytes, %u each way", link->base.setup.uri, size, link->pieces[0].count);
    return ret;
}

/* The control queue comes behind those of all pairs that the card has. */
static int open_pairs(struct link_pci *link)
{
    uint32_t wanted = link->base.setup.options.queue_pairs;
    uint64_t most = 1;
    void *memory = NULL;
    int ret = 0;

    if (vop_bus_has(link->card, VOP_NET_F_MQ))
        ret = vop_bus_read_field(link->card, vop_net_field(VOP_NET_MAX_PAIRS), &most);
    link->pairs = wanted < most ? wanted : (unsigned)most;
    if (link->pairs > LINK_PORTS_MAX)
        link->pairs = LINK_PORTS_MAX;
    for (unsigned i = 0; ret == 0 && i < PORT_DRIVER_QUEUES * link->pairs; i++)
        ret = vop_bus_add_queue(link->card, i, NULL, NULL, &link->vq[i]);
    if (ret == 0 && link->pairs > 1) {
        ret = vop_bus_alloc(link->card, CONTROL_SIZE, &memory);
        link->control_memory = memory;
        if (ret == 0)
            ret = vop_bus_add_queue(link->card, PORT_DRIVER_QUEUES * (unsigned)most, NULL, NULL, &link->control);
    }
    return ret;
}

static int probe(vop_bus_device *card, void *context, void **ret_instance)
{
    struct link_pci *link = context;
    int ret;

    link->card = card;
    link->has_mac = vop_bus_has(card, VOP_NET_F_MAC);
    ret = link->has_mac ? vop_bus_read_bytes(card, 0, link->mac, sizeof(link->mac)) : 0;
    if (ret == 0)
        ret = read_state(link);
    if (ret == 0)
        ret = open_pairs(link);
    if (ret == 0)
        ret = open_memory(link);
    *ret_instance = link;
    return ret;
}

/* Has the card use all pairs. It takes some microseconds, and has to be done before there are frames. */
static int set_pairs(struct link_pci *link)
{
    const struct iovec iov[2] = {{link->control_memory, 4}, {link->control_memory + CONTROL_ANSWER, 1}};
    const struct timespec pause = {.tv_nsec = 1000000};
    void *token;
    int ret;

    link->control_memory[0] = CONTROL_MQ;
    link->control_memory[1] = CONTROL_MQ_PAIRS_SET;
    link->control_memory[2] = (uint8_t)link->pairs;
    link->control_memory[3] = 0;
    link->control_memory[CONTROL_ANSWER] = 1; /* an error */
    ret = vop_virtqueue_add_buf(link->control, iov, 1, 1, link);
    if (ret == 0)
        ret = vop_virtqueue_kick(link->control);
    if (ret < 0)
        return ret;
    for (unsigned i = 0; (ret = vop_virtqueue_get_buf(link->control, &token, NULL)) == 0 && i < ANSWER_MS; i++)
        nanosleep(&pause, NULL);
    if (ret == 1)
        ret = *(const volatile uint8_t *)(link->control_memory + CONTROL_ANSWER) == 0 ? 0 : -EIO;
    else if (ret == 0)
        ret = -ETIMEDOUT;
    if (ret < 0)
        log_warning("%s: the card does not use %u queue pairs: %s", link->base.setup.uri, link->pairs, strerror(-ret));
    return ret;
}

static int take(struct port_driver *port);

static int open_port(struct link_pci *link, unsigned pair, uint64_t features)
{
    struct port_driver_setup setup = {.features = features, .take = take, .context = link};

    memcpy(setup.vq, link->vq + PORT_DRIVER_QUEUES * pair, sizeof(setup.vq));
    memcpy(setup.pieces, link->pieces + PORT_DRIVER_QUEUES * pair, sizeof(setup.pieces));
    setup.fd = pair == 0 ? vop_virtio_pci_fd(link->card) : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (setup.fd < 0 && pair > 0) {
        log_error("%s: no descriptor for queue pair %u: %s", link->base.setup.uri, pair, strerror(errno));
        return -EMFILE;
    }
    if (pair > 0)
        link->bells[pair] = setup.fd;
    return port_driver_open(&link->ports[pair], &setup);
}

/* The card works from here on. */
static void ready(vop_bus_device *card, void *instance)
{
    struct link_pci *link = instance;
    uint64_t features = 0;

    for (unsigned bit = 0; bit < 64; bit++)
        features |= vop_bus_has(card, bit) ? VOP_NET_FEATURE(bit) : 0;
    link->failed = link->pairs > 1 ? set_pairs(link) : 0;
    for (unsigned i = 0; link->failed == 0 && i < link->pairs; i++)
        link->failed = open_port(link, i, features);
}

/* The queues go, and the memory with the bus. */
static void remove_card(vop_bus_device *card, void *instance)
{
    struct link_pci *link = instance;

    (void)card;
    for (unsigned i = 0; i < LINK_PORTS_MAX; i++) {
        port_driver_close(&link->ports[i]);
        if (link->bells[i] >= 0)
            close(link->bells[i]);
        link->bells[i] = -1;
    }
}

/* When its link goes down QEMU (7.2) turns the notifications of a packed queue off, and never on again. So when the
 * link is up again such a card is reset, before its queues fill up. */
static void config_changed(vop_bus_device *card, void *instance)
{
    struct link_pci *link = instance;
    uint32_t before = link->state;

    (void)read_state(link); /* or it stays as it was */
    if (vop_bus_status(card) & VOP_STATUS_NEEDS_RESET)
        link->end_why = "the card asks to be reset";
    else if (!(before & STATE_UP) && link->state & STATE_UP && vop_bus_has(card, VOP_F_RING_PACKED))
        link->end_why = "the card's link was down, and its queues begin anew";
    link->is_changed = true;
}

/* What goes together with what is missing (virtio 1.2, 5.1.3.1). A frame that the card joins is longer than a buffer.
 */
static void choose(uint32_t features[VOP_FEATURE_WORDS])
{
    const uint64_t guest_segments = VOP_NET_OFFLOADS & ~VOP_NET_FEATURE(VOP_NET_F_GUEST_CSUM);
    uint64_t all = features[0] | (uint64_t)features[1] << 32;

    if (!(all & VOP_NET_FEATURE(VOP_NET_F_MRG_RXBUF)) || !(all & VOP_NET_FEATURE(VOP_NET_F_GUEST_CSUM)))
        all &= ~guest_segments;
    if (!(all & VOP_NET_FEATURE(VOP_NET_F_CSUM)))
        all &= ~offload_to_host(guest_segments);
    if (!(all & VOP_NET_FEATURE(VOP_NET_F_CTRL_VQ)))
        all &= ~VOP_NET_FEATURE(VOP_NET_F_MQ);
    features[0] = (uint32_t)all;
    features[1] = (uint32_t)(all >> 32);
}

/* ---- A session ---- */

static void close_card(struct link_pci *link)
{
    vop_bus_free(link->bus);
    link->bus = NULL;
    link->card = NULL;
    link->control = NULL;
}

/* Takes the interrupt: it may be for any queue of any port. */
static int take_interrupt(struct link_pci *link)
{
    static const uint64_t one = 1;
    int ret = vop_virtio_pci_process(link->card);

    if (ret == -ENODEV)
        link->end_why = "the card is gone: unplugged, or given to another driver";
    else if (ret < 0)
        return ret;
    if (link->end_why) {
        vop_virtqueue_fail(link->vq[0], link->end_why);
        return -EPROTO;
    }
    for (unsigned i = 1; i < link->pairs; i++)
        (void)!write(link->bells[i], &one, sizeof(one));
    ret = link->is_changed;
    link->is_changed = false;
    return ret;
}

static int take(struct port_driver *port)
{
    struct link_pci *link = port->setup.context;
    uint64_t count;

    if (port == link->ports)
        return take_interrupt(link);
    (void)!read(port->port.fd, &count, sizeof(count));
    return 0;
}

static int begin(struct link_pci *link)
{
    struct port *ports[LINK_PORTS_MAX];
    struct link_peer peer;

    for (unsigned i = 0; i < link->pairs; i++)
        ports[i] = &link->ports[i].port;
    link->told = link->state;
    peer = get_peer(link, link->told);
    if (link->base.events->up(link->base.context, ports, link->pairs, &peer) < 0)
        return -ECANCELED; /* the reason was logged */
    log_notice("link up: %s", link->base.setup.uri);
    if (link->base.setup.options.queue_pairs > 1)
        log_debug("queue pairs: %u, of %u wanted", link->pairs, link->base.setup.options.queue_pairs);
    return 0;
}

/* ---- ABSENT ---- */

static void complain(struct link_pci *link, const char *text)
{
    if (!link->has_complained)
        log_warning("%s: %s", link->base.setup.uri, text);
    link->has_complained = true;
}

static int add_card(struct link_pci *link)
{
    const struct vop_options *offer = &link->base.setup.options;
    struct vop_virtio_pci_options options;
    uint64_t offloads = ((uint64_t)offer->features[1] << 32 | offer->features[0]) & VOP_NET_OFFLOADS;
    uint64_t known = offloads | offload_to_host(offloads) | VOP_NET_FEATURE(VOP_NET_F_MRG_RXBUF) |
                     VOP_NET_FEATURE(VOP_NET_F_MAC) | VOP_NET_FEATURE(VOP_NET_F_MTU) |
                     VOP_NET_FEATURE(VOP_NET_F_STATUS);

    if (offer->queue_pairs > 1)
        known |= VOP_NET_FEATURE(VOP_NET_F_MQ) | VOP_NET_FEATURE(VOP_NET_F_CTRL_VQ);
    link->driver.features[0] = (uint32_t)known;
    link->driver.features[1] = (uint32_t)(known >> 32);
    vop_virtio_pci_options_init(&options, sizeof(options));
    options.address = link->base.setup.uri + strlen(SCHEME);
    options.queue_size = offer->queue_size;
    if (vop_bus_add_driver(link->bus, &link->driver, link) < 0)
        return -ENOMEM;
    return vop_virtio_pci_add(link->bus, &options, &link->card);
}

static int open_card(struct link_pci *link)
{
    int ret = vop_bus_new(&link->bus);

    link->end_why = NULL;
    link->is_changed = false;
    if (ret == 0)
        ret = add_card(link);
    if (ret < 0) {
        complain(link, vop_error_text());
    } else if (!vop_bus_instance(link->card)) {
        complain(link, vop_bus_id(link->card) == VOP_ID_NET ? vop_bus_complaint(link->card) : "no network card");
        ret = -EINVAL;
    } else if (vop_virtio_pci_fd(link->card) < 0) {
        complain(link, "the card has no interrupt that the kernel can use; see vop pci");
        ret = -EINVAL;
    } else {
        ret = link->failed ? link->failed : begin(link);
    }
    if (ret < 0)
        close_card(link);
    else
        link->has_complained = false;
    return ret;
}

static void on_reopen(uv_timer_t *timer)
{
    struct link_pci *link = timer->data;

    if (open_card(link) < 0)
        uv_timer_start(&link->reopen, on_reopen, REOPEN_MS, 0);
}

/* ---- All ---- */

static bool is_name(const char *uri)
{
    return strncmp(uri, SCHEME, strlen(SCHEME)) == 0;
}

static int open_link(struct link *base)
{
    static const uint32_t ids[] = {VOP_ID_NET, 0};
    struct link_pci *link = get_self(base);

    for (unsigned i = 0; i < LINK_PORTS_MAX; i++)
        link->bells[i] = -1;
    link->driver = (struct vop_driver){.name = "vop-bridge",
                                       .ids = ids,
                                       .choose = choose,
                                       .probe = probe,
                                       .ready = ready,
                                       .remove = remove_card,
                                       .config_changed = config_changed};
    uv_timer_init(base->loop, &link->reopen);
    link->reopen.data = link;
    if (!base->setup.options.check_peer_uid)
        return open_card(link);
    log_error("%s: a card is no process of a user, so --peer-uid cannot be checked; leave it out", base->setup.uri);
    return -EINVAL;
}

/* The workers have let go of the ports. */
static void drop(struct link *base, int why, const char *text)
{
    struct link_pci *link = get_self(base);

    (void)why;
    log_notice("link down: %s: %s", base->setup.uri, text);
    close_card(link);
    uv_timer_start(&link->reopen, on_reopen, REOPEN_MS, 0);
}

static bool look(struct link *base, struct link_peer *ret_peer)
{
    struct link_pci *link = get_self(base);
    uint32_t state = __atomic_load_n(&link->state, __ATOMIC_ACQUIRE);

    if (state == link->told)
        return false;
    link->told = state;
    *ret_peer = get_peer(link, state);
    return true;
}

static void close_link(struct link *base)
{
    struct link_pci *link = get_self(base);

    close_card(link);
    uv_close((uv_handle_t *)&link->reopen, NULL);
}

/* The card's MTU is the network's: this side follows it. */
static bool is_listening(const char *uri)
{
    (void)uri;
    return false;
}

static const struct link_ops ops = {
    .open = open_link,
    .drop = drop,
    .look = look,
    .close = close_link,
};

/* What is opened by name the broker opens. */
static const struct sandbox_call calls[] = {
    LINK_QUEUE_CALLS,       SANDBOX_CALL(memfd_create), SANDBOX_CALL(lseek),           SANDBOX_CALL(pread64),
    SANDBOX_CALL(pwrite64), SANDBOX_CALL(nanosleep),    SANDBOX_CALL(clock_nanosleep), LINK_VFIO_CALLS,
};

static const struct sandbox_need *get_need(const char *uri)
{
    static const struct sandbox_need need = SANDBOX_NEED("virtio-pci link", calls);

    (void)uri;
    return &need;
}

const struct link_kind link_pci_kind = {
    .is_name = is_name,
    .ops = &ops,
    .need = get_need,
    .size = sizeof(struct link_pci),
    .is_device = true,
    .queues_max = LINK_PORTS_MAX,
    .is_listening = is_listening,
};
