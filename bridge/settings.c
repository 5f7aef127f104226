/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * settings.c - the table of all that can be set.
 *
 * Room: bridge.
 */
#include "settings.h"

#include "settings_read.h"

#include <string.h>

/* A member of struct options: where it is, and how large. */
#define AT(member) .offset = offsetof(struct options, member), .size = sizeof(((struct options *)0)->member)

/* How a setting is read, and where its value goes. */
#define SWITCH(member) SETTING_SWITCH, .read = settings_read_switch, AT(member)
#define NUMBER(member, least, most) \
    SETTING_NUMBER, .read = settings_read_number, AT(member), .low = (least), .high = (most)
#define OCTAL(member) SETTING_STRING, .read = settings_read_octal, AT(member), .low = 1, .high = 0777
#define TEXT(member) SETTING_STRING, .read = settings_read_text, AT(member)
#define INTERFACE(member) SETTING_STRING, .read = settings_read_interface, AT(member)
#define DIRECTORY(member) SETTING_STRING, .read = settings_read_directory, AT(member)
#define CHOICE(member) SETTING_STRING, .read = settings_read_choice, AT(member)

const struct setting settings[] = {
    {"link", TEXT(link), .argument = "URI", .section = "Link:", .help = "Name of the link, as in shm:/run/vop/a.sock"},
    {"listen", SWITCH(listen), .help = "Create the link and wait for the peer. Without it: connect, again and again"},
    {"socket-mode", OCTAL(socket_mode), .argument = "OCTAL", .help = "File mode of the socket when listening (0600)"},
    {"peer-uid", SETTING_EITHER, .read = settings_read_peer_uid, .argument = "UID|NAME",
     .help = "Take a process of this user for the peer, and no other (any user)"},
    {"slots", SETTING_NUMBER, .read = settings_read_slots, AT(slots), .low = 2, .high = 32768, .argument = "N",
     .help = "Slots of the receive queue, a power of two (1024)"},
    {"slot-size", SETTING_NUMBER, .read = settings_read_slot_size, AT(slot_size), .low = 64, .high = 1048576,
     .argument = "BYTES", .help = "Bytes of a slot, a multiple of 64 (2048)"},
    {"on-peer-loss", CHOICE(on_peer_loss), .argument = "hold|drop|exit",
     .help = "What becomes of frames while there is no peer: kept for the next one, dropped (the default), or the "
             "bridge ends"},
    {"drain-ms", NUMBER(drain_ms, 0, OPTIONS_DRAIN_MS_MAX), .argument = "N",
     .help = "At the end, carry on what has come already, for so many milliseconds at most (250)"},

    {"tap", INTERFACE(tap), .argument = "NAME",
     .section = "Interface:", .help = "TAP interface, created if there is none"},
    {"tap-fd", SETTING_COMMAS, .read = settings_read_tap_fd, .argument = "FD[,FD...]",
     .help = "Descriptors of a TAP that are open already, one for each queue"},
    {"on-tap-loss", CHOICE(on_tap_loss), .argument = "exit|recreate",
     .help = "What to do when the interface is deleted (exit)"},
    {"address", SETTING_LIST, .read = settings_read_address, .argument = "CIDR",
     .help = "Address with prefix, as in 10.99.0.1/24 or fd00::1/64; repeat it for more"},
    {"route", SETTING_LIST, .read = settings_read_route, .argument = "DEST[ via GATEWAY]",
     .help = "Route by this interface, as in '10.1.0.0/16 via 10.99.0.2'; repeat it for more"},
    {"altname", SETTING_LIST, .read = settings_read_altname, .argument = "NAME",
     .help = "Another name of the interface; repeat it for more"},
    {"mtu", NUMBER(mtu, 68, 65521), .argument = "BYTES", .help = "MTU of the interface"},
    {"mac", SETTING_STRING, .read = settings_read_mac, .argument = "LLADDR",
     .help = "Ethernet address of the interface"},
    {"master", INTERFACE(master), .argument = "NAME", .help = "Bridge or bond that the interface joins"},
    {"netns", SETTING_EITHER, .read = settings_read_text, AT(netns), .argument = "NAME|PATH|PID|fd:N",
     .help = "Network namespace of the interface. The link stays where it is"},
    {"on-netns-loss", CHOICE(on_netns_loss), .argument = "exit|keep",
     .help = "What to do when that namespace is deleted (exit)"},
    {"carrier", CHOICE(carrier), .argument = "follow|on",
     .help = "Whether the carrier follows the peer's interface (the default) or is always on"},
    {"txqueuelen", NUMBER(txqueuelen, 1, 1000000), .argument = "PACKETS",
     .help = "Frames that the kernel holds for the bridge"},
    {"persist", SWITCH(persist), .help = "Leave the interface behind at the end"},

    {"offload", SETTING_COMMAS, .read = settings_read_offload, .argument = "LIST", .section = "Work:",
     .help = "Offloads of the interface, used and offered: all (the default), none, or some of "
             "csum,tso4,tso6,ecn,uso4,uso6,tunnel,tunnel-csum"},
    {"queues", SETTING_NUMBER, .read = settings_read_queues, AT(queues), .low = 1, .high = OPTIONS_QUEUES_MAX,
     .argument = "N",
     .help = "Queues of the interface, and queue pairs of the link, each with a thread: 1 to 16 (as many as there are "
             "processors)"},
    {"affinity", SETTING_COMMAS, .read = settings_read_affinity, .argument = "CPULIST",
     .help = "Processors of these threads, one each, as in 0,2-4 (any)"},
    {"spin-us", NUMBER(spin_us, 0, OPTIONS_SPIN_US_MAX), .argument = "N",
     .help = "Longest spinning before it sleeps, in microseconds; 0: never spin (50)"},
    {"steer", SETTING_STRING, .read = settings_read_steer, .argument = "kernel|rss|obj=FILE,prog=NAME",
     .help = "How frames are spread over the queues of the TAP: by the kernel, by a program of vop-bridge (the "
             "default), or by one of yours"},

    {"control", SETTING_STRING, .read = settings_read_control, AT(control), .argument = "DIRECTORY|none",
     .section = "Control, by vop bridge:", .help = "Where the control socket is made (/run/vop-bridge)"},
    {"control-mode", OCTAL(control_mode), .argument = "OCTAL", .help = "File mode of the control socket (0600)"},
    {"control-uid", SETTING_EITHER, .read = settings_read_control_uid, .argument = "UID|NAME",
     .help = "Answer this user, root and the user of the bridge only"},
    {"capture-dir", DIRECTORY(capture_dir), .argument = "DIRECTORY|none",
     .help = "Where captures are written that are asked for by the control socket (/var/lib/vop-bridge)"},
    {"metrics", SETTING_STRING, .read = settings_read_metrics, .argument = "unix:PATH|tcp:127.0.0.1:PORT|none",
     .help = "Where counters can be read by Prometheus (none)"},

    {"config", TEXT(config), .is_of_command_line = true, .argument = "FILE", .section = "Service:",
     .help = "File with these options, under the same names; what the command line says goes before it"},
    {"check-config", SWITCH(check_config), .is_of_command_line = true,
     .help = "Only say what is wrong with the options and the file. Exit status 0: nothing is"},
    {"log-level", CHOICE(log_level), .argument = "error|warning|notice|info|debug",
     .help = "The least important lines that are printed (notice)"},
    {"log-format", CHOICE(log_format), .argument = "auto|text|journald",
     .help = "Whether a line begins with its level, for journald; auto: where standard error is the journal"},
    {"verbose", SETTING_SWITCH, .read = settings_read_verbose,
     .help = "Say what is done: the same as --log-level debug"},
    {"user", SETTING_EITHER, .read = settings_read_user, .argument = "UID|NAME",
     .help = "Become this user when all is set up"},
    {"sandbox", SETTING_STRING, .read = settings_read_sandbox, .argument = "on|off",
     .help = "Whether the bridge gives up what it does not need when all is set up (on)"},
};

