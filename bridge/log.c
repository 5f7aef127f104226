/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.c - one line to stderr for each thing that the user should know, without ever waiting for who reads it.
 *
 * Room: bridge.
 */
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define PREFIX "vop-bridge: "
#define NS_PER_MS UINT64_C(1000000)
#define INTERVAL_NS (LOG_INTERVAL_MS * NS_PER_MS)

static _Atomic enum log_level least_level = LOG_LEVEL_NOTICE;
static atomic_bool has_levels; /* each line begins with its own */
static bool is_open;

struct line {
    enum log_level level;
    char text[LOG_LINE_SIZE + 64]; /* with PREFIX and the newline; the rest is for how many were left out */
};

/* What the thread shares with those who log. */
static struct {
    uv_mutex_t mutex;
    uv_cond_t changed;
    uv_thread_t thread;
    bool is_running;
    bool is_closing;
    bool is_done; /* the thread has written all */
    struct line queue[LOG_QUEUE];
    unsigned first;
    unsigned count;
    unsigned left_out;         /* lines since the thread has last said so */
    struct line last_left_out; /* if there are any */
    uint64_t spent_until;      /* the rate is used up to then */
} shared;

void log_set_level(enum log_level level)
{
    least_level = level;
}

bool log_has_level(enum log_level level)
{
    return level <= least_level;
}

/* systemd.exec(5): JOURNAL_STREAM names device and inode of what was standard error when the program was started. */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat file;
    char *end;

    if (!stream)
        return false;
    device = strtoull(stream, &end, 10);
    if (*end != ':')
        return false;
    inode = strtoull(end + 1, &end, 10);
    return !*end && fstat(STDERR_FILENO, &file) == 0 && file.st_dev == device && file.st_ino == inode;
}

void log_set_format(enum log_format format)
{
    has_levels = format == LOG_FORMAT_JOURNALD || (format == LOG_FORMAT_AUTO && is_journal());
}

/* One write(2) for a line, so that lines of two bridges on one terminal do not mix. */
static void write_line(const struct line *whole)
{
    static const char *const levels[] = {"<3>", "<4>", "<5>", "<6>", "<7>"}; /* as sd-daemon(3) has them */
    char text[sizeof(whole->text) + 4];
    const char *line = text;
    size_t length;

    snprintf(text, sizeof(text), "%s%s", has_levels ? levels[whole->level] : "", whole->text);
    length = strlen(text);

    while (length) {
        ssize_t count = write(STDERR_FILENO, line, length);

        if (count >= 0) {
            line += count;
            length -= (size_t)count;
        } else if (errno == EAGAIN) { /* somebody who shares it has set O_NONBLOCK */
            struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};

            (void)poll(&room, 1, -1);
        } else if (errno != EINTR) {
            return; /* nobody is left to be told */
        }
    }
}

/* ---- The rate ---- */

/* How long until a line may come; 0: now. */
static uint64_t get_delay(uint64_t now)
{
    uint64_t limit = now + (LOG_BURST - 1) * INTERVAL_NS;

    return shared.spent_until > limit ? shared.spent_until - limit : 0;
}

static bool take_turn(uint64_t now)
{
    if (get_delay(now))
        return false;
    shared.spent_until = (shared.spent_until > now ? shared.spent_until : now) + INTERVAL_NS;
    return true;
}

/* ---- The thread ---- */

static void take_left_out(struct line *ret_line)
{
    *ret_line = shared.last_left_out;
    if (shared.left_out > 1)
        snprintf(ret_line->text, sizeof(ret_line->text), PREFIX "%u lines were left out, the last of them: %.*s",
                 shared.left_out, LOG_LINE_SIZE, shared.last_left_out.text + strlen(PREFIX));
    shared.left_out = 0;
}

/* Waits for a line, the mutex being held. Returns false if none is left and none will come. */
static bool take_line(struct line *ret_line)
{
    for (;;) {
        uint64_t now = uv_hrtime();

        if (shared.count) {
            *ret_line = shared.queue[shared.first];
            shared.first = (shared.first + 1) % LOG_QUEUE;
            shared.count--;
            return true;
        }
        if (shared.left_out && (shared.is_closing || take_turn(now))) {
            take_left_out(ret_line);
            return true;
        }
        if (shared.is_closing)
            return false;
        if (shared.left_out)
            (void)uv_cond_timedwait(&shared.changed, &shared.mutex, get_delay(now));
        else
            uv_cond_wait(&shared.changed, &shared.mutex);
    }
}

