/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_top_screen.c - what bridges do just now, live in a terminal.
 *
 * Room: tools. The only part that knows ncurses. It tells of a new size of the terminal as of a key.
 */
#include "bridge_top.h"

#include <curses.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REDRAW ('L' & 31) /* Ctrl-L */

struct screen {
    struct rates *rates;
    unsigned interval_ms;
    enum rate key; /* what is sorted by; RATES: the name */
    int first;     /* line of the table that is shown first */
    int lines;     /* of the table */
};

/* ---- Drawing ---- */

static void scroll_by(struct screen *screen, int lines)
{
    screen->first += lines;
    if (screen->first > screen->lines - 1)
        screen->first = screen->lines - 1;
    if (screen->first < 0)
        screen->first = 0;
}

static void draw_row(struct screen *screen, const char *text, int look)
{
    int y = 2 + screen->lines++ - screen->first;

    if (y < 2 || y >= LINES)
        return;
    attrset(look);
    mvaddnstr(y, 0, text, COLS);
    attrset(A_NORMAL);
}

static void draw_table(struct screen *screen)
{
    char line[TOP_LINE_SIZE];

    screen->lines = 0;
    for (size_t i = 0; i < screen->rates->count; i++) {
        const struct rates_bridge *bridge = &screen->rates->bridge[i];

        if (*bridge->why) {
            draw_row(screen, top_format_failure(bridge, line), (int)A_DIM);
            continue;
        }
        draw_row(screen, top_format_line(bridge, &bridge->total, line), (int)A_BOLD);
        for (unsigned queue = 0; queue < bridge->queues; queue++)
            draw_row(screen, top_format_line(bridge, &bridge->queue[queue], line), (int)A_NORMAL);
    }
}

static void draw(struct screen *screen)
{
    char line[TOP_LINE_SIZE];

    rates_sort(screen->rates, screen->key);
    erase();
    snprintf(line, sizeof(line), "vop bridge top, every %.1f s, by %s   q: end, left/right: sort, up/down: scroll",
             screen->interval_ms / 1000.0, screen->key == RATES ? "name" : rate_names[screen->key]);
    mvaddnstr(0, 0, line, COLS);
    attrset(A_REVERSE);
    mvaddnstr(1, 0, top_format_head(line), COLS);
    attrset(A_NORMAL);
    draw_table(screen);
    scroll_by(screen, 0); /* there may be fewer lines now: the next time */
    if (screen->rates->count == 0 && LINES > 2)
        mvaddnstr(2, 0, "no bridge runs here, or none whose control socket this user can find", COLS);
    refresh();
}

/* ---- Keys ---- */

/* Returns false if the user has enough. */
static bool take_key(struct screen *screen, int key)
{
    switch (key) {
    case 'q':
        return false;
    case KEY_RIGHT:
    case 's':
        screen->key = (screen->key + 1) % (RATES + 1);
        break;
    case KEY_LEFT:
        screen->key = (screen->key + RATES) % (RATES + 1);
        break;
    case KEY_DOWN:
        scroll_by(screen, 1);
        break;
    case KEY_UP:
        scroll_by(screen, -1);
        break;
    case REDRAW: /* somebody else has written to the terminal */
        clearok(curscr, TRUE);
        break;
    default: /* KEY_RESIZE, too: it is drawn anew */
        break;
    }
    return true;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Draws, and hears keys, until it is time to look again. Returns false if the user has enough, or has gone. */
static bool wait_until(struct screen *screen, int64_t deadline)
{
    bool goes_on = true;

    while (goes_on) {
        struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
        int64_t left = deadline - now_ms();
        int key;

        draw(screen);
        if (left <= 0)
            return true;
        (void)poll(&keys, 1, (int)left);
        while (goes_on && (key = getch()) != ERR)
            goes_on = take_key(screen, key);
        if (keys.revents & (POLLHUP | POLLERR | POLLNVAL))
            return false;
    }
    return false;
}

bool top_run_screen(top_ask *ask, void *context, struct rates *rates, unsigned interval_ms)
{
    struct screen screen = {.rates = rates, .interval_ms = interval_ms, .key = RATES};
    SCREEN *terminal = newterm(NULL, stdout, stdin);
    bool is_good = true, goes_on = true;

    if (!terminal) {
        const char *name = getenv("TERM");

        fprintf(stderr, "vop: top: nothing is known of terminal %s; set TERM, or have lines with --count\n",
                name ? name : "(TERM is not set)");
        return false;
    }
    cbreak();
    noecho();
    nodelay(stdscr, TRUE);
    keypad(stdscr, TRUE);
    (void)curs_set(0);
    while (is_good && goes_on) {
        int64_t begin = now_ms();

        is_good = ask(context, rates);
        if (is_good)
            goes_on = wait_until(&screen, begin + interval_ms);
    }
    endwin();
    delscreen(terminal);
    return is_good;
}
