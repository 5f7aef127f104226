/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options.c - what the user wants from one bridge, read with argp.
 *
 * Room: bridge.
 */
#include "options.h"

#include "link_2009.h"
#include "link_vhost.h"
#include "log.h"
#include "offload.h"

#include <argp.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <vopipc/channel.h>

#define IPV6_MTU_LEAST 1280u

enum key {
    KEY_LINK = 256,
    KEY_LISTEN,
    KEY_SOCKET_MODE,
    KEY_PEER_UID,
    KEY_TAP,
    KEY_ADDRESS,
    KEY_MTU,
    KEY_TXQUEUELEN,
    KEY_MAC,
    KEY_MASTER,
    KEY_NETNS,
    KEY_ON_NETNS_LOSS,
    KEY_PERSIST,
    KEY_OFFLOAD,
    KEY_SLOTS,
    KEY_SLOT_SIZE,
    KEY_SPIN_US,
    KEY_QUEUES,
    KEY_AFFINITY,
    KEY_STEER,
    KEY_CONTROL,
    KEY_CONTROL_MODE,
    KEY_CONTROL_UID,
    KEY_VERBOSE = 'v',
};

static const struct argp_option option_table[] = {
    {NULL, 0, NULL, 0, "Link:", 1},
    {"link", KEY_LINK, "URI", 0, "Name of the link, as in shm:/run/vop/a.sock", 0},
    {"listen", KEY_LISTEN, NULL, 0, "Create the link and wait for the peer. Without it: connect, again and again", 0},
    {"socket-mode", KEY_SOCKET_MODE, "OCTAL", 0, "File mode of the socket when listening (0600)", 0},
    {"peer-uid", KEY_PEER_UID, "UID|NAME", 0, "Take a process of this user for the peer, and no other (any user)", 0},
    {"slots", KEY_SLOTS, "N", 0, "Slots of the receive queue, a power of two (1024)", 0},
    {"slot-size", KEY_SLOT_SIZE, "BYTES", 0, "Bytes of a slot, a multiple of 64 (2048)", 0},
    {NULL, 0, NULL, 0, "Interface:", 2},
    {"tap", KEY_TAP, "NAME", 0, "TAP interface, created if there is none", 0},
    {"address", KEY_ADDRESS, "CIDR", 0, "Address with prefix, as in 10.99.0.1/24 or fd00::1/64; repeat it for more", 0},
    {"mtu", KEY_MTU, "BYTES", 0, "MTU of the interface", 0},
    {"mac", KEY_MAC, "LLADDR", 0, "Ethernet address of the interface", 0},
    {"master", KEY_MASTER, "NAME", 0, "Bridge or bond that the interface joins", 0},
    {"netns", KEY_NETNS, "NAME|PATH|PID", 0, "Network namespace of the interface. The link stays where it is", 0},
    {"on-netns-loss", KEY_ON_NETNS_LOSS, "exit|keep", 0, "What to do when that namespace is deleted (exit)", 0},
    {"txqueuelen", KEY_TXQUEUELEN, "PACKETS", 0, "Frames that the kernel holds for the bridge", 0},
    {"persist", KEY_PERSIST, NULL, 0, "Leave the interface behind at the end", 0},
    {NULL, 0, NULL, 0, "Work:", 3},
    {"offload", KEY_OFFLOAD, "LIST", 0,
     "Offloads of the interface, used and offered: all (the default), none, or some of "
     "csum,tso4,tso6,ecn,uso4,uso6,tunnel,tunnel-csum",
     0},
    {"queues", KEY_QUEUES, "N", 0,
     "Queues of the interface, and queue pairs of the link, each with a thread: 1 to 16 (as many as there are "
     "processors)",
     0},
    {"affinity", KEY_AFFINITY, "CPULIST", 0, "Processors of these threads, one each, as in 0,2-4 (any)", 0},
    {"spin-us", KEY_SPIN_US, "N", 0, "Longest spinning before it sleeps, in microseconds; 0: never spin (50)", 0},
    {"steer", KEY_STEER, "kernel|rss|obj=FILE,prog=NAME", 0,
     "How frames are spread over the queues of the TAP: by the kernel, by a program of vop-bridge (the default), or by "
     "one of yours",
     0},
    {"verbose", KEY_VERBOSE, NULL, 0, "Say what is done", 0},
    {NULL, 0, NULL, 0, "Control, by vop bridge:", 4},
    {"control", KEY_CONTROL, "DIRECTORY|none", 0, "Where the control socket is made (/run/vop-bridge)", 0},
    {"control-mode", KEY_CONTROL_MODE, "OCTAL", 0, "File mode of the control socket (0600)", 0},
    {"control-uid", KEY_CONTROL_UID, "UID|NAME", 0, "Answer this user, root and the user of the bridge only", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

/* "--mtu 20: out of range; ..." */
static error_t refuse(const char *option, const char *value, const char *why)
{
    log_line("--%s %s: %s", option, value, why);
    return EINVAL;
}

static error_t read_number(const char *option, char *value, int base, uint32_t low, uint32_t high, uint32_t *ret_value)
{
    const char *why;

    if (parse_number(value, base, low, high, ret_value, &why) == 0)
        return 0;
    if (base == 8)
        log_line("--%s %s: %s; write it as in 0660", option, value, why);
    else
        log_line("--%s %s: %s; from %u to %u is possible", option, value, why, low, high);
    return EINVAL;
}

static error_t read_interface(const char *option, char *value, const char **ret_name)
{
    const char *why;

    if (parse_interface(value, &why) < 0)
        return refuse(option, value, why);
    *ret_name = value;
    return 0;
}

static error_t read_address(char *value, struct options *options)
{
    const char *why;

    if (options->address_count == OPTIONS_ADDRESS_MAX)
        return refuse("address", value, "at most 16 addresses can be given; add the others with ip address add");
    if (parse_address(value, &options->addresses[options->address_count], &why) < 0)
        return refuse("address", value, why);
    options->address_count++;
    return 0;
}

static error_t read_offload(char *value, struct options *options)
{
    const char *why;

    if (offload_parse(value, &options->offload, &why) < 0)
        return refuse("offload", value, why);
    options->offload_is_named = strcmp(value, "all") != 0;
    return 0;
}

static error_t read_on_netns_loss(const char *value, struct options *options)
{
    options->keep_lost_netns = strcmp(value, "keep") == 0;
    if (options->keep_lost_netns || strcmp(value, "exit") == 0)
        return 0;
    return refuse("on-netns-loss", value, "neither exit nor keep; write one of them");
}

static error_t read_peer_uid(const char *value, struct options *options)
{
    const char *why;

    if (parse_user(value, &options->peer_uid, &why) < 0)
        return refuse("peer-uid", value, why);
    options->has_peer_uid = true;
    return 0;
}

static error_t read_affinity(const char *value, struct options *options)
{
    const char *why;

    if (parse_cpulist(value, &options->affinity, &why) < 0)
        return refuse("affinity", value, why);
    options->has_affinity = true;
    return 0;
}

/* "obj=FILE,prog=NAME". A path may have commas in it. */
static bool cut_object(char *value, struct steer_wish *ret_wish)
{
    char *program = NULL;

    for (char *next = strstr(value, ",prog="); next; next = strstr(next + 1, ",prog="))
        program = next;
    if (strncmp(value, "obj=", 4) != 0 || !program || program == value + 4 || !program[6])
        return false;
    *program = '\0';
    *ret_wish = (struct steer_wish){.mode = STEER_MODE_USER, .object = value + 4, .program = program + 6};
    return true;
}

static error_t read_steer(char *value, struct options *options)
{
    if (strcmp(value, "kernel") == 0)
        options->steer = (struct steer_wish){.mode = STEER_MODE_KERNEL};
    else if (strcmp(value, "rss") == 0)
        options->steer = (struct steer_wish){.mode = STEER_MODE_PROGRAM};
    else if (!cut_object(value, &options->steer))
        return refuse("steer", value, "neither kernel, rss nor a program; write that as in obj=/x/y.o,prog=name");
    return 0;
}

/* A relative one would be looked for elsewhere by whoever is somewhere else. */
static error_t read_control(const char *value, struct options *options)
{
    options->no_control = strcmp(value, "none") == 0;
    options->control = options->no_control ? NULL : value;
    if (options->no_control || value[0] == '/')
        return 0;
    return refuse("control", value, "neither an absolute path nor none; write it as in /run/vop-bridge");
}

static error_t read_control_uid(const char *value, struct options *options)
{
    const char *why;

    if (parse_user(value, &options->control_uid, &why) < 0)
        return refuse("control-uid", value, why);
    options->has_control_uid = true;
    return 0;
}

static error_t check_slots(const char *option, char *value, bool is_right, const char *why)
{
    return is_right ? 0 : refuse(option, value, why);
}

/* As many as this process may run on. */
static uint32_t count_processors(void)
{
    cpu_set_t processors;
    int count = sched_getaffinity(0, sizeof(processors), &processors) == 0 ? CPU_COUNT(&processors) : 1;

    return count < OPTIONS_QUEUES_MAX ? (uint32_t)count : OPTIONS_QUEUES_MAX;
}

/* Reads the options of steering and of the control socket. */
static error_t read_control_option(int key, char *value, struct options *options)
{
    switch (key) {
    case KEY_STEER:
        return read_steer(value, options);
    case KEY_CONTROL:
        return read_control(value, options);
    case KEY_CONTROL_MODE:
        return read_number("control-mode", value, 8, 1, 0777, &options->control_mode);
    case KEY_CONTROL_UID:
        return read_control_uid(value, options);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Reads the options of the link and of the work on it, and leaves the others to the above. */
static error_t read_link_option(int key, char *value, struct options *options)
{
    error_t ret;

    switch (key) {
    case KEY_LINK:
        options->link = value;
        return 0;
    case KEY_LISTEN:
        options->listen = true;
        return 0;
    case KEY_SOCKET_MODE:
        return read_number("socket-mode", value, 8, 1, 0777, &options->socket_mode);
    case KEY_PEER_UID:
        return read_peer_uid(value, options);
    case KEY_SLOTS:
        ret = read_number("slots", value, 10, 2, 32768, &options->slots);
        return ret ? ret
                   : check_slots("slots", value, (options->slots & (options->slots - 1)) == 0,
                                 "not a power of two; take 256, 512, 1024, ...");
    case KEY_SLOT_SIZE:
        ret = read_number("slot-size", value, 10, 64, 1048576, &options->slot_size);
        return ret ? ret
                   : check_slots("slot-size", value, options->slot_size % 64 == 0,
                                 "not a multiple of 64; take 2048, 4096, ...");
    case KEY_OFFLOAD:
        return read_offload(value, options);
    case KEY_QUEUES:
        options->queues_are_named = true;
        return read_number("queues", value, 10, 1, OPTIONS_QUEUES_MAX, &options->queues);
    case KEY_AFFINITY:
        return read_affinity(value, options);
    case KEY_SPIN_US:
        return read_number("spin-us", value, 10, 0, OPTIONS_SPIN_US_MAX, &options->spin_us);
    case KEY_VERBOSE:
        options->verbose = true;
        return 0;
    default:
        return read_control_option(key, value, options);
    }
}

/* Reads the options of the interface, and leaves the others to the above. */
static error_t read_interface_option(int key, char *value, struct options *options)
{
    const char *why;

    switch (key) {
    case KEY_TAP:
        return read_interface("tap", value, &options->tap);
    case KEY_MASTER:
        return read_interface("master", value, &options->master);
    case KEY_ADDRESS:
        return read_address(value, options);
    case KEY_MTU:
        return read_number("mtu", value, 10, 68, 65521, &options->mtu);
    case KEY_TXQUEUELEN:
        return read_number("txqueuelen", value, 10, 1, 1000000, &options->txqueuelen);
    case KEY_MAC:
        if (parse_mac(value, options->mac, &why) < 0)
            return refuse("mac", value, why);
        options->has_mac = true;
        return 0;
    case KEY_NETNS:
        options->netns = value;
        return 0;
    case KEY_ON_NETNS_LOSS:
        return read_on_netns_loss(value, options);
    case KEY_PERSIST:
        options->persist = true;
        return 0;
    default:
        return read_link_option(key, value, options);
    }
}

/* Returns the first address of IPv6 if the MTU is too small for that (RFC 8200, section 5), else NULL. */
static const struct address *find_address_kept_out(const struct options *options)
{
    for (unsigned i = 0; options->mtu && options->mtu < IPV6_MTU_LEAST && i < options->address_count; i++) {
        if (options->addresses[i].family == AF_INET6)
            return &options->addresses[i];
    }
    return NULL;
}

/* Is this a network device, which has one queue pair unless its command line names more, and so would have to name them
 * here, too? */
static bool is_device(const struct options *options)
{
    return options->link && (link_is_vhost(options->link) || link_is_2009(options->link));
}

/* A link to a machine listens; a board and its host know which of them the other follows. */
static void imply_options(struct options *options)
{
    if (!is_device(options))
        return;
    options->listen = link_is_vhost(options->link) || link_2009_is_host(options->link);
    if (!options->queues_are_named)
        options->queues = 1;
}

/* Checks what can be judged only when all options are read. */
static error_t check_options(const struct options *options)
{
    if (!options->link)
        log_line("no link named; say which, as in --link shm:/run/vop/a.sock");
    else if (!options->tap)
        log_line("no interface named; say which, as in --tap vop0");
    else if (options->socket_mode && !options->listen)
        log_line("--socket-mode: only the side that listens makes a socket; give it there, with --listen");
    else if (options->keep_lost_netns && !options->netns)
        log_line("--on-netns-loss keep: no namespace is named; say which with --netns, or leave this out");
    else if (options->link && link_is_2009(options->link) && options->queues > 1)
        log_line("--queues %u: a link to a board in the layout of 2009 has one; leave this out", options->queues);
    else if (find_address_kept_out(options))
        log_line("--mtu %u --address %s: IPv6 needs an MTU of %u at least; raise it or leave the address out",
                 options->mtu, find_address_kept_out(options)->text, IPV6_MTU_LEAST);
    else if (options->no_control && (options->control_mode || options->has_control_uid))
        log_line("--control none: then there is no socket for --control-mode or --control-uid; leave them out");
    else if ((uint64_t)options->slots * options->slot_size > UINT64_C(1) << 30)
        log_line("--slots %u --slot-size %u: more than 1 GiB; take less of one", options->slots, options->slot_size);
    else if ((uint64_t)options->queues * options->slots * (options->slot_size + UINT64_C(32)) >= UINT64_C(2) << 30)
        log_line("--queues %u --slots %u --slot-size %u: more than 2 GiB; take less of one", options->queues,
                 options->slots, options->slot_size);
    else
        return 0;
    return EINVAL;
}

static error_t read_argument(int key, char *value, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case ARGP_KEY_ARG:
        log_line("%s: only options are known here; see vop-bridge --help", value);
        return EINVAL;
    case ARGP_KEY_END:
        imply_options(options);
        return check_options(options);
    default:
        return read_interface_option(key, value, options);
    }
}

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "vop-bridge %s\n", vop_version());
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
    static const struct argp argp = {
        .options = option_table,
        .parser = read_argument,
        .doc =
            "Makes a network interface of a link of libvopipc: what one bridge's interface sends, "
            "the other's receives.\vExample: vop-bridge --link shm:/run/vop/a.sock --listen --tap vop0 "
            "--address 10.99.0.1/24 --mtu 1500\n\nSignals: SIGTERM, SIGINT and SIGHUP end it, SIGUSR1 prints counters.",
    };
    struct options options = {
        .offload = OFFLOAD_ALL,
        .slots = OPTIONS_SLOTS_DEFAULT,
        .slot_size = OPTIONS_SLOT_SIZE_DEFAULT,
        .queues = count_processors(),
        .spin_us = OPTIONS_SPIN_US_DEFAULT,
        .steer = {.mode = STEER_MODE_PROGRAM},
    };
    error_t ret;

    argp_program_version_hook = print_version;
    argp_err_exit_status = 2;
    ret = argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (ret)
        return -ret;
    if (!options.control_mode) /* where the user decides, the file need not */
        options.control_mode = options.has_control_uid ? 0666 : 0600;
    *ret_options = options;
    return 0;
}
