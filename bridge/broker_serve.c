/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * broker_serve.c - what the broker does: it waits for questions, checks each, and answers.
 *
 * Room: bridge. The worker may have been taken over by whoever is at the other end of its link, so each question is
 * taken for a lie until it has been checked: is it one of the table, is it as long as it should be, and does it name
 * only what this bridge was started for? What is refused is counted, and logged as often as the log takes lines.
 */
#include "broker_serve.h"

#include "capture_files.h"
#include "control_socket.h"
#include "interface.h"
#include "interface_away.h"
#include "log.h"
#include "netlink_away.h"
#include "netns.h"
#include "options.h"
#include "reload.h"
#include "sandbox.h"
#include "sandbox_need.h"
#include "socket_watch.h"
#include "tap.h"
#include "unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- What is too small for a file of its own ---- */

static int serve_open(struct broker_place *place, struct broker_call *call)
{
    return broker_link_open(&place->link, call);
}

/* The descriptors were closed with all that the broker does not need. */
static void close_socket(struct unix_socket *socket, struct control_socket *control)
{
    socket->fd = -1;
    if (socket == &control->file)
        control_socket_close(control);
    else
        unix_socket_close(socket);
}

/* Only the control socket has the name of the interface: the one that it has now. */
static int rename_socket(struct broker_place *place, struct broker_call *call)
{
    struct control_socket *control = place->setup->control;
    int ret;

    if (netlink_look(place->interface->netlink, &place->interface->now) < 0)
        return -ENODEV;
    ret = control_socket_rename(control, place->interface->now.name);
    memcpy(call->answer, control->file.path, sizeof(control->file.path));
    call->answer_size = sizeof(control->file.path);
    return ret;
}

static struct unix_socket *find_socket(const struct broker_setup *setup, const char *path)
{
    if (setup->control && setup->control->file.path[0] && strcmp(setup->control->file.path, path) == 0)
        return &setup->control->file;
    if (setup->metrics && setup->metrics->path[0] && strcmp(setup->metrics->path, path) == 0)
        return setup->metrics;
    return NULL;
}

static int serve_socket(struct broker_place *place, struct broker_call *call)
{
    struct unix_socket_question question;
    struct unix_socket *socket;

    if (call->size != sizeof(question))
        return BROKER_REFUSED;
    memcpy(&question, call->question, sizeof(question));
    question.path[sizeof(question.path) - 1] = '\0';
    socket = find_socket(place->setup, question.path);
    if (!socket)
        return BROKER_REFUSED;
    switch (question.op) {
    case UNIX_SOCKET_CLOSE:
        close_socket(socket, place->setup->control);
        return 0;
    case UNIX_SOCKET_RENAME:
        return socket == &place->setup->control->file ? rename_socket(place, call) : BROKER_REFUSED;
    case UNIX_SOCKET_MODE:
        return question.mode == place->options->control_mode ? unix_socket_set_mode(socket, question.mode)
                                                             : BROKER_REFUSED;
    default:
        return BROKER_REFUSED;
    }
}

/* The file is read here, so what it says is what the broker itself knows; the worker may believe it. */
static int serve_options(struct broker_place *place, struct broker_call *call)
{
    static struct options read[2];
    static unsigned turn;
    struct reload_answer *answer = (struct reload_answer *)(void *)call->answer;
    struct options *next = &read[turn];
    int ret;

    if (call->size != 0)
        return BROKER_REFUSED;
    memset(answer, 0, sizeof(*answer));
    call->answer_size = sizeof(*answer);
    ret = reload_read(next, answer->why);
    if (ret)
        return -ret; /* of a failure the worker needs the words, too */
    answer->options = *next;
    place->before = place->options;
    place->options = next;
    turn = !turn;
    log_set_level(next->log_level);
    return 0;
}

/* A file that the worker shows, so one that it may write: it is made shorter, not longer. */
static int serve_cut(struct broker_place *place, struct broker_call *call)
{
    struct stat st;
    uint64_t size;

    (void)place;
    if (call->size != sizeof(size) || call->shown < 0)
        return BROKER_REFUSED;
    memcpy(&size, call->question, sizeof(size));
    if (fstat(call->shown, &st) < 0 || !S_ISREG(st.st_mode) || size > (uint64_t)st.st_size)
        return BROKER_REFUSED;
    return ftruncate(call->shown, (off_t)size) < 0 ? -errno : 0;
}

static int serve_watch(struct broker_place *place, struct broker_call *call)
{
    int fd;

    if (call->size != 0 || !place->link.path[0])
        return BROKER_REFUSED;
    fd = socket_watch_begin(place->link.path);
    if (fd < 0)
        return fd;
    call->fds.fd[call->fds.count++] = fd;
    return 0;
}