static void run_thread(void *unused)
{
    struct line line;

    (void)unused;
    uv_mutex_lock(&shared.mutex);
    shared.is_running = true;
    uv_cond_signal(&shared.changed);
    while (take_line(&line)) {
        uv_mutex_unlock(&shared.mutex);
        write_line(&line);
        uv_mutex_lock(&shared.mutex);
    }
    shared.is_done = true;
    uv_cond_signal(&shared.changed);
    uv_mutex_unlock(&shared.mutex);
}

int log_open(void)
{
    int ret = uv_mutex_init(&shared.mutex);

    if (!ret)
        ret = uv_cond_init(&shared.changed);
    is_open = !ret;
    return ret;
}

void log_start(void)
{
    int ret = is_open ? uv_thread_create(&shared.thread, run_thread, NULL) : UV_EINVAL;

    if (ret) {
        is_open = false;
        log_warning("a thread for the log: %s; whoever stops reading it stops the bridge", strerror(-ret));
        return;
    }
    uv_mutex_lock(&shared.mutex); /* what a thread does to begin may be forbidden soon */
    while (!shared.is_running)
        uv_cond_wait(&shared.changed, &shared.mutex);
    uv_mutex_unlock(&shared.mutex);
}

void log_close(void)
{
    uint64_t deadline;
    bool is_done;

    if (is_open && !shared.is_running)
        log_start();
    if (!is_open)
        return;
    deadline = uv_hrtime() + LOG_PARTING_MS * NS_PER_MS; /* a thread that has just begun has as long, too */
    uv_mutex_lock(&shared.mutex);
    shared.is_closing = true;
    uv_cond_signal(&shared.changed);
    for (uint64_t now = uv_hrtime(); !shared.is_done && now < deadline; now = uv_hrtime())
        (void)uv_cond_timedwait(&shared.changed, &shared.mutex, deadline - now);
    is_done = shared.is_done;
    uv_mutex_unlock(&shared.mutex);
    if (is_done)
        uv_thread_join(&shared.thread);
    else
        pthread_detach(shared.thread);
    is_open = !is_done;
}

/* ---- Whoever logs ---- */

static log_line_fn *diverted;

void log_divert(log_line_fn *take)
{
    diverted = take;
}

static void queue_line(const struct line *line, bool is_limited)
{
    uv_mutex_lock(&shared.mutex);
    /* Once something was left out, the next line is the one that says so. */
    if (shared.count == LOG_QUEUE || (is_limited && (shared.left_out || !take_turn(uv_hrtime())))) {
        shared.left_out++;
        shared.last_left_out = *line;
    } else {
        shared.queue[(shared.first + shared.count) % LOG_QUEUE] = *line;
        shared.count++;
    }
    if (shared.count == 1 || shared.left_out == 1)
        uv_cond_signal(&shared.changed);
    uv_mutex_unlock(&shared.mutex);
}

/* A name that somebody else has chosen does not end a line, and gives a terminal no orders. */
static void mask_controls(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == '\x7f')
            *text = '?';
    }
}

__attribute__((format(printf, 3, 0))) static void say(enum log_level level, bool is_limited, const char *format,
                                                      va_list arguments)
{
    struct line line = {.level = level, .text = PREFIX};
    size_t prefix = strlen(PREFIX);
    int saved_errno = errno;
    int length = vsnprintf(line.text + prefix, LOG_LINE_SIZE - prefix - 1, format, arguments);

    if (length >= 0) {
        mask_controls(line.text);
        line.text[strlen(line.text)] = '\n'; /* all behind it is zero */
        if (diverted)
            diverted(line.level, line.text);
        else if (is_open)
            queue_line(&line, is_limited);
        else
            write_line(&line);
    }
    errno = saved_errno;
}

void log_relay(enum log_level level, const char *text)
{
    struct line line = {.level = level};

    snprintf(line.text, sizeof(line.text), "%s", text);
    if (is_open)
        queue_line(&line, true);
    else
        write_line(&line);
}

#define LOG_AT(name, level)                  \
    void log_##name(const char *format, ...) \
    {                                        \
        va_list arguments;                   \
                                             \
        if (!log_has_level(level))           \
            return;                          \
        va_start(arguments, format);         \
        say(level, true, format, arguments); \
        va_end(arguments);                   \
    }

LOG_AT(error, LOG_LEVEL_ERROR)
LOG_AT(warning, LOG_LEVEL_WARNING)
LOG_AT(notice, LOG_LEVEL_NOTICE)
LOG_AT(info, LOG_LEVEL_INFO)
LOG_AT(debug, LOG_LEVEL_DEBUG)

void log_answer(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(LOG_LEVEL_NOTICE, false, format, arguments);
    va_end(arguments);
}

static const struct sandbox_call calls[] = {
    SANDBOX_CALL(write),
    SANDBOX_CALL(poll),
    SANDBOX_CALL(futex),
};
const struct sandbox_need log_need = SANDBOX_NEED("log", calls);
