/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_rpc.h - one line of a client of the control socket, and the line that answers it: JSON-RPC 2.0.
 *
 * Room: bridge. docs/CONTROL.md is what clients are told. No sockets here, and no bridge: methods come in a table.
 */
#ifndef VOP_BRIDGE_CONTROL_RPC_H
#define VOP_BRIDGE_CONTROL_RPC_H

#include <jansson.h>
#include <stddef.h>

/* Codes of JSON-RPC 2.0, section 5.1, and two of ours, from those that it leaves to servers. */
#define CONTROL_NOT_JSON (-32700)
#define CONTROL_NOT_REQUEST (-32600)
#define CONTROL_NO_METHOD (-32601)
#define CONTROL_BAD_PARAMS (-32602)
#define CONTROL_NO_MEMORY (-32603)
#define CONTROL_FAILED (-32000)  /* what was asked for could not be done */
#define CONTROL_REFUSED (-32001) /* this client is not served: its user, its line, too slow */

/** Why a method could not do what it was asked to. */
struct control_failure {
    int code;
    char text[256]; /* what was wrong, and what to do */
};

/** Fills `failure`, and returns NULL, so that a method can end with it. */
json_t *control_fail(struct control_failure *failure, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** What clients can call. The last one of a table has no name. */
struct control_method {
    const char *name;

    /**
     * Returns what the client gets as result, which the caller frees, or NULL: then `failure` says why, or there is
     * no memory.
     *
     * params   an object: what the client gave, or an empty one
     */
    json_t *(*run)(void *context, json_t *params, struct control_failure *failure);
};

/**
 * Answers one line, without its newline: looks up the method and calls it.
 *
 * Returns the answer with its newline, to be freed; NULL if there is none, because the client wants none (a request
 * without `id`) or there is no memory for one.
 */
char *control_rpc_answer(const struct control_method *methods, void *context, const char *line, size_t length);

/** The line that says what is wrong where no request can be answered; to be freed. NULL: no memory. */
char *control_rpc_refusal(int code, const char *text);

#endif