static int serve_name(struct broker_place *place, struct broker_call *call)
{
    struct socket_file *file = (struct socket_file *)(void *)call->answer;

    if (call->size != 0 || !place->link.path[0])
        return BROKER_REFUSED;
    call->answer_size = sizeof(*file);
    return socket_watch_look(place->link.path, file);
}

static int serve_netns(struct broker_place *place, struct broker_call *call)
{
    if (call->size != 0 || place->interface->netns.fd < 0)
        return BROKER_REFUSED;
    return netns_has_name(&place->interface->netns);
}

/* Only the directory and the interface say what a file is called, and this process remembers those that it has made. */
static int serve_capture(struct broker_place *place, struct broker_call *call)
{
    static struct capture_files files;
    const struct options *options = place->setup->options;
    struct capture_question question;
    int fd = -1, ret;

    if (call->size != sizeof(question) || options->no_control || !options->capture_dir[0])
        return BROKER_REFUSED;
    memcpy(&question, call->question, sizeof(question));
    if (!files.directory)
        capture_files_init(&files, options->capture_dir, place->interface->tap.name);
    memset(call->answer, 0, PATH_MAX);
    call->answer_size = PATH_MAX;
    ret = capture_files_next(&files, question.is_first != 0, question.keep, (char *)call->answer, &fd);
    if (!ret)
        call->fds.fd[call->fds.count++] = fd;
    return -ret; /* of a failure the worker needs the name, too */
}

static const struct {
    const char *name;
    broker_serve_fn *serve;
} table[BROKER_WHATS] = {
    [BROKER_OPEN] = {"open", serve_open},
    [BROKER_NETLINK] = {"netlink", netlink_away_serve},
    [BROKER_SOCKET] = {"socket", serve_socket},
    [BROKER_WATCH] = {"watch", serve_watch},
    [BROKER_NAME] = {"name", serve_name},
    [BROKER_NETNS] = {"netns", serve_netns},
    [BROKER_INTERFACE] = {"interface", interface_away_serve},
    [BROKER_CAPTURE] = {"capture", serve_capture},
    [BROKER_OPTIONS] = {"options", serve_options},
    [BROKER_CUT] = {"cut", serve_cut},
};

/* ---- The lines ---- */

static struct {
    char text[BROKER_LINES_MAX];
    size_t size;
} lines;

/* What does not fit is left out, as by the log itself. */
static void keep_line(enum log_level level, const char *line)
{
    size_t size = strlen(line) + 1;

    if (size + 1 > sizeof(lines.text) - lines.size)
        return;
    lines.text[lines.size] = (char)level;
    memcpy(lines.text + lines.size + 1, line, size);
    lines.size += size + 1;
}

/* ---- One after another ---- */

static void refuse(uint32_t what, unsigned long count)
{
    log_warning("the broker has refused request %lu of its bridge (%s), which no bridge makes: it may be the work of "
                "whoever is at the other end of the link",
                count, what < BROKER_WHATS ? table[what].name : "unknown");
}

static int answer_one(int socket, struct broker_place *place, struct broker_message *message, int shown)
{
    static uint8_t question[BROKER_BYTES_MAX];
    static unsigned long refused;
    struct broker_call call = {
        .question = question, .size = message->head.size, .answer = message->bytes, .shown = shown};
    uint32_t what = message->head.what;
    int ret = BROKER_REFUSED;

    memcpy(question, message->bytes, message->head.size);
    if (what < BROKER_WHATS && message->head.lines_size == 0)
        ret = table[what].serve(place, &call);
    if (ret == BROKER_REFUSED) {
        refuse(what, ++refused);
        ret = -EPERM;
    }
    if (ret < 0)
        call.answer_size = 0;
    message->head = (struct broker_head){
        .what = what, .ret = ret, .size = (uint32_t)call.answer_size, .lines_size = (uint32_t)lines.size};
    memcpy(message->bytes + call.answer_size, lines.text, lines.size);
    lines.size = 0;
    ret = broker_message_send(socket, message, &call.fds);
    while (call.fds.count > 0)
        close(call.fds.fd[--call.fds.count]);
    return ret;
}

