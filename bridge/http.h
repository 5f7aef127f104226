/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * http.h - one request of HTTP/1.x, and the bytes that answer it.
 *
 * Room: bridge. No sockets here, and nothing of what is asked for. Requests are read by the library http-parser.
 */
#ifndef VOP_BRIDGE_HTTP_H
#define VOP_BRIDGE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define HTTP_TARGET_SIZE 256

/** What somebody asks for. */
struct http_request {
    bool is_get;                   /* GET or HEAD: without a body in the answer */
    bool is_head;                  /* of these, HEAD */
    bool keeps;                    /* the client wants to ask more on this connection */
    char target[HTTP_TARGET_SIZE]; /* up to the query; "": longer than anything that is here */
};

/**
 * Reads the first request of what a client has sent, with its body, which is of no use.
 *
 * Returns its length in bytes, 0 if it is not there as a whole yet, or
 *
 * -EPROTO   that is no request of HTTP/1.x
 */
ssize_t http_read(const char *data, size_t length, struct http_request *ret_request);

/** An answer. */
struct http_reply {
    const char *status; /* as in "200 OK" */
    const char *type;   /* of the body */
    const char *body;
    size_t length; /* bytes of the body */
    bool is_head;  /* the body is not sent */
    bool closes;   /* the client is hung up on after it */
};

/** The bytes of an answer, to be freed; NULL: no memory. */
char *http_write(const struct http_reply *reply, size_t *ret_length);

#endif
