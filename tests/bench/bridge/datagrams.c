/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * datagrams.c - how many UDP datagrams arrive, from one network namespace in another.
 *
 * Room: tests/bench/bridge.
 *
 * One process sends, at a rate or as fast as it can; another receives, with a socket buffer so large that what is lost
 * was lost on the way. What it loses in its own socket all the same is counted apart. Each datagram has a number.
 */
#include "util_json.h"
#include "util_machine.h"
#include "util_options.h"
#include "util_udp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define SIZE_MAX_BYTES 1472u
#define BATCH 32             /* messages a system call */
#define SEGMENTS_BYTES 61440 /* of a message that the kernel cuts, at most */
#define SEGMENTS_MAX 64      /* and datagrams of it: what kernels before 6.2 take */
#define RECEIVE_BUFFER (64 << 20)
#define PAUSE_NS 50000     /* between looks at what is due */
#define DRAIN_NS 300000000 /* for what is on its way at the end */

struct plan {
    const char *server_namespace, *client_namespace; /* names under /run/netns, or NULL: where we are */
    const char *address;
    unsigned long size, rate; /* datagrams a second; 0: as many as can be sent */
    bool is_segmented;
    uint64_t duration_ns;
    const char *json_path;
};

/* Of the receiver, which writes it; the sender looks. */
struct arrivals {
    uint64_t received;
    uint64_t late;       /* behind one with a higher number */
    uint64_t overflowed; /* lost in the receiver's own socket */
};

struct outcome {
    uint64_t sent, in_time, refused, ns;
    struct arrivals arrivals;
};

/* ---- Receiving ---- */

static uint32_t count_overflow(struct msghdr *message, uint32_t before)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_RXQ_OVFL)
            memcpy(&before, CMSG_DATA(part), sizeof(before));
    }
    return before;
}

static void count_arrival(struct arrivals *arrivals, uint64_t number, uint64_t *highest)
{
    if (number < *highest)
        __atomic_fetch_add(&arrivals->late, 1, __ATOMIC_RELAXED);
    else
        *highest = number;
}

static void receive_for_ever(int fd, struct arrivals *arrivals)
{
    static uint64_t data[BATCH][SIZE_MAX_BYTES / 8];
    static union {
        char bytes[CMSG_SPACE(sizeof(uint32_t))];
        struct cmsghdr align;
    } control[BATCH];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    uint64_t highest = 0;

    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){data[i], sizeof(data[i])};
            messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i],
                                                  .msg_iovlen = 1,
                                                  .msg_control = &control[i],
                                                  .msg_controllen = sizeof(control[i])};
        }
        int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        if (count < 0)
            die(-errno, "receiver: receive");
        for (int i = 0; i < count; i++)
            count_arrival(arrivals, data[i][0], &highest);
        __atomic_store_n(&arrivals->overflowed,
                         count_overflow(&messages[count - 1].msg_hdr, (uint32_t)arrivals->overflowed),
                         __ATOMIC_RELAXED);
        __atomic_fetch_add(&arrivals->received, (uint64_t)count, __ATOMIC_RELAXED);
    }
}

static _Noreturn void receiver_main(const struct plan *plan, int port_pipe, struct arrivals *arrivals)
{
    const int one = 1, size = RECEIVE_BUFFER;
    in_port_t port;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    netns_enter(plan->server_namespace);
    int fd = udp_open_server(plan->address, &port);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
        die(-errno, "a receive buffer of %d bytes", size);
    if (setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one)) < 0)
        die(-errno, "SO_RXQ_OVFL");
    if (write(port_pipe, &port, sizeof(port)) != sizeof(port))
        die(-errno, "cannot pass on the port");
    receive_for_ever(fd, arrivals);
    die(0, "receiver: has ended");
}

/* ---- Sending ---- */

struct sender {
    const struct plan *plan;
    int fd;
    unsigned segments; /* datagrams a message */
    uint64_t number;   /* of the last datagram */
    uint64_t refused;
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    uint8_t *data; /* of all messages */
};

static void sender_open(struct sender *sender, const struct plan *plan, in_port_t port)
{
    *sender = (struct sender){.plan = plan, .fd = udp_open_client(plan->address, port), .segments = 1};
    if (plan->is_segmented) {
        const int size = (int)plan->size;

        sender->segments = (unsigned)(SEGMENTS_BYTES / plan->size);
        if (sender->segments > SEGMENTS_MAX)
            sender->segments = SEGMENTS_MAX;
        if (setsockopt(sender->fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)) < 0)
            die(-errno, "UDP_SEGMENT; Linux 4.18 has it");
    }
    size_t length = plan->size * sender->segments;
    sender->data = calloc(BATCH, length);
    if (!sender->data)
        die(-ENOMEM, "datagrams");
    for (int i = 0; i < BATCH; i++) {
        sender->parts[i] = (struct iovec){sender->data + (size_t)i * length, length};
        sender->messages[i].msg_hdr = (struct msghdr){.msg_iov = &sender->parts[i], .msg_iovlen = 1};
    }
}

/* Sends so many messages, at most BATCH. */
static void send_messages(struct sender *sender, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        for (unsigned k = 0; k < sender->segments; k++) {
            sender->number++;
            memcpy((uint8_t *)sender->parts[i].iov_base + k * sender->plan->size, &sender->number,
                   sizeof(sender->number));
        }
    }
    for (unsigned done = 0; done < count;) {
        int sent = sendmmsg(sender->fd, sender->messages + done, count - done, 0);

        if (sent < 0 && errno != ENOBUFS && errno != ECONNREFUSED)
            die(-errno, "sender: send");
        if (sent < 0)
            sender->refused += sender->segments;
        done += sent < 0 ? 1 : (unsigned)sent;
    }
}