/* Files and sockets by name, processes that may be gone, netlink, and what the libraries do for all of these. */
static const struct sandbox_call calls[] = {
    SANDBOX_CALL(recvmsg),
    SANDBOX_CALL(sendmsg),
    SANDBOX_CALL(close),
    SANDBOX_CALL(read),
    SANDBOX_CALL(write),
    SANDBOX_CALL(open),
    SANDBOX_CALL(openat),
    SANDBOX_CALL(stat),
    SANDBOX_CALL(lstat),
    SANDBOX_CALL(fstat),
    SANDBOX_CALL(newfstatat),
    SANDBOX_CALL(statx),
    SANDBOX_CALL(access),
    SANDBOX_CALL(faccessat),
    SANDBOX_CALL(faccessat2),
    SANDBOX_CALL(readlink),
    SANDBOX_CALL(readlinkat),
    SANDBOX_CALL(getdents64),
    SANDBOX_CALL(link),
    SANDBOX_CALL(linkat),
    SANDBOX_CALL(unlink),
    SANDBOX_CALL(unlinkat),
    SANDBOX_CALL(rmdir),
    SANDBOX_CALL(chmod),
    SANDBOX_CALL(fchmod),
    SANDBOX_CALL(fchmodat),
    SANDBOX_CALL(flock),
    SANDBOX_CALL(fcntl),
    SANDBOX_CALL(ioctl),
    SANDBOX_CALL(socket),
    SANDBOX_CALL(connect),
    SANDBOX_CALL(bind),
    SANDBOX_CALL(listen),
    SANDBOX_CALL(getsockname),
    SANDBOX_CALL(getsockopt),
    SANDBOX_CALL(setsockopt),
    SANDBOX_CALL(socketpair),
    SANDBOX_CALL(sendto),
    SANDBOX_CALL(recvfrom),
    SANDBOX_CALL(poll),
    SANDBOX_CALL(ppoll),
    SANDBOX_CALL(setns),
    SANDBOX_CALL(epoll_create1),
    SANDBOX_CALL(timerfd_create),
    SANDBOX_CALL(eventfd2),
    SANDBOX_CALL(memfd_create),
    SANDBOX_CALL(ftruncate),
    SANDBOX_CALL(fallocate),
    SANDBOX_CALL(inotify_init1),
    SANDBOX_CALL(inotify_add_watch),
    SANDBOX_CALL(kill),
    SANDBOX_CALL(nanosleep),
    SANDBOX_CALL(clock_nanosleep),
    SANDBOX_CALL(clock_gettime),
    SANDBOX_CALL(getpid),
    SANDBOX_CALL(getuid),
    SANDBOX_CALL(geteuid),
    SANDBOX_CALL(getcwd),
    SANDBOX_CALL(prlimit64),
    SANDBOX_CALL(getrlimit),
    SANDBOX_CALL(ugetrlimit),
    SANDBOX_CALL(lseek),
    SANDBOX_CALL(pread64),
    SANDBOX_CALL(mprotect),
    SANDBOX_CALL(mremap),
    SANDBOX_CALL(madvise),
    SANDBOX_CALL(futex),
    SANDBOX_CALL(rt_sigreturn),
    SANDBOX_CALL(restart_syscall),
    SANDBOX_CALL(getrandom),
    SANDBOX_CALL(umask),
    SANDBOX_CALL(mkdir),
    SANDBOX_CALL(gettid),
    SANDBOX_CALL(uname),
};
const struct sandbox_need broker_serve_need = SANDBOX_NEED("broker", calls);

/* The first message: what has become of the broker's stages. */
static int greet(int socket, struct broker_message *message, int ret)
{
    int sent;

    message->head = (struct broker_head){.what = BROKER_WHATS, .ret = ret, .lines_size = (uint32_t)lines.size};
    memcpy(message->bytes, lines.text, lines.size);
    lines.size = 0;
    sent = broker_message_send(socket, message, NULL);
    return ret ? ret : sent;
}

/* A message that is none is answered as well, or its sender would wait for ever. */
int broker_serve(int socket, const struct broker_setup *setup, struct broker_message *message)
{
    struct broker_place place = {.setup = setup, .options = setup->options, .interface = setup->interface};
    struct broker_fds fds;
    int ret;

    log_divert(keep_line);
    broker_link_init(&place.link, setup->options);
    ret = greet(socket, message, sandbox_enter_broker(socket, setup));
    if (ret)
        return ret;
    for (;;) {
        ret = broker_message_receive(socket, message, &fds);
        if (ret == -EPROTO)
            message->head = (struct broker_head){.what = BROKER_WHATS};
        else if (ret)
            return ret == -EPIPE ? 0 : ret;
        ret = answer_one(socket, &place, message, !ret && fds.count > 0 ? fds.fd[0] : -1);
        while (fds.count > 0)
            close(fds.fd[--fds.count]);
        if (ret)
            return ret == -EPIPE ? 0 : ret;
    }
}