const unsigned settings_count = sizeof(settings) / sizeof(settings[0]);

const struct setting *settings_find(const char *name)
{
    for (unsigned i = 0; i < settings_count; i++) {
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    }
    return NULL;
}

/* ---- The nearest name ---- */

#define NAME_MAX_LENGTH 32

static unsigned least_of(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;

    return least < c ? least : c;
}

/*
 * How many bytes have to be left out, put in or changed (Levenshtein). One row of the table is kept; both names are
 * shorter than NAME_MAX_LENGTH.
 */
static unsigned measure_distance(const char *a, const char *b)
{
    size_t length = strlen(b);
    unsigned row[NAME_MAX_LENGTH];

    for (size_t j = 0; j <= length; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; a[i]; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < length; j++) {
            unsigned above = row[j + 1];

            row[j + 1] = least_of(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
            diagonal = above;
        }
    }
    return row[length];
}

const struct setting *settings_guess(const char *name)
{
    const struct setting *best = NULL;
    unsigned least = (unsigned)strlen(name) / 3 + 2; /* further away it is another word */

    if (strlen(name) >= NAME_MAX_LENGTH)
        return NULL;
    for (unsigned i = 0; i < settings_count; i++) {
        unsigned distance = measure_distance(name, settings[i].name);

        if (distance < least) {
            least = distance;
            best = &settings[i];
        }
    }
    return best;
}
