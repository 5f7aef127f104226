/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_text.c - gets the text of a configuration file, and finds what libconfig would misread in it.
 *
 * Room: bridge.
 */
#include "config_text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIGITS_MAX 9 /* all numbers of so many are less than INT_MAX */

/* ---- Loading ---- */

/* Reads `size` bytes, or fewer if the file has become shorter. */
static ssize_t read_all(int fd, char *text, size_t size)
{
    size_t length = 0;

    while (length < size) {
        ssize_t count = read(fd, text + length, size - length);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        length += (size_t)count;
    }
    return (ssize_t)length;
}

static int load(int fd, size_t max, char **ret_text)
{
    struct stat file;
    ssize_t length;
    char *text;

    if (fstat(fd, &file) < 0)
        return -errno;
    if (!S_ISREG(file.st_mode))
        return -EINVAL;
    if ((size_t)file.st_size > max)
        return -EFBIG;
    text = malloc((size_t)file.st_size + 1);
    if (!text)
        return -ENOMEM;
    length = read_all(fd, text, (size_t)file.st_size);
    if (length >= 0 && memchr(text, '\0', (size_t)length))
        length = -EILSEQ;
    if (length < 0) {
        free(text);
        return (int)length;
    }
    text[length] = '\0';
    *ret_text = text;
    return 0;
}

int config_text_load(const char *path, size_t max, char **ret_text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO shall not keep it waiting */
    int ret;

    if (fd < 0)
        return -errno;
    ret = load(fd, max, ret_text);
    close(fd);
    return ret;
}

/* ---- Checking ---- */

struct scan {
    const char *next;
    unsigned line;
    struct wishes *wishes;
};

static bool starts_with(const struct scan *scan, const char *word)
{
    return strncmp(scan->next, word, strlen(word)) == 0;
}

static void skip_line(struct scan *scan)
{
    scan->next += strcspn(scan->next, "\n");
}

static void skip_comment(struct scan *scan)
{
    const char *end = strstr(scan->next + 2, "*/");

    if (!end) {
        wishes_complain(scan->wishes, scan->line, "a comment begins here and does not end; close it with */");
        scan->wishes->has_gap = true;
        end = scan->next + strlen(scan->next);
    }
    for (; scan->next < end; scan->next++)
        scan->line += *scan->next == '\n';
    scan->next += *end ? 2 : 0;
}

static void skip_string(struct scan *scan)
{
    for (scan->next++; *scan->next && *scan->next != '"' && *scan->next != '\n'; scan->next++)
        scan->next += scan->next[0] == '\\' && scan->next[1] && scan->next[1] != '\n';
    if (*scan->next == '"') {
        scan->next++;
        return;
    }
    wishes_complain(scan->wishes, scan->line, "a text does not end on this line; close it with a quote");
    scan->wishes->has_gap = true;
}

/* Names begin with a letter, so what begins with a digit is a number. */
static void check_number(struct scan *scan)
{
    size_t length = strspn(scan->next, "0123456789abcdefABCDEFxX");

    if (length > DIGITS_MAX)
        wishes_complain(scan->wishes, scan->line,
                        "%.*s: too large for a number here; if it is right, write it in quotes",
                        length < 40 ? (int)length : 40, scan->next);
    scan->next += length;
}

static void skip_name(struct scan *scan)
{
    while (isalnum((unsigned char)*scan->next) || (*scan->next && strchr("-_*", *scan->next)))
        scan->next++;
}

void config_text_check(const char *text, struct wishes *wishes)
{
    struct scan scan = {.next = text, .line = 1, .wishes = wishes};

    while (*scan.next) {
        if (*scan.next == '#' || starts_with(&scan, "//")) {
            skip_line(&scan);
        } else if (starts_with(&scan, "/*")) {
            skip_comment(&scan);
        } else if (*scan.next == '"') {
            skip_string(&scan);
        } else if (isdigit((unsigned char)*scan.next)) {
            check_number(&scan);
        } else if (isalpha((unsigned char)*scan.next)) {
            skip_name(&scan);
        } else {
            if (starts_with(&scan, "@include")) {
                wishes_complain(wishes, scan.line, "@include: one file has all; write here what is in the other");
                wishes->has_gap = true;
            }
            scan.line += *scan.next++ == '\n';
        }
    }
}
