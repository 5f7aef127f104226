/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * http.c - one request of HTTP/1.x, and the bytes that answer it.
 *
 * Room: bridge.
 */
#include "http.h"

#include <errno.h>
#include <http_parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Requests ---- */

struct reading {
    struct http_request request;
    size_t target; /* bytes so far */
    bool is_whole;
};

static int on_url(http_parser *parser, const char *part, size_t length)
{
    struct reading *reading = parser->data;

    for (size_t i = 0; i < length; i++, reading->target++) {
        if (reading->target < HTTP_TARGET_SIZE)
            reading->request.target[reading->target] = part[i];
    }
    return 0;
}

static int on_whole(http_parser *parser)
{
    struct reading *reading = parser->data;

    reading->is_whole = true;
    reading->request.keeps = http_should_keep_alive(parser) && !parser->upgrade;
    http_parser_pause(parser, 1); /* what follows is another one */
    return 0;
}

ssize_t http_read(const char *data, size_t length, struct http_request *ret_request)
{
    static const http_parser_settings settings = {.on_url = on_url, .on_message_complete = on_whole};
    struct reading reading = {.is_whole = false};
    http_parser parser;
    size_t taken;

    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &reading;
    taken = http_parser_execute(&parser, &settings, data, length);
    if (reading.is_whole && parser.http_major == 1) {
        reading.request.is_head = parser.method == HTTP_HEAD;
        reading.request.is_get = parser.method == HTTP_GET || parser.method == HTTP_HEAD;
        reading.request.target[reading.target < HTTP_TARGET_SIZE ? reading.target : 0] = '\0';
        reading.request.target[strcspn(reading.request.target, "?")] = '\0';
        *ret_request = reading.request;
        return (ssize_t)taken;
    }
    return reading.is_whole || HTTP_PARSER_ERRNO(&parser) != HPE_OK ? -EPROTO : 0;
}

/* ---- Answers ---- */

char *http_write(const struct http_reply *reply, size_t *ret_length)
{
    char *bytes = NULL;
    FILE *out = open_memstream(&bytes, ret_length);

    if (!out)
        return NULL;
    fprintf(out, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: %s\r\n", reply->status,
            reply->type, reply->length, reply->closes ? "close" : "keep-alive");
    if (strncmp(reply->status, "405", 3) == 0)
        fputs("Allow: GET, HEAD\r\n", out);
    fputs("\r\n", out);
    if (!reply->is_head)
        fwrite(reply->body, 1, reply->length, out);
    if (fclose(out) == 0)
        return bytes;
    free(bytes);
    return NULL;
}