/* Sends what is due by now. */
static void send_due(struct sender *sender, uint64_t elapsed_ns)
{
    uint64_t due = (uint64_t)((double)elapsed_ns * (double)sender->plan->rate / 1e9);

    while (sender->number + sender->segments <= due) {
        uint64_t count = (due - sender->number) / sender->segments;

        send_messages(sender, count < BATCH ? (unsigned)count : BATCH);
    }
    nanosleep(&(const struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

static void send_for(struct sender *sender, const struct arrivals *arrivals, struct outcome *outcome)
{
    uint64_t begin = clock_ns();
    uint64_t now = begin;

    while (now - begin < sender->plan->duration_ns) {
        if (sender->plan->rate)
            send_due(sender, now - begin);
        else
            send_messages(sender, BATCH);
        now = clock_ns();
    }
    outcome->ns = now - begin;
    outcome->in_time = __atomic_load_n(&arrivals->received, __ATOMIC_RELAXED);
    outcome->sent = sender->number;
    outcome->refused = sender->refused;
    nanosleep(&(const struct timespec){.tv_nsec = DRAIN_NS}, NULL);
    outcome->arrivals.received = __atomic_load_n(&arrivals->received, __ATOMIC_RELAXED);
    outcome->arrivals.late = __atomic_load_n(&arrivals->late, __ATOMIC_RELAXED);
    outcome->arrivals.overflowed = __atomic_load_n(&arrivals->overflowed, __ATOMIC_RELAXED);
}

/* ---- Both ---- */

static void report(const struct plan *plan, const struct outcome *outcome)
{
    double seconds = (double)outcome->ns / 1e9;
    double in_time = (double)outcome->in_time / seconds;
    uint64_t sent = outcome->sent - outcome->refused;
    double lost = sent ? 100.0 * (1.0 - (double)outcome->arrivals.received / (double)sent) : 0;

    printf("UDP %s, %lu bytes: %.0f a second sent, %.0f received, %.3f %% lost, %llu of them in the receiver's socket, "
           "%llu late\n",
           plan->address, plan->size, (double)sent / seconds, in_time, lost,
           (unsigned long long)outcome->arrivals.overflowed, (unsigned long long)outcome->arrivals.late);
    if (!plan->json_path)
        return;
    json_t *root =
        json_pack("{s:s, s:i, s:I, s:I, s:I, s:I}", "address", plan->address, "size", (int)plan->size, "sent",
                  (json_int_t)sent, "received", (json_int_t)outcome->arrivals.received, "late",
                  (json_int_t)outcome->arrivals.late, "overflowed", (json_int_t)outcome->arrivals.overflowed);
    json_object_set_new(root, "sent_per_s", json_figure((double)sent / seconds));
    json_object_set_new(root, "received_per_s", json_figure(in_time));
    json_object_set_new(root, "lost_percent", json_figure(lost));
    json_write(plan->json_path, root);
}

static void plan_parse(struct plan *plan, int argc, char **argv)
{
    unsigned long ms = 1000;
    *plan = (struct plan){.size = 64};
    const struct bench_option options[] = {
        {"address", "ADDRESS", "numeric address of the receiver, in its namespace", option_text, &plan->address, 0, 0},
        {"server-netns", "NAME", "network namespace that receives, as in `ip netns` (default: this one)", option_text,
         &plan->server_namespace, 0, 0},
        {"client-netns", "NAME", "network namespace that sends (default: this one)", option_text,
         &plan->client_namespace, 0, 0},
        {"size", "BYTES", "payload", option_number, &plan->size, 8, SIZE_MAX_BYTES},
        {"rate", "N", "datagrams a second; 0: as many as can be sent", option_number, &plan->rate, 0, 100000000},
        {"gso", NULL, "give the kernel many datagrams at once, which it cuts (UDP_SEGMENT)", option_flag,
         &plan->is_segmented, 0, 0},
        {"ms", "N", "duration", option_number, &ms, 10, 3600000},
        OPTION_JSON(&plan->json_path),
    };

    options_parse("Counts UDP datagrams that arrive, with a receiver that keeps up.\n", options,
                  sizeof(options) / sizeof(options[0]), argc, argv);
    plan->duration_ns = ms * 1000000;
    if (!plan->address)
        die_usage("--address is missing");
}

int main(int argc, char **argv)
{
    struct plan plan;
    struct sender sender;
    struct outcome outcome = {0};
    in_port_t port;
    int port_pipe[2], status;

    plan_parse(&plan, argc, argv);
    json_check_path(plan.json_path);
    struct arrivals *arrivals =
        mmap(NULL, sizeof(*arrivals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (arrivals == MAP_FAILED || pipe2(port_pipe, O_CLOEXEC) < 0)
        die(-errno, "memory and a pipe");
    pid_t child = fork();
    if (child < 0)
        die(-errno, "fork");
    if (child == 0)
        receiver_main(&plan, port_pipe[1], arrivals);
    close(port_pipe[1]);
    if (read(port_pipe[0], &port, sizeof(port)) != sizeof(port)) /* the receiver has said why */
        return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
    netns_enter(plan.client_namespace);
    sender_open(&sender, &plan, port);
    send_for(&sender, arrivals, &outcome);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    if (outcome.arrivals.received == 0)
        die(0, "nothing has arrived at %s", plan.address);
    report(&plan, &outcome);
    free(sender.data);
    return EXIT_SUCCESS;
}
